"""Which variables hold secrets, told by their names, and which of their values are worth hiding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from maestro.model.secret_forms import SHORTEST

_WORDS = frozenset({
    "KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASS",
    "PWD", "PAT", "AUTH", "CREDENTIAL", "CREDENTIALS", "JWT", "COOKIE", "BEARER", "WEBHOOK", "DSN",
})  # fmt: skip
_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "AUTH")
"""`PGPASSWORD` and `MYSQLTOKEN` have no underscore. `MONKEY` ends so too, which costs nothing."""

_WHERE = frozenset({
    "SOCK", "SOCKET", "FILE", "FILES", "PATH", "PATHS", "DIR", "DIRECTORY", "HOME", "ID", "NAME", "USER", "HOST",
    "TYPE", "PROVIDER", "MODE", "METHOD", "DOMAIN", "ISSUER", "AUDIENCE", "SCOPE", "SCOPES", "VERSION", "ALGORITHM",
})  # fmt: skip
"""The last word of a name whose value says where, whose or what kind a secret is, and not what it is."""

_COMMON = frozenset({
    "anonymous", "automatic", "changeme", "development", "disabled", "enabled", "external", "internal", "keychain",
    "keyring", "localhost", "optional", "password", "postgres", "postgresql", "production", "required", "standard",
    "undefined", "unlimited", "username",
})  # fmt: skip

_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_USERINFO = re.compile(r"://([^\s/@:]*):([^\s/@]+)@", re.ASCII)
_ALONE = re.compile(r"://([^\s/@:]+)@", re.ASCII)
_RANDOM = re.compile(r"(?=\S*[0-9])(?=\S*[A-Za-z])[^\s/:]{16,}", re.ASCII)
_PATH = re.compile(r"(?:~|\.{1,2})?/(?:[\w.@ ,()~:-]{1,80}/)+[\w.@ ,()~:-]*|~?/[\w.-]{0,15}")
_LONG_WORD = re.compile(r"[A-Za-z0-9_-]{20,}", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", re.ASCII)
_COUNTED = frozenset(
    {"TOKENS", "MS", "SECONDS", "TTL", "LIMIT", "SIZE", "LENGTH", "COUNT", "PORT", "TIMEOUT", "EXPIRY"}
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret: API_KEY, PGPASSWORD, clientSecret; not SSH_AUTH_SOCK, KEYBOARD
    or GIT_AUTHOR_NAME."""
    words = _words(name)
    if not words or words[-1] in _WHERE or words in (["PWD"], ["OLDPWD"]):
        return False
    return any(word in _WORDS or word.endswith(_ENDINGS) for word in words)


def is_worth_hiding(value: str) -> bool:
    """Whether the value can be looked for in texts: long enough, no common word, no mask; not a path, nor an address
    without anything in it that nobody would make up."""
    if len(value) < SHORTEST or "***" in value or value.lower() in _COMMON or len(set(value)) <= 2:
        return False
    if "://" in value and not _USERINFO.search(value):
        return _LONG_WORD.search(value) is not None
    return not _PATH.fullmatch(value)


def secrets_in_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of variables with secret names, and passwords in addresses, whatever the variable is called."""
    for name, value in environ.items():
        if is_secret_name(name) and not (value.isdigit() and _words(name)[-1] in _COUNTED):
            yield value
        yield from passwords_in(value)


def _words(name: str) -> list[str]:
    return [word.upper() for word in _SPLIT.split(name) if word]


def secrets_in_tree(value: Any, under: str = "") -> Iterator[str]:
    """The same for settings: texts whose key is a secret name, at whatever depth. Of `env` and `headers` also values
    that no person has made up: that is where keys stand, whatever they are called."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from secrets_in_tree(one, str(key))
            if str(key).lower() in ("env", "environment", "headers") and isinstance(one, Mapping):
                yield from (text for text in one.values() if isinstance(text, str) and _RANDOM.fullmatch(text))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from secrets_in_tree(one, under)
    elif isinstance(value, str) and not _VARIABLE.fullmatch(value):  # `env_key` names one
        if is_secret_name(under) or under.lower() == "authorization":
            yield value
            yield value.partition(" ")[2]  # `Bearer …` without its first word
        yield from passwords_in(value)


def secrets_in_credentials(text: str) -> Iterator[str]:
    """Of a file as git's credential store keeps it; there a name alone is a token."""
    yield from passwords_in(text)
    for match in _ALONE.finditer(text):
        yield match[1]
        yield unquote(match[1])


def passwords_in(text: str) -> Iterator[str]:
    """The passwords of addresses in the text, as they stand there and without their percent signs."""
    if "://" in text and "@" in text:
        for match in _USERINFO.finditer(text):
            yield match[2]
            yield unquote(match[2])
