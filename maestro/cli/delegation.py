"""Starts the coordinator of a delegate run in the background, and says how the run stands (C-3)."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from maestro.agents.delegate import GENERAL_PURPOSE
from maestro.cli.app import App
from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.model.offer import DELEGATE
from maestro.proc.family import ProcessId


def start_run(
    app: App, flags: dict[str, Any], run_id: str | None, agents: str | None, wait_seconds: float
) -> dict[str, Any]:
    """Start it and give out what can start at once; the object that says so. MaestroError as `run` refuses."""
    from maestro import background
    from maestro.cli.standard_input import text_for
    from maestro.clock import SystemClock
    from maestro.proc.ancestor import session_of
    from maestro.store.delegated import delegate_object, result_only, take_offers
    from maestro.wiring.preparing import new_run_id

    _refuse_other_agents(flags)
    deadline = time.monotonic() + wait_seconds
    layout = app.layout()
    run_id = new_run_id(SystemClock()) if run_id is None else run_id
    settings = app.load(
        flags, repository=layout.repository
    ).settings  # warnings are said here, for they go to a log there
    arguments = background.arguments_of({name: value for name, value in flags.items() if name != "agent"})
    arguments += [f"--agents={agents}"] if agents is not None else []
    session = session_of(os.getpid())
    arguments += [f"--session={session.pid}:{session.started!r}"] if session is not None else []
    begun = background.start_run(
        layout,
        app.directory,
        arguments,
        run_id=run_id,
        environ=app.environ,
        command=("delegate", "coordinate"),
        config_file=app.config_file.absolute() if app.config_file else None,
        standard_input=text_for(settings),
    )
    if begun["status"] != "running":
        return result_only(begun)
    taken = take_offers(layout, run_id, max(0.0, deadline - time.monotonic()))
    return delegate_object(layout, run_id, taken)


def _refuse_other_agents(flags: dict[str, Any]) -> None:
    for name in ("agent", "agent_command"):
        if flags.get(name, DELEGATE) != DELEGATE:
            raise BadInput(
                f"--{name.replace('_', '-')} names another agent than the subagents of your session",
                hint="leave it out, or use `maestro run`",
            )


def coordinate(app: App, flags: dict[str, Any], run_id: str, agents: str | None, session: str | None) -> int:
    """The run itself, to its end; the exit code."""
    from maestro.cli.outcome import say_outcome
    from maestro.cli.standard_input import text_for
    from maestro.coordinator import ParallelCoordinator
    from maestro.telemetry.plain import PlainObserver

    loaded = app.load_silently({**flags, "agent": DELEGATE}, repository=app.repository())
    settings = _of_session(loaded.settings, agents, session)
    ended = ParallelCoordinator.opened(app.git(), environ=app.environ).run(
        settings, run_id=run_id, observers=[PlainObserver(sys.stderr)], standard_input=text_for(settings)
    )
    say_outcome(app, ended.result)
    return ended.exit_code


def _of_session(settings: Settings, agents: str | None, session: str | None) -> Settings:
    """The settings with what is known of the session."""
    options = dict(settings.agents.get(DELEGATE, {}))
    if agents is not None:
        named = [name.strip() for name in agents.split(",")]
        options["subagents"] = tuple(dict.fromkeys([*filter(None, named), GENERAL_PURPOSE]))
    if session is not None:
        pid, _, started = session.partition(":")
        options["session"] = ProcessId(int(pid), float(started))
    return settings.model_copy(update={"agents": {**settings.agents, DELEGATE: options}})


def say(app: App, answer: dict[str, Any]) -> None:
    """The object, or the same in words."""
    if app.output.as_json:
        app.output.json(answer)
        return
    app.output.text(f"Run {answer['run_id']}: {answer['status']}")
    for one in answer["launch"]:
        app.output.text(f"  launch {one['subagent_type']} for {one['description']} in {one['workspace']}")
    for word in ("running", "landing", "waiting"):
        app.output.text(*(f"  {word} {task}" for task in answer[word]))
    app.output.text(answer["next"])
