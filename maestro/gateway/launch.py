"""Starts, finds and ends the process of a gateway; nothing here needs its HTTP libraries.

All functions block for a moment: call them in a thread.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from maestro.errors import WorkspaceError
from maestro.gateway.contract import CONTROL_PATH, SECRET, Report, Told
from maestro.gateway.tokens import CONTROL, token_of
from maestro.proc.family import ProcessId, carries, identify, members, start_time
from maestro.proc.ourselves import own_argv
from maestro.proc.request import MARKER

START_SECONDS = 30.0
END_SECONDS = 5.0
ASK_SECONDS = 5.0
_INHERITED = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip


class Running(NamedTuple):
    """A gateway that answers."""

    process: ProcessId
    port: int
    secret: str


def launch(told: Told, secret: str, environ: Mapping[str, str], log: Path) -> Running:
    """Start one, and wait until it listens. WorkspaceError where it does not."""
    log.parent.mkdir(parents=True, exist_ok=True)
    inherited = {name: environ[name] for name in _INHERITED if name in environ}
    with log.open("ab") as said:
        child = subprocess.Popen(
            [*own_argv()[:-1], "maestro.gateway"],
            cwd="/",
            env={**inherited, MARKER: told.marker, SECRET: secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # no ^C for the coordinator reaches it
        )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdout:
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(told.model_dump_json().encode())
        line = child.stdout.readline() if select.select([child.stdout], [], [], START_SECONDS)[0] else b""
    started = start_time(child.pid) or 0.0
    if not line.strip():
        child.kill()
        child.wait()
        raise WorkspaceError(
            f"the gateway for {told.provider} did not start", hint=f"{log} has what it said; is the port free?"
        )
    child.returncode = 0  # it may outlive this process: Popen must neither warn nor wait
    return Running(ProcessId(child.pid, started), int(line), secret)


def find(pid: int, pid_started: float, port: int, marker: str) -> Running | None:
    """The gateway an earlier coordinator has started, where it still lives; its secret from its environment."""
    process = identify(pid)
    if process is None or abs(process.started - pid_started) > 0.005 or not carries(pid, marker):
        return None
    with contextlib.suppress(OSError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = variable.partition(b"=")
            if name == SECRET.encode():
                return Running(process, port, value.decode())
    return None


def ask(running: Running, coordinator: ProcessId | None = None) -> Report | None:
    """How it stands, None where it does not answer; with `coordinator` it is told who looks after it now."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=ASK_SECONDS)
    headers = {"authorization": f"Bearer {token_of(running.secret, CONTROL)}"}
    body = json.dumps({"pid": coordinator.pid, "started": coordinator.started}) if coordinator else None
    try:
        connection.request("POST" if body else "GET", CONTROL_PATH, body=body, headers=headers)
        answer = connection.getresponse()
        return Report.model_validate_json(answer.read()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def end_all(marker: str) -> None:
    """End every gateway that carries the marker, and wait until it is gone."""
    deadline = time.monotonic() + END_SECONDS
    number = signal.SIGTERM
    while alive := members(marker):
        for one in alive:
            _send(one, marker, number)
        _await(alive, 0.2)
        if time.monotonic() > deadline:
            if number == signal.SIGKILL:
                return
            number, deadline = signal.SIGKILL, time.monotonic() + END_SECONDS


def reap(pid: int) -> None:
    """Let a dead child of ours go; no child of ours is none of ours to reap."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _send(one: ProcessId, marker: str, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(one.pid)
        try:
            if identify(one.pid) == one and carries(one.pid, marker):
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)


def _await(processes: list[ProcessId], seconds: float) -> None:
    """Until one of them has ended, and a child of ours is reaped."""
    for one in processes:
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(one.pid)
            try:
                select.select([pidfd], [], [], seconds)
            finally:
                os.close(pidfd)
            reap(one.pid)
