"""How runs stand, as `maestro.store.standing` reads it: the commands' own door to it."""

from __future__ import annotations

from maestro.store.standing import (
    DIED,
    all_groups,
    finished,
    fold_journal,
    group_metadata,
    is_alive,
    known_run,
    newest_runs,
    read_object,
    result_of_run,
    run_of_group,
)

__all__ = [
    "DIED",
    "all_groups",
    "finished",
    "fold_journal",
    "group_metadata",
    "is_alive",
    "known_run",
    "newest_runs",
    "read_object",
    "result_of_run",
    "run_of_group",
]
