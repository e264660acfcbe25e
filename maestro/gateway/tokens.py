"""What an attempt has in place of a key: a word that only this run's gateway takes (A-6).

The token names its attempt and proves it with the gateway's secret, so that the gateway needs to be told of no attempt
and a coordinator that resumes the run gives an attempt the token that it has already. The secret is random, lives in
the memory and the environment of the gateway alone (readable by the same user only) and dies with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "maestro-"
CONTROL = "control"
"""The coordinator's own name; attempts have slashes in theirs."""


def new_secret() -> str:
    """For one gateway."""
    return secrets.token_hex(32)


def token_of(secret: str, attempt_id: str) -> str:
    """The token of an attempt: always the same for the same secret."""
    name = base64.urlsafe_b64encode(attempt_id.encode()).decode().rstrip("=")
    return f"{PREFIX}{name}.{_proof(secret, attempt_id)}"


def attempt_of(secret: str, token: str) -> str | None:
    """Whose token it is; None for anything that is none of this gateway's."""
    name, dot, proof = token.removeprefix(PREFIX).partition(".")
    if not token.startswith(PREFIX) or not dot:
        return None
    try:
        attempt_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return attempt_id if hmac.compare_digest(proof.encode(), _proof(secret, attempt_id).encode()) else None


def fingerprint(secret: str, values: tuple[str, ...]) -> str:
    """Tells whether two sides have the same keys, and nothing else."""
    return _proof(secret, "\0".join(values))


def _proof(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:48]
