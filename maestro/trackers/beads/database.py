"""The issues as last read, and what keeps that true: reading back after each write, and again when somebody wrote.

All reading is in bulk: the whole database by one `export`, or some issues by one `list --id`, which costs the same
for one as for fifty.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from maestro.errors import TrackerError
from maestro.model.record import Record
from maestro.trackers.beads import answers
from maestro.trackers.beads.client import PROGRAM, Answer, Bd
from maestro.trackers.beads.fingerprint import Fingerprint, fingerprint
from maestro.trackers.beads.hierarchy import Hierarchy
from maestro.trackers.beads.issues import Issue, issues_in
from maestro.trackers.beads.place import check_jsonl
from maestro.trackers.beads.standing import run_of


class Written(Record):
    """What a writing call showed."""

    shown: frozenset[str]  # the issues in its answer; empty where the outcome is unknown
    said: dict[str, str]  # what it complained about, by issue


class Database:
    """What is known of one beads database."""

    def __init__(self, bd: Bd) -> None:
        self.bd = bd
        self._issues: dict[str, Issue] = {}
        self._hierarchy: Hierarchy | None = None
        self._print: Fingerprint | None = None  # of the files when what is known was true; None: it must be read again
        self._proven: set[str] = set()  # what bd has shown since our last write

    @property
    def hierarchy(self) -> Hierarchy:
        """All issues as known, with their places."""
        if self._hierarchy is None:
            self._hierarchy = Hierarchy(self._issues.values())
        return self._hierarchy

    def issue(self, name: str) -> Issue | None:
        """An issue as known."""
        return self._issues.get(name)

    def load(self) -> Hierarchy:
        """Read everything. TrackerError where anything cannot be read; it is never an empty database."""
        before = self._now()
        check_jsonl(self.bd.folder)
        found = answers.lines_in(self.bd.read("export"), f"`{PROGRAM} export`")
        # an empty answer is one of success and of much else
        if not found and answers.objects_in(self._list(), f"`{PROGRAM} list`"):
            raise TrackerError(f"`{PROGRAM} export` gave nothing, though there are issues")
        self._know({issue.id: issue for issue in issues_in(found, f"`{PROGRAM} export`")})
        self._proven = set(self._issues)
        self._was_read(before)
        return self.hierarchy

    def refresh(self) -> None:
        """Read everything again, unless nobody has written since it was last true."""
        if self._print is None or self._print != self._now():
            self.load()

    def renew(self, names: Iterable[str]) -> None:
        """Know for certain how some issues stand.

        After a write of ours the files cannot tell whether somebody else wrote during it: what bd has not shown since
        is read again.
        """
        self.refresh()
        if unproven := [name for name in names if name in self._issues and name not in self._proven]:
            self.read(unproven)

    def read(self, names: Collection[str]) -> None:
        """Read some issues; one that is gone is forgotten. Those that runs work on are read with them: it costs
        the same, and saves the call that `renew` would need."""
        names = tuple(dict.fromkeys((*names, *self._worked_on())))
        before = self._now()
        found = answers.objects_in(self._list("--id", ",".join(names)), f"`{PROGRAM} list`")
        seen = {issue.id: issue for issue in issues_in(found, f"`{PROGRAM} list`")}
        _same(names, seen)
        known = {name: issue for name, issue in self._issues.items() if name not in names}
        for name, issue in seen.items():
            old = self._issues.get(name)  # 0.4x lists no dependencies
            known[name] = issue.evolve(links=old.links) if old is not None and not issue.links else issue
        order = dict.fromkeys((*self._issues, *known))
        self._know({name: known[name] for name in order if name in known})
        self._proven |= set(names)
        self._was_read(before)

    def _worked_on(self) -> Iterator[str]:
        """What is a run's and was not shown since our last write."""
        for name, issue in self._issues.items():
            if issue.status == "in_progress" and run_of(issue.assignee) and name not in self._proven:
                yield name

    def write(self, *args: str, names: Sequence[str], actor: str) -> Written:
        """Change issues by one call. What the answer shows of them counts as known until it is read back.

        TrackerError when bd acted on another issue than the ones named.
        """
        answer = self.bd.write(*args, actor=actor)
        seen: Mapping[str, Issue] = {}
        if answer.ok:
            with contextlib.suppress(TrackerError):  # success without proof is for the reading back to judge
                found = answers.objects_in(answer.stdout, f"`{PROGRAM} {args[0]}`")
                seen = {issue.id: issue for issue in issues_in(found, f"`{PROGRAM} {args[0]}`")}
            _same(names, seen)
        self._was_shown(seen)
        self._proven = set(seen)
        self._print = self._now() if answer.known and (seen or not answer.ok) else None
        return Written(shown=frozenset(seen), said=_complaints(answer, names))

    def close_by_batch(self, reasons: Mapping[str, str], actor: str) -> bool:
        """Close issues by one transaction, each with its reason; whether it says that all of them are. 1.x only.

        It asks nothing: what has open blockers is for `write("close", …)`, which lets beads refuse.
        """
        lines = "".join(f"close {name} {reason}\n" for name, reason in reasons.items())
        answer = self.bd.write("batch", "--json", actor=actor, stdin=lines)
        self._proven = set()
        self._print = None
        if not answer.ok:
            return False
        with contextlib.suppress(TrackerError):
            said = answers.value_in(answer.stdout, f"`{PROGRAM} batch`")
            results = said.get("results") if isinstance(said, dict) else None
            done = [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []
            if [one.get("target") for one in done] == list(reasons):
                known = {name: self._issues[name] for name in reasons if name in self._issues}
                closed = {name: one.evolve(status="closed", close_reason=reasons[name]) for name, one in known.items()}
                self._know({**self._issues, **closed})
                self._print = self._now()
                return True
        return False

    def _was_shown(self, seen: Mapping[str, Issue]) -> None:
        updated = {
            name: self._issues[name].evolve(
                status=issue.status, assignee=issue.assignee, notes=issue.notes, close_reason=issue.close_reason
            )
            for name, issue in seen.items()
            if name in self._issues
        }
        self._know({**self._issues, **updated})

    def _list(self, *args: str) -> str:
        return self.bd.read("list", *args, "--all", "--limit", "0", "--json")

    def _know(self, issues: dict[str, Issue]) -> None:
        self._issues = issues
        self._hierarchy = None

    def _now(self) -> Fingerprint | None:
        return fingerprint(self.bd.folder)

    def _was_read(self, before: Fingerprint | None) -> None:
        """What was written while it was read is not known: the marks are those of before, the files' those of after."""
        after = self._now()
        self._print = None if before is None or after is None else after.evolve(marks=before.marks)


def _same(names: Collection[str], seen: Mapping[str, Issue]) -> None:
    """bd takes part of an id for the whole, so what it acted on is held against what was meant."""
    others = sorted(set(seen) - set(names))
    if others:
        raise TrackerError(
            f"{PROGRAM} took {', '.join(names)} for {', '.join(others)}",
            hint="see with `bd show` what has become of that issue",
        )


def _complaints(answer: Answer, names: Sequence[str]) -> dict[str, str]:
    """bd's own words on each issue, where it names one; else the same words for all."""
    lines = [line.strip() for line in answer.stderr.splitlines()]
    said = {name: next((line for line in lines if _names(line, name)), "") for name in names}
    if not answer.known:
        return dict.fromkeys(names, "bd did not end in time, or died")
    whole = "" if answer.ok else answer.error
    return {name: answers.first_line(line or whole) for name, line in said.items() if line or whole}


def _names(line: str, name: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\d)", line) is not None
