"""Command lines in this process, with standard output, standard error and exit code held together."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maestro.cli.main import main
from maestro.model.events import EVENT, Event
from maestro.store.claims import claim
from maestro.store.layout import Layout
from maestro.testing.repository import Repository


@dataclass(frozen=True)
class Said:
    """How a command line ended."""

    out: str
    err: str
    code: int

    def json(self) -> Any:
        """Standard output as the one JSON object it must be."""
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def cli(repo: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in a repository; `stdin` is its standard input."""
    monkeypatch.chdir(repo.path)

    def run(*argv: str, stdin: str = "") -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(argv)
        captured = capsys.readouterr()
        return Said(captured.out, captured.err, code)

    return run


@pytest.fixture
def layout(repo: Repository) -> Layout:
    return Layout(repo.path)


@pytest.fixture
def write_run(layout: Layout) -> Callable[..., Path]:
    """Puts a run on disk: its journal, and its summary where one is given."""

    def write(run_id: str, events: Sequence[Event], summary: dict[str, Any] | None = None) -> Path:
        folder = layout.run(run_id)
        folder.mkdir(parents=True)
        lines = [b'{"journal": "maestro", "version": 1}', *(EVENT.dump_json(event) for event in events)]  # type: ignore[arg-type]
        layout.journal(run_id).write_bytes(b"\n".join(lines) + b"\n")
        if summary is not None:
            layout.summary(run_id).write_text(json.dumps(summary))
        return folder

    return write


@pytest.fixture
def alive(layout: Layout) -> Iterator[Callable[[str], None]]:
    """Makes a run look alive, as its coordinator does."""
    held = []

    def hold(run_id: str) -> None:
        held.append(claim(layout.locks, run_id=run_id, since="now", backlog=run_id, tasks=(), groups=()))

    yield hold
    for one in held:
        one.release()
