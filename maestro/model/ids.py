"""Names that are safe in paths, branches and lock files, and never collide."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def is_plain(identifier: str) -> bool:
    """Whether the id can stand in a path and a git ref as it is."""
    return (
        _PLAIN.fullmatch(identifier) is not None
        and "__" not in identifier
        and ".." not in identifier
        and not identifier.endswith((".", ".lock", "-"))
    )


def hashed_name(identifier: str) -> str:
    """A readable slug and 16 hex digits of SHA-256; holds `__`, which no plain id does."""
    slug = re.sub(r"[^a-z0-9]+", "-", identifier.lower()).strip("-")[:32].strip("-") or "id"
    return f"{slug}__{hashlib.sha256(identifier.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def safe_name(identifier: str) -> str:
    """A name for one id where no other ids are known (group folders, lock files)."""
    return identifier if is_plain(identifier) else hashed_name(identifier)


def safe_names(identifiers: Iterable[str]) -> dict[str, str]:
    """Names for the ids of one plan; ids that differ only in case are told apart by a hash."""
    ids = list(identifiers)
    folded = Counter(one.casefold() for one in ids)
    return {one: safe_name(one) if folded[one.casefold()] == 1 else hashed_name(one) for one in ids}
