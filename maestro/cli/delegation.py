"""Starts the coordinator of a delegate run in the background, and says how the run stands (C-3).

The coordinator is a child in a session of its own, so that it outlives the tool call that started it. Until its run
has begun, its words go to files that the parent reads: a refusal is said by the parent as if it were its own, and
nothing is left in the background. From then on they go to coordinator.log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from maestro.agents.delegate import GENERAL_PURPOSE
from maestro.cli.app import App
from maestro.cli.options import RUN_OPTIONS
from maestro.clock import SystemClock
from maestro.config.settings import Settings
from maestro.errors import BadInput, MaestroError
from maestro.model.events import Event, RunStarted
from maestro.model.offer import DELEGATE
from maestro.proc.ancestor import session_of
from maestro.proc.family import ProcessId
from maestro.proc.ourselves import own_argv
from maestro.store.delegated import POLL_SECONDS, delegate_object, take_offers, what_now
from maestro.store.offers import Offers

if TYPE_CHECKING:
    from maestro.coordinator import RunResult

_SESSION_ID = "CLAUDE_CODE_SESSION_ID"


def start_run(
    app: App, flags: dict[str, Any], run_id: str | None, agents: str | None, wait_seconds: float
) -> dict[str, Any]:
    """Start it and give out what can start at once; the object that says so. MaestroError as `run` refuses."""
    from maestro.wiring.build import check_run_id, new_run_id

    for name in ("agent", "agent_command"):
        if flags.get(name, DELEGATE) != DELEGATE:
            raise BadInput(
                f"--{name.replace('_', '-')} names another agent than the subagents of your session",
                hint="leave it out, or use `maestro run`",
            )
    layout = app.layout()
    run_id = new_run_id(SystemClock()) if run_id is None else run_id
    check_run_id(layout, run_id)
    deadline = time.monotonic() + wait_seconds
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            _argv(app, flags, run_id, agents),
            env=app.environ,
            stdin=None if "-" in map(str, flags.values()) else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        begun = _wait_for_begin(child, Offers(layout.delegate(run_id)))
        sys.stderr.write(_content(err) if begun else "")  # warnings about settings
        if not begun:
            return _not_begun(run_id, child.returncode, _content(out), _content(err))
    child.returncode = 0  # it lives on: Popen must not complain at our end
    taken = take_offers(layout, run_id, max(0.0, deadline - time.monotonic()))
    return delegate_object(layout, run_id, taken)


def _argv(app: App, flags: dict[str, Any], run_id: str, agents: str | None) -> list[str]:
    """The same command line for the coordinator."""
    argv = [*own_argv(), "-C", str(app.directory)]
    if app.config_file is not None:
        argv += ["--config", str(app.config_file.absolute())]
    argv += ["delegate", "coordinate", "--json", "--run-id", run_id]
    if agents is not None:
        argv += [f"--agents={agents}"]
    session = session_of(os.getpid())
    if session is not None:
        argv += ["--session", f"{session.pid}:{session.started!r}"]
    return argv + _given(flags)


def _given(flags: dict[str, Any]) -> list[str]:
    """Flags as words again."""
    words: list[str] = []
    for option, attributes in RUN_OPTIONS:
        name = option.removeprefix("--").replace("-", "_")
        if name not in flags or name == "agent":
            continue
        value = flags[name]
        if attributes.get("is_flag"):
            words += [option] if value else []
        else:
            words += [f"{option}={one}" for one in (value if isinstance(value, list | tuple) else [value])]
    return words


def _wait_for_begin(child: subprocess.Popen[bytes], offers: Offers) -> bool:
    """Whether the run has begun; False where the child has ended before that."""
    while child.poll() is None:
        session = offers.session()
        if session is not None and session.get("coordinator") == child.pid:
            return True
        time.sleep(POLL_SECONDS)
    session = offers.session()
    return session is not None and session.get("coordinator") == child.pid


def _not_begun(run_id: str, code: int, out: str, err: str) -> dict[str, Any]:
    """What the child said instead: a result where there was nothing to do; its refusal is raised."""
    try:
        said = json.loads(out)
    except ValueError:
        said = {}
    if "error" in said:
        refused = MaestroError(said["error"]["message"], hint=said["error"]["hint"])
    elif "tasks" in said:
        tasks = {
            task: {"status": one["status"], "state": one["status"], "reason": one["reason"]}
            for task, one in said["tasks"].items()
        }
        answer = {
            "run_id": run_id,
            "status": said["status"],
            "reason": said["reason"],
            "integration_branch": said["integration_branch"],
            **{kind: [] for kind in ("launch", "running", "landing", "waiting")},
            "tasks": tasks,
        }
        return {**answer, "next": what_now(answer)}
    else:
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "it said nothing")
        refused = MaestroError(f"the coordinator ended before its run began (exit code {code}): {last}")
    refused.exit_code = code or 1
    raise refused


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


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


# the coordinator's own side


class _Begin:
    """An Observer: once the run has begun, our words go to its log, and whoever started us may leave."""

    def __init__(self, offers: Offers, session: ProcessId | None, session_id: str | None) -> None:
        self._offers = offers
        self._session = session
        self._session_id = session_id

    def notify(self, event: Event) -> None:
        """Of interest is the first event alone."""
        if isinstance(event, RunStarted):
            log = os.open(self._offers.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            for number in (1, 2):
                os.dup2(log, number)
            os.close(log)
            self._offers.set_session(self._session, self._session_id, coordinator=os.getpid())

    def close(self) -> None:
        """Nothing is held."""


def coordinate(app: App, flags: dict[str, Any], run_id: str, agents: str | None, session: str | None) -> int:
    """Run it to its end; the exit code, for the log."""
    from maestro.cli.outcome import say_outcome
    from maestro.telemetry.plain import PlainObserver

    owner = _process(session)
    begin = _Begin(Offers(app.layout().delegate(run_id)), owner, app.environ.get(_SESSION_ID))
    settings = _settings(app, flags, agents, owner)
    ended = _run(app, settings, run_id, [begin, PlainObserver(sys.stderr)])
    say_outcome(app, ended.result)
    return ended.exit_code


def _run(app: App, settings: Settings, run_id: str, observers: list[Any]) -> RunResult:
    from maestro.coordinator import ParallelCoordinator

    text = sys.stdin.read() if settings.tasks_file == Path("-") else None
    coordinator = ParallelCoordinator(app.repository(), environ=app.environ)
    return coordinator.run(settings, run_id=run_id, observers=observers, standard_input=text)


def _settings(app: App, flags: dict[str, Any], agents: str | None, session: ProcessId | None) -> Settings:
    """As given, with the agent `delegate` and what is known of the session."""
    settings = app.load({**flags, "agent": DELEGATE}, repository=app.repository()).settings
    options = dict(settings.agents.get(DELEGATE, {}))
    if agents is not None:
        named = [name.strip() for name in agents.split(",")]
        options["subagents"] = tuple(dict.fromkeys([*filter(None, named), GENERAL_PURPOSE]))
    if session is not None:
        options["session"] = session
    return settings.model_copy(update={"agents": {**settings.agents, DELEGATE: options}})


def _process(word: str | None) -> ProcessId | None:
    if word is None:
        return None
    pid, _, started = word.partition(":")
    return ProcessId(int(pid), float(started))
