"""The environment of an agent: an allow-list of the parent's, never the parent's as it is (I-6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

ALLOWED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ",
    "LANG", "LANGUAGE", "LC_*",
    "TERM", "COLORTERM", "NO_COLOR",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    # where the machine's certificates are: without them nothing behind a company's proxy works
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
)  # fmt: skip
"""Names, and patterns with `*`, that every child gets. No secret lives under any of them."""


def allowed_environment(parent: Mapping[str, str], extra: Collection[str] = ()) -> dict[str, str]:
    """The part of `parent` that matches ALLOWED or `extra` (an adapter's own names, the configuration's).

    A name in `extra` that begins with `!` is left out whatever else matches: an agent that starts maestro must not
    hand its own session on to the agents maestro starts.
    """
    patterns = (*ALLOWED, *(name for name in extra if not name.startswith("!")))
    refused = {name[1:] for name in extra if name.startswith("!")}
    plain = {name for name in patterns if "*" not in name}
    globs = [name for name in patterns if "*" in name]
    return {
        name: value
        for name, value in parent.items()
        if name not in refused and (name in plain or any(fnmatchcase(name, pattern) for pattern in globs))
    }
