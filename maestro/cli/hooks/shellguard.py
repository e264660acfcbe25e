"""Where the shell commands of a task's subagent may work, as far as their words tell. Pure.

A subagent's shell starts in the user's checkout each time, so a command that does not go to the workspace first works
on the user's files. What is built at run time (variables, scripts) is not seen: this keeps a willing agent on its way
and is no sandbox. The user's checkout is compared before and after in any case (W-3).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path

from maestro.cli.hooks.fileguard import Fence
from maestro.cli.hooks.shellwords import simple_commands

_ONLY_LOOK = frozenset({
    ":", "[", "[[", "basename", "break", "case", "cat", "continue", "cut", "date", "diff", "dirname", "do", "done",
    "echo", "else", "esac", "exit", "export", "false", "fi", "file", "for", "grep", "head", "id", "jq", "less", "ls",
    "printf", "pwd", "read", "readlink", "realpath", "return", "rg", "set", "sleep", "sort", "stat", "tail", "test",
    "tr", "trap", "tree", "true", "type", "umask", "uname", "uniq", "unset", "wait", "wc", "which", "while", "}",
})  # fmt: skip
_GIT_ONLY_LOOKS = frozenset({
    "blame", "cat-file", "describe", "diff", "grep", "log", "ls-files", "ls-tree", "merge-base", "rev-list",
    "rev-parse", "shortlog", "show", "status", "version",
})  # fmt: skip
_SHELLS = frozenset({"bash", "dash", "sh", "zsh"})
_EDITORS = frozenset({"perl", "sed"})
_IN_PLACE = re.compile(r"-[a-zA-Z]*i|--in-place")
_FIND_CHANGES = frozenset({"-delete", "-exec", "-execdir", "-ok", "-okdir"})
_SOMEBODYS_HOME = re.compile(r"~[^/]")
_WRITE_TO_ALL = frozenset({"chmod", "chown", "mkdir", "mv", "rm", "rmdir", "tee", "touch", "truncate", "unlink"})
_WRITE_TO_LAST = frozenset({"cp", "install", "ln", "rsync"})


def refuse_command(command: str, cwd: Path, fence: Fence) -> str | None:
    """Why a command may not be run, with what to do instead; None where it may. `cwd` is where the shell starts."""
    where: Path | None = cwd
    outside: list[Path | None] = []  # where the shells around a subshell are
    for part in simple_commands(command):
        words = part.words
        if words and words[0] in ("cd", "pushd"):
            where = _goes_to(words, where)  # only to look is fine; what works there is refused
        elif why := _refuse_simple(words, where, fence):
            return why
        for name in part.written:
            path = _resolve(name, where)
            if path is not None and fence.is_foreign(path):
                return _stay(f"{path} is not yours to write; write to {fence.instead(path)}", fence)
        for sign in part.after:
            if sign == "(":
                outside.append(where)
            elif sign == ")" and outside:
                where = outside.pop()
    return None


def _refuse_simple(words: Sequence[str], where: Path | None, fence: Fence) -> str | None:
    if not words or _is_maestro(words):
        return None
    program = _name(words[0])
    if program in _SHELLS and where is not None and "-c" in words[1:-1]:
        return refuse_command(words[words.index("-c") + 1], where, fence)
    if program == "git":
        where, words = _git_works_in(words, where)
        if "push" in words[1:2]:
            return "maestro: do not push: commit in your workspace, and maestro lands your work when you have reported"
    for name in _targets(program, words):
        path = _resolve(name, where)
        if path is not None and fence.is_foreign(path):
            return _stay(f"{path} is not yours to change; use {fence.instead(path)}", fence)
    if where is None or not fence.is_foreign(where) or program in _ONLY_LOOK or program.startswith("-"):
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
    if program in _WRITE_TO_LAST:
        return names[-1:]
    if program in _EDITORS and any(_IN_PLACE.match(word) for word in words):
        return names
    if program == "find" and _FIND_CHANGES.intersection(words):
        return list(takewhile(lambda word: not word.startswith(("-", "(", "!")), words[1:]))
    if program == "dd":
        return [word.removeprefix("of=") for word in words if word.startswith("of=")]
    return ()


def _git_works_in(words: Sequence[str], where: Path | None) -> tuple[Path | None, Sequence[str]]:
    """The directory of a git command, and its words from the subcommand on."""
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option, is_given, given = rest.pop(0).partition("=")
        if is_given:
            where = _resolve(given, where) if option == "--work-tree" else where
        elif option in ("-C", "-c", "--git-dir", "--work-tree") and rest:
            value = rest.pop(0)
            where = _resolve(value, where) if option in ("-C", "--work-tree") else where
    return where, ["git", *rest]


def _goes_to(words: Sequence[str], where: Path | None) -> Path | None:
    names = [word for word in words[1:] if not word.startswith("-")]
    return _resolve(names[0], where) if names else None


def _resolve(name: str, where: Path | None) -> Path | None:
    """The path a word means, as it is written where it is a pattern; None where only the shell knows."""
    if any(sign in name for sign in "$`") or _SOMEBODYS_HOME.match(name):
        return None
    if name == "~" or name.startswith("~/"):
        return Path(name)  # which the fence knows how to read
    if not name.startswith("/") and where is None:
        return None
    return Path(os.path.normpath(os.path.join(where or "/", name)))  # noqa: PTH118 - of text, not of a file
