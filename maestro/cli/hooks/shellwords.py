"""A shell command line cut into simple commands, as far as text alone tells. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_QUOTED_OR_COMMENT = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|(?<![^\s;&|()])#[^\n]*", re.DOTALL)
_SIGNS = re.compile(r"&?>>?\|?&?|<+[&>(-]?|[;&|()\n]+|.")
_SEPARATORS = re.compile(r"[;&|()\n]+")
_REDIRECTIONS = re.compile(r"(&?>>?\|?&?)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "command", "exec", "env", "nohup", "sudo"}
)


class Simple(NamedTuple):
    """One simple command: its words, the files it is redirected to, and the signs behind it."""

    words: tuple[str, ...]
    written: tuple[str, ...]
    after: str


def simple_commands(command: str) -> list[Simple]:
    """Split a command line. Where its quotes do not end where we think, its beginning has to do."""
    text = _QUOTED_OR_COMMENT.sub(_no_comment, _HEREDOC.sub(r"<\3", command))
    try:
        return list(_split(text))
    except ValueError:
        return list(_split(text.strip().partition("\n")[0].split("&&")[0].replace("'", "").replace('"', "")))


def _no_comment(found: re.Match[str]) -> str:
    return "" if found[0].startswith("#") else found[0]


def _split(text: str) -> Iterator[Simple]:
    words: list[str] = []
    written: list[str] = []
    redirected = ""
    for token in _tokens(text):
        if _REDIRECTIONS.fullmatch(token) or token.startswith("<"):
            if words and words[-1] in ("1", "2"):
                words.pop()
            redirected = token
        elif _SEPARATORS.fullmatch(token):
            yield Simple(_program_first(words), tuple(written), token)
            words, written, redirected = [], [], ""
        elif redirected:
            if ">" in redirected and not token.isdecimal():
                written.append(token)
            redirected = ""
        else:
            words.append(token)
    yield Simple(_program_first(words), tuple(written), "")


def _tokens(text: str) -> Iterator[str]:
    """Words and signs; signs that stand together are told apart."""
    signs = "();<>|&\n"
    lexer = shlex.shlex(text, posix=True, punctuation_chars=signs)
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    for token in lexer:
        yield from _SIGNS.findall(token) if token and not token.strip(signs) else [token]


def _program_first(words: Sequence[str]) -> tuple[str, ...]:
    """The words from the program on: no assignments, no keywords, no `timeout 60` before it."""
    rest = list(words)
    while rest:
        if _ASSIGNMENT.match(rest[0]) or rest[0] in _KEYWORDS:
            rest.pop(0)
        elif rest[0] == "timeout" and len(rest) > 1:
            rest.pop(0)
            while len(rest) > 1 and rest[0].startswith("-"):
                del rest[: 2 if rest[0] in ("-k", "-s") else 1]
            del rest[:1]  # how long
        else:
            break
    return tuple(rest)
