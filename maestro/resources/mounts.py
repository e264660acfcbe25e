"""What a sandbox shows of the file system, as arguments of bubblewrap (pure but for looking at what is there).

Everything can be read and nothing written, to begin with. Then folders are hidden, and parts of them, or of what is
only readable, are brought back. Of two that hold each other the inner one wins, whatever the order they are named in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path


class _How(Enum):
    HIDDEN = "hidden"
    READ = "--ro-bind"
    WRITE = "--bind"
    DEVICE = "--dev-bind"


class Mounts:
    """Collects them. Paths that do not exist are passed over; links are followed, and found under both names."""

    def __init__(self) -> None:
        self._at: dict[Path, tuple[_How, Path]] = {}  # place → how, and what stands there

    def hide(self, *paths: Path) -> None:
        """Show an empty folder there, which cannot be written; nothing where something is shown at the very place."""
        for path in paths:
            real = _real(path)
            if real.is_dir():
                self._at.setdefault(real, (_How.HIDDEN, real))

    def read(self, *paths: Path) -> None:
        """Let it be read, which only says something for what is else hidden or may be written."""
        self._show(_How.READ, paths)

    def write(self, *paths: Path) -> None:
        """Let it be written."""
        self._show(_How.WRITE, paths)

    def put(self, folder: Path, at: Path) -> None:
        """Let `folder`, which may be written, stand in the place of another."""
        self._at[_real(at)] = (_How.WRITE, _real(folder))

    def copy(self) -> Mounts:
        """Another with the same."""
        other = Mounts()
        other._at = dict(self._at)
        return other

    def arguments(self) -> list[str]:
        """In the order that bubblewrap needs: what holds others comes first, what is made read-only last."""
        said: list[str] = []
        hidden: list[str] = []
        for place, (how, source) in sorted(self._at.items(), key=lambda one: (len(one[0].parts), one[0])):
            if how is _How.READ and not self._is_hidden(place):
                continue  # it can be read as it is
            if how is _How.HIDDEN:
                said += ["--tmpfs", str(place)]
                hidden += ["--remount-ro", str(place)]
            else:
                said += [how.value, str(source), str(place)]
        return said + hidden

    def links_in(self, folder: Path) -> list[Path]:
        """Links in the folder over or below which something would be put: it would appear where they lead."""
        found = []
        for place in self._at:
            around = [one for one in place.parents if self._at.get(one, (_How.HIDDEN,))[0] is _How.WRITE]
            if around:
                source = self._at[around[0]][1]
                steps = place.relative_to(around[0]).parts
                paths = (source.joinpath(*steps[: number + 1]) for number in range(len(steps)))
                found += [path for path in paths if path.is_relative_to(_real(folder)) and path.is_symlink()]
        return found

    def _show(self, how: _How, paths: Iterable[Path]) -> None:
        for path in paths:
            real = _real(path)
            if not real.exists():
                continue
            exact = _How.DEVICE if how is _How.WRITE and real.is_relative_to("/dev") else how
            self._at[real] = (exact, real)
            named = Path(os.path.normpath(path))
            if named != real and self._is_hidden(named):
                self._at[named] = (exact, real)

    def _is_hidden(self, path: Path) -> bool:
        """Whether something else than the system itself stands there, or around it."""
        return any(path.is_relative_to(place) for place, (how, _) in self._at.items() if how is not _How.READ)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
