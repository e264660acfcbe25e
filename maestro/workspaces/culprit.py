"""Which attempt changed the user's checkout: by its processes, its words, or its files."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from maestro.proc.family import members

_CHUNK = 1 << 20
_OVERLAP = 8192
_LONGEST_SCRIPT = 1 << 20


class Change(NamedTuple):
    """Something that differs: a sentence, and the path where it is about one."""

    path: str | None
    what: str
    branch: str | None = None  # short name, where it is about one
    is_harmless: bool = False  # said, but nobody is stopped for it: a branch more, as agents make in their worktrees


class AttemptTrace(NamedTuple):
    """What is known of an attempt that runs or has just ended."""

    task: str
    marker: str  # value of MAESTRO_ATTEMPT
    command_line: str = ""
    output_files: tuple[Path, ...] = ()
    paths: tuple[str, ...] = ()  # declared or seen to be changed, relative to the repository


class Traced(NamedTuple):
    """The attempt that changed the checkout, and how that is known."""

    task: str
    evidence: str


def trace(changes: Sequence[Change], checkout: Path, attempts: Sequence[AttemptTrace]) -> Traced | None:
    """The first attempt with evidence against it, strongest evidence first; None where it may have been the user.

    A process of the attempt stands in the checkout or writes to a file there; its command, a script in it or its
    output names what changed; what changed is one of its files. A command that only takes its script from the
    checkout is no evidence.
    """
    changes = [change for change in changes if not change.is_harmless]
    if not changes:
        return None
    for look in (_by_process, _by_command, _by_output, _by_paths):
        for attempt in attempts:
            if (evidence := look(changes, checkout, attempt)) is not None:
                return Traced(task=attempt.task, evidence=evidence)
    return None


def _by_process(_changes: Sequence[Change], checkout: Path, attempt: AttemptTrace) -> str | None:
    top = os.path.realpath(checkout)
    logs = {os.path.realpath(file.parent) for file in attempt.output_files}  # maestro opened these for it
    for process in members(attempt.marker):
        cwd = _link(f"/proc/{process.pid}/cwd")
        if cwd is not None and _inside(cwd, top) and _is_really(f"/proc/{process.pid}/cwd", cwd):
            return f"its process {process.pid} works in {cwd}"
        for path in _written(process.pid):
            if _inside(path, top) and os.path.dirname(path) not in logs:  # noqa: PTH120 - text of a link
                return f"its process {process.pid} writes to {path}"
    return None


def _by_command(changes: Sequence[Change], checkout: Path, attempt: AttemptTrace) -> str | None:
    command = os.fsencode(attempt.command_line)
    if _alone(checkout).search(command):
        return f"its command names {checkout}"
    if _absolute(changes, checkout).search(command):
        return "its command names the path"
    for script in _scripts(attempt.command_line, checkout):
        for change in changes:
            if change.path is not None and _relative(change.path).search(script.read_bytes()):
                return f"its script {script} names {change.path}"
    return None


def _by_output(changes: Sequence[Change], checkout: Path, attempt: AttemptTrace) -> str | None:
    # `git worktree list` and many messages name the checkout alone; going there is another matter
    went = re.compile(rb"(?:\bcd|\bpushd|-C)[\s\"'\\]+" + _alone(checkout).pattern)
    named = _absolute(changes, checkout)
    for file in attempt.output_files:
        if _mentions(file, named):
            return f"its output ({file.name}) names the path"
        if _mentions(file, went):
            return f"its output ({file.name}) goes to {checkout}"
    return None


def _by_paths(changes: Sequence[Change], _checkout: Path, attempt: AttemptTrace) -> str | None:
    for change in changes:
        if change.branch is not None and _moves(change.branch).search(attempt.command_line):
            return f"its command moves the branch {change.branch}"
        if change.path is None:
            continue
        if change.path in attempt.paths:
            return f"{change.path} is one of its files"
        if _relative(change.path).search(os.fsencode(attempt.command_line)):
            return f"its command names {change.path}"
    return None


def _moves(branch: str) -> re.Pattern[str]:
    """A git command that switches to the branch or moves it; words such as `main` alone stand in many commands."""
    return re.compile(rf"\b(?:checkout|switch|branch|update-ref)\b[^;&|\n]*(?<![\w.-]){re.escape(branch)}(?![\w/.-])")


def _spellings(checkout: Path) -> bytes:
    spellings = {os.fsencode(checkout), os.fsencode(Path(os.path.realpath(checkout)))}
    return b"(?:" + b"|".join(re.escape(one) for one in sorted(spellings)) + b")"


def _alone(checkout: Path) -> re.Pattern[bytes]:
    """The checkout's own path, not that of something in it or beside it."""
    return re.compile(rb"(?<![\w./-])" + _spellings(checkout) + rb"/?(?![\w./-])")


def _absolute(changes: Sequence[Change], checkout: Path) -> re.Pattern[bytes]:
    """Any changed path below the checkout."""
    paths = b"|".join(re.escape(os.fsencode(change.path)) for change in changes if change.path is not None)
    return re.compile(_spellings(checkout) + rb"/(?:" + paths + rb")(?![\w/-])" if paths else rb"(?!)")


def _relative(path: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![\w.-])" + re.escape(os.fsencode(path)) + rb"(?![\w/-])")


def _scripts(command_line: str, checkout: Path) -> list[Path]:
    """Files that the command names, of which the agent may be made."""
    try:
        words = shlex.split(command_line)
    except ValueError:
        words = command_line.split()
    words += [inner for word in words if " " in word for inner in word.split()]
    found = []
    for word in words:
        try:
            script = checkout / word
            if script.is_file() and script.stat().st_size <= _LONGEST_SCRIPT:
                found.append(script)
        except (OSError, ValueError):
            continue
    return found


def _mentions(file: Path, named: re.Pattern[bytes]) -> bool:
    """Whether the output names it; read in pieces, for it may be very long."""
    try:
        with file.open("rb") as stream:
            rest = b""
            while piece := stream.read(_CHUNK):
                if named.search(rest + piece):
                    return True
                rest = piece[-_OVERLAP:]
    except OSError:
        return False
    return False


def _inside(path: str, top: str) -> bool:
    """Whether it is one of the user's files: neither git's nor maestro's own, such as a lock that an agent holds."""
    others = (f"{top}/.git", f"{top}/.flow/maestro")
    return f"{path}/".startswith(f"{top}/") and not any(f"{path}/".startswith(f"{other}/") for other in others)


def _is_really(link: str, path: str) -> bool:
    """Whether the link of a process leads to what has this path here: in a sandbox it names another folder."""
    try:
        return os.path.samestat(os.stat(link), os.stat(path))  # noqa: PTH116 - not resolved, but followed by the kernel
    except OSError:
        return False


def _written(pid: int) -> list[str]:
    """Files that the process has open for writing."""
    found = []
    try:
        numbers = [entry.name for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    for number in numbers:
        try:
            flags = re.search(r"^flags:\s*([0-7]+)", Path(f"/proc/{pid}/fdinfo/{number}").read_text(), re.MULTILINE)
        except OSError:
            continue
        path = _link(f"/proc/{pid}/fd/{number}")
        if path is not None and flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
            found.append(path)
    return found


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - the text of the link is wanted, not a path
    except OSError:
        return None
