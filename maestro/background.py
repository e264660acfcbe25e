"""A run in a process of its own, which outlives whoever starts it: a session's shell, an MCP server.

It is `maestro run` as a user would start it, in a session of its own so that no signal for its starter reaches it,
with its words in `coordinator.log` in the folder of the run. It is watched only until it is under way or refused.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from maestro.errors import Busy, MaestroError, StateError
from maestro.proc.ourselves import own_argv
from maestro.store.journal import read_first
from maestro.store.layout import Layout
from maestro.store.standing import read_object, result_of_run
from maestro.wiring.build import check_run_id, prepare_state

LOOK_SECONDS = 0.02


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
    way nor refused within the limit is stopped.
    """
    prepare_state(layout)
    check_run_id(layout, run_id)
    said, log = (layout.runs / f".{run_id}.{kind}" for kind in ("json", "log"))  # no folder before there is a run
    globally = ["-C", str(directory), *(["--config", str(config_file)] if config_file else [])]
    try:
        with _new(said, run_id) as stdout, _new(log, run_id) as stderr, tempfile.TemporaryFile() as stdin:
            stdin.write((standard_input or "").encode())
            stdin.seek(0)
            child = subprocess.Popen(
                [*own_argv(), *globally, *command, "--json", "--run-id", run_id, *arguments],
                cwd=directory,
                env=dict(environ),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        threading.Thread(target=child.wait, daemon=True, name=f"reap {run_id}").start()  # or it would end as a zombie
        if _begins(layout, run_id, child, limit_seconds):
            log.rename(layout.run(run_id) / "coordinator.log")
            return result_of_run(layout, run_id)
        return _ended_at_once(child, said, limit_seconds)
    except OSError as error:
        raise StateError(f"run {run_id} cannot be started: {error}") from error
    finally:
        said.unlink(missing_ok=True)  # what it says at its end is kept in summary.json too
        log.unlink(missing_ok=True)


def _new(path: Path, run_id: str) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError as error:
        raise Busy(f"run {run_id} is being started already", hint="choose another --run-id") from error


def _begins(layout: Layout, run_id: str, child: subprocess.Popen[bytes], limit_seconds: float) -> bool:
    """Wait until the run has written down that it began; False where it ended before, or the time ran out."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        ended = child.poll() is not None  # asked first: what it wrote before its end is seen then
        if read_first(layout.journal(run_id)) is not None:
            return True
        if ended:
            return False
        time.sleep(LOOK_SECONDS)
    return False


def _ended_at_once(child: subprocess.Popen[bytes], said: Path, limit_seconds: float) -> dict[str, Any]:
    """The result of a run that had nothing to do; else its refusal, raised."""
    if child.poll() is None:
        child.terminate()
        child.wait()
        raise MaestroError(
            f"the run did not begin within {limit_seconds:g} s", hint="see how long `maestro plan` takes"
        )
    result = read_object(said) or {}
    if "error" not in result:
        return {**result, "alive": False}
    error = MaestroError(result["error"]["message"], hint=result["error"]["hint"])
    error.exit_code = child.returncode
    raise error
