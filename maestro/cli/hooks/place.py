"""Where delegate runs are under way, found from what a hook is told, with a few system calls and no git."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from maestro.model.ids import is_plain
from maestro.store.filelocks import is_held
from maestro.store.layout import Layout


class Place(NamedTuple):
    """A repository in which delegate runs are under way."""

    layout: Layout
    runs: tuple[str, ...]


class Working(NamedTuple):
    """What the file guard needs to know of an attempt."""

    workspace: Path
    is_over: bool


def find_place(payload: Mapping[str, Any], environ: Mapping[str, str]) -> Place | None:
    """From the directory of the session's, else that of its project; None where no delegate run is under way."""
    for start in (payload.get("cwd"), environ.get("CLAUDE_PROJECT_DIR")):
        if not start:
            continue
        for folder in (Path(str(start)), *Path(str(start)).parents):
            layout = Layout(folder)
            if (layout.locks / "live").is_dir():
                if runs := tuple(_live_delegate_runs(layout)):
                    return Place(layout, runs)
                break
    return None


def attempt_of(place: Place, mark: str) -> Working | None:
    """The attempt whose prompt has the marked line, also of a run that has ended; None where it is of none here."""
    run_id = mark.split(" ")[1]
    folder = place.layout.delegate(run_id) if is_plain(run_id) else None
    for path in folder.glob("offers/*.json") if folder else ():
        try:
            offer = json.loads(path.read_bytes())
            if str(offer["prompt"]).startswith(f"{mark}\n"):
                is_over = run_id not in place.runs or (path.parents[1] / "ended" / path.stem).exists()
                return Working(Path(offer["workspace"]), is_over)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not ours, or on its way to its name
    return None


def _live_delegate_runs(layout: Layout) -> Iterator[str]:
    for path in sorted((layout.locks / "live").glob("*.json")):
        if (layout.delegate(path.stem) / "offers").is_dir() and is_held(path):
            yield path.stem
