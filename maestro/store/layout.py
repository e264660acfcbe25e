"""Every path maestro keeps in a repository, in one place.

.flow/maestro/
    config.toml                              the user's configuration
    runs/<run>/journal.jsonl                 append-only, the truth
    runs/<run>/blueprint.json                what the run was told to do, for `maestro resume`
    runs/<run>/summary.json                  the result object of C-1a, written last
    runs/<run>/board.jsonl                   notes of tasks and people for later prompts (E-10)
    runs/<run>/attempts/<task>/<n>/          prompt.md, stdout, stderr, exit, report.json
    runs/<run>/gates/<n>/                    output and junit.xml of each gate
    runs/<run>/delegate/                     offers to the subagents of a session (C-3)
    parallel_groups/<group>/metadata.json    S-1
    progress/<tracker>.json                  progress of trackers that are not written back (T-3)
    progress/landed.jsonl                    what landed in which run, on which branch (P-4)
    progress/spent/<UTC date>.jsonl          what each attempt of that day used (A-7)
    locks/                                   lock files; the kernel frees them
    history.db                               all runs in SQLite, made of the journals (S-2)
    .gitignore                               hides itself and history.db
"""

from __future__ import annotations

from pathlib import Path

from maestro.model.ids import safe_name


class Layout:
    """Paths below one repository's `.flow/maestro`."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.root = repository / ".flow" / "maestro"
        self.config = self.root / "config.toml"
        self.runs = self.root / "runs"
        self.groups = self.root / "parallel_groups"
        self.progress = self.root / "progress"
        self.landed = self.root / "progress" / "landed.jsonl"
        self.spent = self.root / "progress" / "spent"
        self.locks = self.root / "locks"
        self.history = self.root / "history.db"

    def run(self, run_id: str) -> Path:
        return self.runs / run_id

    def journal(self, run_id: str) -> Path:
        return self.run(run_id) / "journal.jsonl"

    def blueprint(self, run_id: str) -> Path:
        return self.run(run_id) / "blueprint.json"

    def summary(self, run_id: str) -> Path:
        return self.run(run_id) / "summary.json"

    def board(self, run_id: str) -> Path:
        return self.run(run_id) / "board.jsonl"

    def attempts(self, run_id: str) -> Path:
        return self.run(run_id) / "attempts"

    def attempt(self, run_id: str, task_name: str, attempt: int) -> Path:
        return self.attempts(run_id) / task_name / str(attempt)

    def gate(self, run_id: str, number: int) -> Path:
        return self.run(run_id) / "gates" / str(number)

    def delegate(self, run_id: str) -> Path:
        return self.run(run_id) / "delegate"

    def group(self, group_id: str) -> Path:
        return self.groups / safe_name(group_id)

    def metadata(self, group_id: str) -> Path:
        return self.group(group_id) / "metadata.json"

    def state_dirs(self) -> tuple[Path, ...]:
        """Directories that must not show up in `git status` (S-2)."""
        return (self.runs, self.groups, self.progress, self.locks)
