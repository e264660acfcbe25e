"""A run in a process of its own, which outlives whoever starts it: a session's shell, an MCP server.

It is `maestro run` as a user would start it, in a session of its own so that no signal for its starter reaches it,
with its words in `coordinator.log` in the folder of the run. It is watched only until it is under way or refused.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro.errors import MaestroError, StateError
from maestro.model.events import RunStarted
from maestro.proc.ourselves import own_argv
from maestro.store.journal import read_first
from maestro.store.layout import Layout
from maestro.store.standing import read_object, result_of_run
from maestro.wiring.preparing import check_run_id, prepare_state

LOOK_SECONDS = 0.02
STOP_SECONDS = 5.0


def arguments_of(flags: Mapping[str, Any]) -> list[str]:
    """Flags as a user would write them, from their keys and values; false ones are not given."""
    words = []
    for key, value in flags.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words += [flag] if value else []
        else:
            several = value if isinstance(value, list | tuple) else (value,)
            words += [f"{flag}={one}" for one in several]
    return words


def start_run(
    layout: Layout,
    directory: Path,
    arguments: Sequence[str],
    *,
    run_id: str,
    environ: Mapping[str, str],
    command: Sequence[str] = ("run",),
    config_file: Path | None = None,
    standard_input: str | None = None,
    limit_seconds: float = 60.0,
) -> dict[str, Any]:
    """Start `maestro run` (or another `command` that makes a run) as if from `directory`; how it stands once it is
    under way, or has ended already.

    MaestroError in the words of the run where it is refused; nothing is left of it then. One that is neither under
    way nor refused within the limit is stopped, and so is one whose starter is interrupted before.
    """
    prepare_state(layout)
    check_run_id(layout, run_id)
    # there is no folder before there is a run; and whoever starts one of this name at the same time has his own files
    mark = secrets.token_hex(4)
    said, log = (layout.runs / f".{run_id}.{mark}.{kind}" for kind in ("json", "log"))
    globally = ["-C", str(directory), *(["--config", str(config_file)] if config_file else [])]
    argv = [*own_argv(), *globally, *command, "--json", "--run-id", run_id, *arguments]
    child: subprocess.Popen[bytes] | None = None
    try:
        child = _spawn(argv, directory, environ, standard_input or "", said, log)
        if _begins(layout.journal(run_id), child, limit_seconds):
            log.rename(layout.run(run_id) / "coordinator.log")
            return result_of_run(layout, run_id)
        if child.poll() is None:
            _stop(child)
            raise MaestroError(
                f"the run did not begin within {limit_seconds:g} s", hint="see how long `maestro plan` takes"
            )
        return _ended_at_once(child.returncode, said, log)
    except KeyboardInterrupt:
        if child is not None:  # whoever gives up waiting has been told of no run
            _stop(child)
        raise
    except OSError as error:
        raise StateError(f"run {run_id} cannot be started: {error}") from error
    finally:
        said.unlink(missing_ok=True)  # what it says at its end is kept in summary.json too
        log.unlink(missing_ok=True)


def _spawn(
    argv: Sequence[str], directory: Path, environ: Mapping[str, str], text: str, said: Path, log: Path
) -> subprocess.Popen[bytes]:
    with said.open("xb") as stdout, log.open("xb") as stderr, tempfile.TemporaryFile() as stdin:
        stdin.write(text.encode())
        stdin.seek(0)
        child = subprocess.Popen(
            argv,
            cwd=directory,
            env=dict(environ),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    threading.Thread(target=child.wait, daemon=True, name=f"reap {child.pid}").start()  # or it would end as a zombie
    return child


def _begins(journal: Path, child: subprocess.Popen[bytes], limit_seconds: float) -> bool:
    """Wait until the run has written down that it began; False where it ended before, or the time ran out."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        ended = child.poll() is not None  # asked first: what it wrote before its end is seen then
        first = read_first(journal)
        if isinstance(first, RunStarted) and first.pid == child.pid:  # not another's of the same name
            return True
        if ended:
            return False
        time.sleep(LOOK_SECONDS)
    return False


def _stop(child: subprocess.Popen[bytes]) -> None:
    """With all it has started so far, which is no agent yet."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while _has_members(child.pid) and time.monotonic() < deadline:  # a killed process takes a moment to go
        time.sleep(0.005)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _ended_at_once(code: int, said: Path, log: Path) -> dict[str, Any]:
    """The result of a run that had nothing to do; else why there is none, raised."""
    with contextlib.suppress(StateError):  # it may have been killed in mid-word
        result = read_object(said) or {}
        if "tasks" in result:
            return {**result, "alive": False}
        if "error" in result:
            raise _refusal(code, result["error"]["message"], result["error"]["hint"])
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    raise _refusal(code, f"the run ended before it began, with exit code {code}: {last}", "")


def _refusal(code: int, message: str, hint: str) -> MaestroError:
    error = MaestroError(message, hint=hint)
    error.exit_code = code if code > 0 else 1
    return error
