"""API keys from variables or a command, checked and kept from every text (A-6).

No value ever goes into a message: a key is named by where it came from.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from maestro.errors import BadInput
from maestro.model.record import Record

COMMAND_SECONDS = 30.0
_MOST_BYTES = 1 << 20
_LOGINS = (
    (re.compile(r"sk-ant-(oat|ort|sid)"), "the login of a subscription"),
    (re.compile(r"eyJ[\w-]+=*\.[\w-]+=*\.[\w-]*=*$"), "the token of a login (a JWT)"),
    (re.compile(r"ya29\.|1//"), "the token of a Google login"),
    (re.compile(r"sess-"), "the login of a browser's session"),
    (re.compile(r"\{"), "the file of a login"),
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"[!-~]{8,}")  # one word of visible ASCII


class ApiKey(Record):
    """One key; `origin` says where it came from, and is all that is ever shown of it."""

    value: str = Field(repr=False)
    origin: str  # "KEY_A", "line 2 of the command"


def read_keys(
    provider: str, from_env: Sequence[str], command: str | None, environ: Mapping[str, str]
) -> tuple[ApiKey, ...]:
    """The keys of a pool, in order. BadInput where one is missing, is no API key, or is there twice."""
    keys = [*_from_variables(provider, from_env, environ)]
    if command is not None:
        keys += _from_command(provider, command, environ)
    if not keys:
        raise BadInput(
            f"[keys.{provider}] names no key",
            hint='give from_env = ["NAME_OF_A_VARIABLE", …], or a command that prints one key a line',
        )
    seen: dict[str, str] = {}
    for key in keys:
        _check(provider, key)
        if key.value in seen:
            raise BadInput(
                f"[keys.{provider}]: {seen[key.value]} and {key.origin} hold the same key",
                hint="the provider counts a key once, however often it is named: leave one out",
            )
        seen[key.value] = key.origin
    return tuple(keys)


def _from_variables(provider: str, names: Sequence[str], environ: Mapping[str, str]) -> Iterator[ApiKey]:
    if any(not _NAME.fullmatch(name) for name in names):
        # what is no name may be a key, so it is not shown
        raise BadInput(
            f"[keys.{provider}]: from_env holds something that is not the name of a variable",
            hint="keys themselves never stand in a file: put them into variables, and name these",
        )
    if missing := [name for name in names if not environ.get(name, "").strip()]:
        are = "is not set" if len(missing) == 1 else "are not set"
        raise BadInput(
            f"[keys.{provider}]: {', '.join(missing)} {are}",
            hint=f"export {missing[0]}=… before maestro starts, or take the name out of from_env",
        )
    return (ApiKey(value=environ[name].strip(), origin=name) for name in names)


def _check(provider: str, key: ApiKey) -> None:
    for pattern, what in _LOGINS:
        if pattern.match(key.value):
            raise BadInput(
                f"[keys.{provider}]: {key.origin} holds {what}, not an API key",
                hint="a pool takes API keys only; a subscription is for the one person who has signed in",
            )
    if not _KEY.fullmatch(key.value):
        raise BadInput(f"[keys.{provider}]: {key.origin} does not hold an API key", hint="look for blanks and quotes")


def _from_command(provider: str, command: str, environ: Mapping[str, str]) -> list[ApiKey]:
    said = _printed(provider, command, environ)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        raise BadInput(f"the command of [keys.{provider}] printed no key", hint="it must print one key a line")
    return [ApiKey(value=line, origin=f"line {number} of the command") for number, line in enumerate(lines, 1)]


def _printed(provider: str, command: str, environ: Mapping[str, str]) -> str:
    """What it prints, through a pipe: on no disk, not even in a file without a name."""
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            said = _read(child, time.monotonic() + COMMAND_SECONDS)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired | BufferError):
                raise
            if isinstance(error, BufferError):
                raise BadInput(
                    f"the command of [keys.{provider}] printed more than keys are long",
                    hint="it must print one key a line",
                ) from None
            raise BadInput(
                f"the command of [keys.{provider}] did not end within {COMMAND_SECONDS:g} s",
                hint="it runs without a terminal, so it cannot ask for anything",
            ) from None  # the error would hold what was printed so far
    if child.returncode != 0:
        raise BadInput(
            f"the command of [keys.{provider}] ended with exit code {child.returncode}",
            hint="run it in a shell to see why; nothing of what it prints is shown here",
        )
    return said.decode("utf-8", "replace")


def _read(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """All it prints until it has ended. TimeoutExpired after the deadline, BufferError where it is no end."""
    assert child.stdout is not None
    said = b""
    while select.select([child.stdout], [], [], max(deadline - time.monotonic(), 0.0))[0]:
        if not (more := os.read(child.stdout.fileno(), 1 << 16)):
            child.wait(max(deadline - time.monotonic(), 0.0))
            return said
        said += more
        if len(said) > _MOST_BYTES:
            raise BufferError
    raise subprocess.TimeoutExpired(child.args, COMMAND_SECONDS)
