"""What secrets look like whoever owns them: keys of known providers, headers, addresses with a password, private keys.

Each shape has words without which it cannot be there, so that a text that holds none of them is only searched for
plain words. No pattern can be made slow: after a prefix there is one run of letters of one class, which is taken
whole or not at all, and a run is entered at its beginning only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache


def _begun_by(prefix: str) -> str:
    """The prefix where a word begins: also after an escape of JSON, of an address, or of a colour. `task-ant-hill` is
    no key. The prefix comes first, for a pattern that begins with plain letters skips most of a text."""
    before = (r"\\[nrtbf]", r"%[0-9A-Fa-f]{2}", r"\[[0-9]m", r"[\[;][0-9]{2}m")
    escaped = "".join(f"|(?<={one}{prefix})" for one in before)
    return f"{prefix}(?:(?<![A-Za-z0-9]{prefix}){escaped})"


_PIECE = r"(?:[A-Z][a-z]{2,14}+|[a-z]{1,15}+)"


def _no_words(after: str) -> str:
    """What follows is more than words, as names of code and of files are: `request.headers.authorization`,
    `AuthorizationMiddleware(app)`, `src/auth/handlers.py`. A key has digits, or capitals where no word has one.
    `after`: the letters of which a value may be made, as a class; where it is over, so are the words.

    Not for a run that may hold its own beginning: what is words would be entered again at each of them."""
    return rf"(?!{_PIECE}(?:[._/()\[\]-]++{_PIECE}|[A-Z][a-z]{{2,14}}+)*+[._/()\[\]-]*+(?!{after}))"


_VALUE = r"[^\s\"'\\,;<>*]"
_TOKEN = r"[A-Za-z0-9._~+/=-]"
_SCHEME = r"(?i:(?:bearer|basic|token|apikey)[ \t]{1,4})"
_HEADER = r"[\"'\\]{0,4}[ \t]{0,4}[:=][ \t]{0,4}[\"'\\]{0,4}"
_KEY = r"[A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----"
_BREAK = r"(?:\s|\\[nr])"
_LINES = rf"(?:{_BREAK}*+[A-Za-z0-9+/=]{{24,}}+)++(?:{_BREAK}++[A-Za-z0-9+/=]++)?"
"""Of a key whose end was cut off."""


_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sk-",), _begun_by("sk-") + r"(?:(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{8,}|[A-Za-z0-9]{32,})"),
    (("ghp_", "ghs_", "gho_", "ghu_", "ghr_"), r"gh[psour]_[A-Za-z0-9]{16,}"),
    (("github_pat_",), r"github_pat_[A-Za-z0-9_]{16,}"),
    (("glpat-",), r"glpat-[A-Za-z0-9_-]{16,}"),
    (("AKIA",), _begun_by("AKIA") + r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    (("ASIA",), _begun_by("ASIA") + r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    (("xox",), r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    (("AIza",), _begun_by("AIza") + r"[A-Za-z0-9_-]{32,}"),
    (("maestro-",), _begun_by("maestro-") + r"(?<![_-]maestro-)[A-Za-z0-9_-]{4,}+\.[0-9a-f]{48}"),
    (("eyJ",), _begun_by("eyJ") + r"(?<![_-]eyJ)[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*"),
    (
        ("uthorization", "UTHORIZATION"),
        rf"(?i:authorization){_HEADER}(?:{_SCHEME}|{_no_words(_VALUE)})({_VALUE}{{8,}})",
    ),
    (("earer ",), rf"earer (?<=[Bb]earer ) {{0,3}}{_no_words(_TOKEN)}({_TOKEN}{{20,}})"),
    (
        ("pi-key", "pi-Key", "PI-KEY"),
        rf"(?i:x-(?:goog-)?api-key){_HEADER}({_VALUE}{{8,}})",
    ),
    (("://",), r"://([^\s/@:\"'<>\\*]*:[^\s/@\"'<>\\]+)@"),
    (("PRIVATE KEY",), rf"-----BEGIN {_KEY}(?:(?:[^-]|-(?!----))*+-----END {_KEY}|{_LINES})"),
)
"""Words of which one must be there, and the pattern; where it has a group, that is the secret."""


_MARKS = tuple((word, pattern) for words, pattern in _SHAPES for word in words)


def shaped_like_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Where something stands that looks like a secret, shape by shape. Of a header only the value is meant."""
    # one plain loop over the words, each pattern once: all that most texts cost, and every event is one
    for pattern in dict.fromkeys([pattern for word, pattern in _MARKS if word in text]):
        for match in _compiled(pattern).finditer(text):
            yield match.span(match.lastindex or 0)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Made when first needed: most calls of the command line meet no text that looks like a secret."""
    return re.compile(pattern, re.ASCII)
