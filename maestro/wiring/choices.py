"""From settings to the agent, the gate and the limits of a run; refuses what cannot work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from maestro.agents.base import Agent
from maestro.agents.registry import make_agent
from maestro.config.settings import Settings
from maestro.engine.options import Options
from maestro.errors import BadInput
from maestro.integration.gate import Gate
from maestro.integration.strategy import Strategy
from maestro.model.gate import TESTS
from maestro.model.offer import DELEGATE
from maestro.resources.admission import Admitted, admit, look
from maestro.resources.throttle import Limits
from maestro.vcs.git import Git
from maestro.wiring.budgets import check_budgets
from maestro.wiring.delegate import SUBAGENTS_AT_ONCE
from maestro.wiring.refreshing import refresh_argv, refresh_every_group
from maestro.wiring.surroundings import WITHOUT_ITS_OWN, environment_of_agent


def make_gate(git: Git, settings: Settings) -> Gate | None:
    """The check before landing. None only where the user said --no-tests; BadInput where nothing is found (M-4)."""
    if settings.no_tests:
        return None
    if settings.test_command is not None:
        if _TAKES_TESTS.search(settings.test_command):
            raise BadInput(
                f"the test command takes the resource {TESTS}, which maestro holds already while it runs",
                hint=f"leave `maestro lock {TESTS} --` out of it",
            )
        return Gate(command=settings.test_command, timeout_seconds=settings.test_timeout, source="explicit")
    from maestro.integration.discovery import find_test_command  # mostly the user says it

    found = find_test_command(git.directory)
    if found is None:
        raise BadInput(
            "no test command was found in this repository",
            hint="say how its tests are run with --test-command CMD (or MAESTRO_TEST_COMMAND), "
            "or land unchecked with --no-tests (or MAESTRO_NO_TESTS=1)",
        )
    return Gate(command=found.command, timeout_seconds=settings.test_timeout, source=f"found: {found.source}")


_TAKES_TESTS = re.compile(rf"\bmaestro\b[^|;&]*\block\s+(?:-\S+\s+)*{TESTS}(?=\s)(?!\s+--status)")

SPRINTS_AT_ONCE = 5
"""A sprint of an epic is many agents' work by itself, so fewer of them run at once than plain tasks would (E-4)."""


def _how_many(settings: Settings, tracker_kind: str, root: Path, floor: int) -> Admitted:
    """How many tasks at once, and how that was decided."""
    if settings.workspace == "none":
        return Admitted(agents=1, reason="one at a time, in place")
    if settings.max_parallel is not None:
        return Admitted(agents=settings.max_parallel, reason="as you said")
    if settings.agent == DELEGATE:
        return Admitted(agents=SUBAGENTS_AT_ONCE, reason="the default for subagents of a session")
    admitted = admit(look(root), floor)
    if tracker_kind == "epic" and admitted.agents > SPRINTS_AT_ONCE:
        return Admitted(agents=SPRINTS_AT_ONCE, reason="the default for sprints")
    return admitted


def make_options(settings: Settings, gate: Gate | None, root: Path, tracker_kind: str) -> Options:
    """Limits and choices of a run, from the settings."""
    floor = settings.min_free_disk_mb << 20
    admitted = _how_many(settings, tracker_kind, root, floor)
    limit = settings.agent_limit(settings.agent)
    return Options(
        max_parallel=admitted.agents,
        max_parallel_reason=admitted.reason,
        attempts=settings.attempts,
        budgets=settings.budgets(),
        task_timeout_seconds=settings.task_timeout,
        hold_seconds=settings.hold_seconds,
        silent_timeout_seconds=settings.silent_timeout,
        exit_timeout_seconds=settings.exit_timeout,
        grace_seconds=settings.grace_seconds,
        setup_commands=settings.setup,
        setup_timeout_seconds=settings.setup_timeout,
        agent_limits={settings.agent: limit} if limit is not None else {},
        group_parallel=settings.group_parallel,
        keep_workspaces=settings.keep_workspaces,
        keep_going=settings.keep_going,
        bearable=Limits(
            max_load=settings.max_load,
            min_free_memory=settings.min_free_memory_mb << 20,
            min_free_disk=floor,
            min_free_files=settings.min_free_files,
        ),
        attempt_memory_bytes=settings.attempt_memory_mb << 20 if settings.attempt_memory_mb else None,
        suspect_seconds=settings.suspect_after,
        gate=gate,
        strategy=Strategy(settings.strategy),
        max_batch=settings.max_batch,
        conflict_detection=settings.conflict_detection,
        sequential_above=settings.sequential_above,
        land_on_base=settings.land_on_base,
        refresh_argv=refresh_argv(settings),
        refresh_timeout_seconds=settings.refresh_timeout,
        refresh_max_chars=settings.refresh_max_chars,
        refresh_every_group=refresh_every_group(settings),
    )


def _agent_options(settings: Settings) -> dict[str, object]:
    options: dict[str, object] = dict(settings.agents.get(settings.agent, {}))
    if settings.agent == "command":
        if settings.agent_command is None:
            raise BadInput("the agent `command` needs a command line", hint="give it with --agent-command 'CMD'")
        options["command"] = settings.agent_command
    if settings.agent == "codex" and settings.sandbox != "none":
        options.setdefault("sandbox", WITHOUT_ITS_OWN)
    return options


def open_agent(settings: Settings, environ: Mapping[str, str]) -> Agent:
    """The agent; BadInput when it is unknown, cannot be used here or tells too little for the budgets."""
    agent = make_agent(settings.agent, _agent_options(settings))
    check_budgets(settings.budgets(), agent)
    found = agent.availability(environment_of_agent(settings, settings.agent, environ))
    if not found.available:
        raise BadInput(f"the agent {settings.agent} cannot be used: {found.detail}", hint=found.hint)
    return agent


def agent_env_names(settings: Settings) -> tuple[str, ...]:
    """Variables of the parent's that the chosen agent needs."""
    return make_agent(settings.agent, _agent_options(settings)).env_names()
