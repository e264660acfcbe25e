"""What is special about a run whose attempts are done by the subagents of a session (C-3)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from maestro.agents.base import Agent
from maestro.config.settings import Settings
from maestro.model.ids import safe_names
from maestro.model.offer import DELEGATE, offer_key
from maestro.model.task import Task
from maestro.planning.choose_agent import Choice, choose_subagent
from maestro.proc.family import ProcessId
from maestro.proc.ourselves import own_command
from maestro.store.layout import Layout

if TYPE_CHECKING:
    from maestro.agents.delegate import DelegateAgent
    from maestro.store.offers import Offers
    from maestro.telemetry.observer import Observer

SUBAGENTS_AT_ONCE = 10
"""The work is done by the session's own processes, so the cores of this machine do not bound it; what a session can
follow does. Claude Code itself runs about as many at once and lets the others wait."""

_SESSION_ID = "CLAUDE_CODE_SESSION_ID"
_NAME = re.compile(r"^name:[ \t]*[\"']?([^\"'\n]+?)[\"']?[ \t]*$", re.MULTILINE)


def settings_of_run(settings: Settings, layout: Layout, run_id: str, environ: Mapping[str, str]) -> Settings:
    """The settings with what the adapter needs of this run; unchanged for every other agent."""
    if settings.agent != DELEGATE:
        return settings
    options = dict(settings.agents.get(DELEGATE, {}))
    known = options.get("subagents")
    options |= {
        "subagents": tuple(known) if known else existing_subagents(layout.repository, environ),
        "folder": layout.delegate(run_id),
        "repository": layout.repository,
        "command": own_command(environ),
    }
    return settings.model_copy(update={"agents": {**settings.agents, DELEGATE: options}})


def existing_subagents(repository: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The types a session here has for sure: files of the project and the user, and the built-in one."""
    from maestro.agents.delegate import GENERAL_PURPOSE

    home = environ.get("CLAUDE_CONFIG_DIR") or os.path.join(environ.get("HOME", ""), ".claude")  # noqa: PTH118
    folders = (repository / ".claude" / "agents", Path(home) / "agents")
    names = {_name_of(file) for folder in folders for file in sorted(folder.rglob("*.md"))}
    return (GENERAL_PURPOSE, *sorted(names - {GENERAL_PURPOSE}))


def _name_of(file: Path) -> str:
    """The name in its front matter, else that of the file."""
    with suppress(OSError, UnicodeDecodeError):
        text = file.read_text(encoding="utf-8")
        if text.startswith("---") and (found := _NAME.search(text.partition("\n---")[0])):
            return found[1]
    return file.stem


def subagents_of(agent: Agent) -> Collection[str] | None:
    """Types known to exist; None where that is not known, and any name will do (P-9).

    `plugin:name` is also there as `name`, as Claude Code has it.
    """
    delegating = _delegating(agent)
    if delegating is None or delegating.subagents is None:
        return None
    return {name for known in delegating.subagents for name in (known, known.rpartition(":")[2])}


def session_of(agent: Agent) -> ProcessId | None:
    """The process with which the run ends."""
    delegating = _delegating(agent)
    return delegating.session if delegating is not None else None


def _delegating(agent: Agent) -> DelegateAgent | None:
    """The agent that offers attempts; None for every other one, for which its module is not even imported."""
    if agent.name != DELEGATE:
        return None
    from maestro.agents.delegate import DelegateAgent

    return agent if isinstance(agent, DelegateAgent) else None


def _offers(layout: Layout, run_id: str) -> Offers:
    from maestro.store.offers import Offers

    return Offers(layout.delegate(run_id))


def choose(task: Task, available: Collection[str] | None, table: Mapping[str, Collection[str]]) -> Choice:
    """As P-9 says; where what that names does not exist in the session, the subagent that every session has."""
    choice = choose_subagent(task, available, table)
    if available is None or choice.subagent in available:
        return choice
    from maestro.agents.delegate import GENERAL_PURPOSE

    wanted = task.subagent_type or choice.subagent
    reason = f"{wanted!r} is not available in the session, nor is another that fits"
    return Choice(subagent=GENERAL_PURPOSE, why="fallback", reason=reason)


def settled_teller(
    agent: Agent, layout: Layout, run_id: str, environ: Mapping[str, str]
) -> Callable[[bool], None] | None:
    """Makes the folder of offers, and a function that keeps its word on whether all is offered; None where nobody
    is offered anything."""
    delegating = _delegating(agent)
    if delegating is None:
        return None
    offers = _offers(layout, run_id)
    offers.open()
    offers.set_session(delegating.session, environ.get(_SESSION_ID), coordinator=os.getpid())

    def tell(settled: bool) -> None:
        with suppress(OSError):  # a reader that waits for the word waits its time, and is given what is there
            offers.set_settled(settled)

    return tell


def withdrawer(agent: Agent, layout: Layout, run_id: str) -> Callable[[str, int], bool] | None:
    """Takes an offer back that nobody was given; None where nobody is offered anything."""
    if _delegating(agent) is None:
        return None
    offers = _offers(layout, run_id)
    return lambda name, attempt: offers.withdraw(offer_key(name, attempt))


def observers_of(settings: Settings, layout: Layout, run_id: str, tasks: Iterable[str]) -> tuple[Observer, ...]:
    """Who keeps the folder of offers true."""
    if settings.agent != DELEGATE:
        return ()
    from maestro.telemetry.offers import OffersObserver

    return (OffersObserver(_offers(layout, run_id), safe_names(tasks)),)
