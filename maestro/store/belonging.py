"""Whose a run is, where a repository was copied with its state directory (W-6).

A copy holds the journal, the token and the claims of runs that go on in the original, and none of the locks by which
those are known to be alive. So what a run left is only touched from where it was begun; from where its repository was
moved to, once nothing is there any more.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from maestro.errors import BadInput, StateError
from maestro.model.events import RunStarted
from maestro.store.journal import read_first
from maestro.store.layout import Layout


def original_of(layout: Layout, run_id: str) -> Path | None:
    """The repository in which the run was begun, where that still has it and is another than this one."""
    first = _first(layout, run_id)
    if first is None:
        return None
    there = Path(first.repository)
    is_copied = there.is_absolute() and is_kept_in(there, run_id, layout) and _first(Layout(there), run_id) == first
    return there if is_copied else None


def is_kept_in(repository: Path, run_id: str, layout: Layout) -> bool:
    """Whether a repository other than the layout's keeps a run of this name. Links and mounts do not make another."""
    theirs, ours = Layout(repository).run(run_id), layout.run(run_id)
    try:
        return theirs.is_dir() and not (ours.is_dir() and theirs.samefile(ours))
    except OSError:
        return False


def refuse_in_a_copy(layout: Layout, run_id: str) -> None:
    """BadInput where the run is another repository's: two coordinators would work on it, unknown to each other."""
    if (there := original_of(layout, run_id)) is not None:
        raise BadInput(
            f"run {run_id} belongs to {there}, of which this repository is a copy",
            hint=f"go on with it there: maestro -C {quote(str(there))} resume --run-id {run_id}",
        )


def _first(layout: Layout, run_id: str) -> RunStarted | None:
    try:
        event = read_first(layout.journal(run_id))
    except StateError:
        return None
    return event if isinstance(event, RunStarted) else None
