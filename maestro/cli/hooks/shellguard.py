"""Where the shell commands of a task's subagent may work, as far as their words tell. Pure.

A subagent's shell starts in the user's checkout each time, so a command that does not go to the workspace first works
on the user's files. What is built at run time (variables, scripts) is not seen: this keeps a willing agent on its way
and is no sandbox. The user's checkout is compared before and after in any case (W-3).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from maestro.cli.hooks.fileguard import Fence

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_SEPARATORS = re.compile(r"[;&|()\n]+")
_REDIRECTIONS = re.compile(r"(&?>>?\|?|>&)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "command", "exec", "env"}
)
_ONLY_LOOK = frozenset({
    "[", "cat", "cut", "date", "diff", "do", "done", "echo", "else", "esac", "export", "false", "fi", "file", "for",
    "grep", "head", "id", "jq", "less", "ls", "printf", "pwd", "read", "rg", "set", "sleep", "sort", "stat", "tail",
    "test", "tr", "true", "type", "uniq", "wc", "which", "while", "}",
})  # fmt: skip
_GIT_ONLY_LOOKS = frozenset({"blame", "diff", "log", "ls-files", "rev-parse", "show", "status", "version"})
_WRITE_TO_ALL = frozenset({"chmod", "chown", "mkdir", "mv", "rm", "rmdir", "tee", "touch", "truncate", "unlink"})
_WRITE_TO_LAST = frozenset({"cp", "install", "ln", "rsync"})


class _Simple(NamedTuple):
    """One simple command: its words, and the files it is redirected to."""

    words: tuple[str, ...]
    written: tuple[str, ...]


def refuse_command(command: str, cwd: Path, fence: Fence) -> str | None:
    """Why a command may not be run, with what to do instead; None where it may. `cwd` is where the shell starts."""
    try:
        parts = list(_simple_commands(command))
    except ValueError:  # quotes that do not end where we think: its beginning has to do
        parts = list(_simple_commands(command.splitlines()[0].split("&&")[0].replace("'", "").replace('"', "")))
    where: Path | None = cwd
    for part in parts:
        words = part.words
        if words and words[0] in ("cd", "pushd"):
            where = _goes_to(words, where)  # only to look is fine; what works there is refused
        elif why := _refuse_simple(words, where, fence):
            return why
        for name in part.written:
            path = _resolve(name, where)
            if path is not None and fence.is_foreign(path):
                return _stay(f"{path} is not yours to write; write to {fence.instead(path)}", fence)
    return None


def _refuse_simple(words: Sequence[str], where: Path | None, fence: Fence) -> str | None:
    if not words or _is_maestro(words):
        return None
    program = _name(words[0])
    if program == "git":
        where, words = _git_works_in(words, where)
        if "push" in words[1:2]:
            return "maestro: do not push: commit in your workspace, and maestro lands your work when you have reported"
    for name in _targets(program, words):
        path = _resolve(name, where)
        if path is not None and fence.is_foreign(path):
            return _stay(f"{path} is not yours to change; use {fence.instead(path)}", fence)
    if where is None or not fence.is_foreign(where) or program in _ONLY_LOOK:
        return None
    if program == "git" and words[1:2] and words[1] in _GIT_ONLY_LOOKS:
        return None
    return _stay(f"`{program}` would work in {where}, which is not yours", fence)


def _stay(what: str, fence: Fence) -> str:
    return f"maestro: {what}. Start the command with `cd {shlex.quote(str(fence.workspace))} && `"


def _is_maestro(words: Sequence[str]) -> bool:
    """A call of maestro itself, however it is started: alone, as a module, or by its script."""
    return (
        _name(words[0]) == "maestro"
        or ("-m", "maestro") in pairwise(words[:6])
        or any(_name(word) == "parallel_coordinator.py" for word in words[:3])
    )


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _targets(program: str, words: Sequence[str]) -> Sequence[str]:
    """The arguments that name what is written."""
    names = [word for word in words[1:] if not word.startswith("-")]
    if program in _WRITE_TO_ALL:
        return names
    if program in _WRITE_TO_LAST or (program == "sed" and any(word.startswith("-i") for word in words)):
        return names[-1:]
    return ()


def _git_works_in(words: Sequence[str], where: Path | None) -> tuple[Path | None, Sequence[str]]:
    """The directory of a git command, and its words from the subcommand on."""
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-C", "-c", "--git-dir", "--work-tree") and rest:
            value = rest.pop(0)
            where = _resolve(value, where) if option == "-C" else where
    return where, ["git", *rest]


def _goes_to(words: Sequence[str], where: Path | None) -> Path | None:
    names = [word for word in words[1:] if not word.startswith("-")]
    return _resolve(names[0], where) if names else None


def _resolve(name: str, where: Path | None) -> Path | None:
    """The path a word means; None where only the shell knows."""
    if any(sign in name for sign in "$`*?") or name.startswith("~"):
        return None
    if not name.startswith("/") and where is None:
        return None
    return Path(os.path.normpath(os.path.join(where or "/", name)))  # noqa: PTH118 - of text, not of a file


def _simple_commands(command: str) -> Iterator[_Simple]:
    """Split a command line; ValueError where its quotes do not end."""
    lexer = shlex.shlex(_HEREDOC.sub(r"<\3", command), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    words: list[str] = []
    written: list[str] = []
    redirected = ""
    for token in lexer:
        if _REDIRECTIONS.fullmatch(token) or token.startswith("<"):
            if words and words[-1] in ("1", "2"):
                words.pop()
            redirected = token
        elif _SEPARATORS.fullmatch(token):
            yield _Simple(_program_first(words), tuple(written))
            words, written, redirected = [], [], ""
        elif redirected:
            if ">" in redirected and not token.isdecimal():
                written.append(token)
            redirected = ""
        else:
            words.append(token)
    yield _Simple(_program_first(words), tuple(written))


def _program_first(words: Sequence[str]) -> tuple[str, ...]:
    """The words from the program on: no assignments, no keywords."""
    rest = list(words)
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in _KEYWORDS):
        rest.pop(0)
    return tuple(rest)
