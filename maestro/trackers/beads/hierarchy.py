"""Who is part of what: epics with children are containers, and stand for the tasks below them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from maestro.trackers.beads.issues import Issue


class Hierarchy:
    """The issues of a database with their places in it. Parents that circle or are gone end the way up."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues: Mapping[str, Issue] = {issue.id: issue for issue in issues}
        self._children: dict[str, list[str]] = {}
        for issue in self.issues.values():
            if issue.parent is not None and issue.parent in self.issues:
                self._children.setdefault(issue.parent, []).append(issue.id)

    def children(self, name: str) -> tuple[str, ...]:
        return tuple(self._children.get(name, ()))

    def is_container(self, name: str) -> bool:
        """Whether it is an epic that is worked on through its children."""
        return self.issues[name].type == "epic" and bool(self._children.get(name))

    def ancestors(self, name: str) -> Iterator[str]:
        """The parent, its parent and so on."""
        seen = {name}
        parent = self.issues[name].parent
        while parent is not None and parent in self.issues and parent not in seen:
            yield parent
            seen.add(parent)
            parent = self.issues[parent].parent

    def below(self, name: str) -> list[str]:
        """All descendants, whatever the depth."""
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            for child in self._children.get(waiting.pop(), ()):
                if child not in found and child != name:
                    found[child] = None
                    waiting.append(child)
        return list(found)

    def stands_for(self, name: str) -> tuple[str, ...]:
        """What a dependency on an issue means: the issue, or for a container that is open the issues below it."""
        if not self.is_container(name) or self.issues[name].is_closed:
            return (name,)
        return tuple(one for one in self.below(name) if not self.is_container(one))
