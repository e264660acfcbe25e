"""One contract for every tracker: what the Protocol promises, tried on all of them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.testing.memory_tracker import MemoryTracker
from maestro.trackers.base import Note, Tracker
from maestro.trackers.registry import open_tracker

IDS = [f"T{number:03d}" for number in range(1, 17)]
NOTE = Note(run_id="run-1", reason="all is well", commit="c" * 40, branch="integration/run-1")


@dataclass
class Backlog:
    """A backlog of the 16 tasks of IDS in one format, in a repository folder."""

    repository: Path
    kind: str
    source: Path | None
    options: dict[str, Any] = field(default_factory=dict)
    memory: MemoryTracker | None = None
    ids: list[str] = field(default_factory=lambda: IDS)

    def open(self) -> Tracker:
        """A tracker as another process would open it."""
        if self.memory is not None:
            return self.memory
        return open_tracker(self.kind, repository=self.repository, source=self.source, **self.options)

    def progress(self) -> dict[str, Progress]:
        return {task.id: task.progress for task in self.open().load()}


def entries() -> list[dict[str, Any]]:
    return [{"id": one, "title": f"Work {one}", "status": "pending", "Größe": [1, {"x": None}]} for one in IDS]


def yaml_text() -> str:
    return "# the backlog\n" + "".join(
        f"- id: {one}   # first\n  title: 'Work {one}'\n  status: pending # why\n" for one in IDS
    )


def spec_kit() -> str:
    lines = [f"- [ ] {one} [P] [US1] Work in src/{one}.py\r\n" for one in IDS]
    return "# Tasks\r\n\r\n## Phase 1: Setup\r\n\r\n" + "".join(lines) + "\r\nThe end, without a newline"


def sprints() -> dict[str, Any]:
    return {"name": "an epic", "sprints": [{**one, "estimatedDuration": "2 days"} for one in entries()]}


def dump(value: Any) -> str:
    return json.dumps(value, indent=3, ensure_ascii=False) + "\n"


FILES: dict[str, tuple[str, str, Callable[[], str], dict[str, Any]]] = {
    "json": ("taskfile", "tasks.json", lambda: dump(entries()), {}),
    "json-write-back": ("taskfile", "tasks.json", lambda: dump({"v": 1, "tasks": entries()}), {"write_back": True}),
    "jsonl": ("taskfile", "tasks.jsonl", lambda: "\n\n".join(map(json.dumps, entries())), {}),
    "jsonl-write-back": ("taskfile", "t.jsonl", lambda: "\n".join(map(json.dumps, entries())), {"write_back": True}),
    "yaml": ("taskfile", "tasks.yaml", yaml_text, {}),
    "yaml-write-back": ("taskfile", "tasks.yml", yaml_text, {"write_back": True}),
    "taskmaster": (
        "taskmaster",
        ".taskmaster/tasks/tasks.json",
        lambda: dump({"master": {"tasks": entries(), "metadata": {"é": 1}}, "other": {"tasks": []}}),
        {},
    ),
    "taskmaster-untagged": ("taskmaster", "tasks.json", lambda: dump({"tasks": entries()}), {}),
    "taskmaster-list": ("taskmaster", "tasks.json", lambda: json.dumps(entries()), {}),
    "spec-kit": ("markdown", "specs/1/tasks.md", spec_kit, {}),
    "check-list": ("markdown", "todo.md", lambda: "".join(f"* [ ] {one} Work\n" for one in IDS), {}),
    "epic": ("epic", "epic.json", lambda: dump(sprints()), {}),
}
WRITTEN_IN_FILE = [
    name for name, (kind, _, _, options) in FILES.items() if kind in ("taskmaster", "markdown") or options
]
EACH_WAY_OF_WRITING = ["json", "json-write-back", "jsonl-write-back", "yaml-write-back", "taskmaster", "spec-kit"]
"""The other formats write by the same code as one of these; eight processes for each would only take time."""


def make(name: str, repository: Path) -> Backlog:
    if name == "memory":
        return Backlog(repository, "memory", None, memory=MemoryTracker(Task(id=one) for one in IDS))
    if name == "todos":
        return Backlog(repository, "todos", None, {"text": json.dumps([{**one, "content": "x"} for one in entries()])})
    kind, path, text, options = FILES[name]
    source = repository / path
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(text().encode())
    return Backlog(repository, kind, source, options)


@pytest.fixture(params=[*FILES, "todos", "memory"])
def backlog(request: pytest.FixtureRequest, tmp_path: Path) -> Backlog:
    return make(request.param, tmp_path)


@pytest.fixture(params=FILES)
def filed(request: pytest.FixtureRequest, tmp_path: Path) -> Backlog:
    return make(request.param, tmp_path)


def test_load_keeps_the_given_order(backlog: Backlog) -> None:
    assert [task.id for task in backlog.open().load()] == backlog.ids
    assert set(backlog.progress().values()) == {Progress.OPEN}


def test_kind_and_identity(backlog: Backlog) -> None:
    one, other = backlog.open(), backlog.open()
    assert one.kind == backlog.kind
    assert one.identity == other.identity
    assert one.identity.startswith(one.kind)


def test_claim_is_seen_by_another(backlog: Backlog) -> None:
    backlog.open().claim(backlog.ids[2], NOTE)
    assert backlog.progress() == {**dict.fromkeys(backlog.ids, Progress.OPEN), backlog.ids[2]: Progress.IN_PROGRESS}


@pytest.mark.parametrize("progress", [Progress.DONE, Progress.BLOCKED, Progress.CANCELLED, Progress.OPEN])
def test_what_is_written_is_read_back(backlog: Backlog, progress: Progress) -> None:
    tracker = backlog.open()
    tracker.claim(backlog.ids[15], NOTE)
    tracker.write(backlog.ids[15], progress, NOTE)
    assert backlog.progress() == {**dict.fromkeys(backlog.ids, Progress.OPEN), backlog.ids[15]: progress}


def test_writing_twice_changes_nothing_more(backlog: Backlog) -> None:
    tracker = backlog.open()
    tracker.write(backlog.ids[1], Progress.DONE, NOTE)
    once = tracker.load()
    content = backlog.source.read_bytes() if backlog.source else b""
    tracker.write(backlog.ids[1], Progress.DONE, NOTE)
    backlog.open().write(backlog.ids[1], Progress.DONE, NOTE)
    assert tracker.load() == once
    assert not backlog.source or backlog.source.read_bytes() == content


def test_done_and_reopened(backlog: Backlog) -> None:
    """A rollback puts the tracker back (E-9)."""
    content = backlog.source.read_bytes() if backlog.source else b""
    tracker = backlog.open()
    tracker.write(backlog.ids[1], Progress.DONE, NOTE)
    tracker.write(backlog.ids[1], Progress.OPEN, NOTE)
    assert set(backlog.progress().values()) == {Progress.OPEN}
    assert not backlog.source or backlog.source.read_bytes() == content


def test_unknown_task(backlog: Backlog) -> None:
    content = backlog.source.read_bytes() if backlog.source else b""
    tracker = backlog.open()
    with pytest.raises(TrackerError, match="no task 'nope'"):
        tracker.write("nope", Progress.DONE, NOTE)
    with pytest.raises(TrackerError, match="no task 'nope'"):
        tracker.claim("nope", NOTE)
    assert set(backlog.progress().values()) == {Progress.OPEN}
    assert not backlog.source or backlog.source.read_bytes() == content


def test_write_without_load(backlog: Backlog) -> None:
    """A resumed run writes before it loads."""
    backlog.open().write(backlog.ids[8], Progress.DONE, NOTE)
    assert backlog.progress()[backlog.ids[8]] is Progress.DONE


def test_only_own_files_change(backlog: Backlog) -> None:
    before = snapshot(backlog.repository)
    tracker = backlog.open()
    tracker.claim(backlog.ids[0], NOTE)
    tracker.write(backlog.ids[0], Progress.DONE, NOTE)
    after = snapshot(backlog.repository)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert bool(changed) == (backlog.kind != "memory")
    assert all(path.startswith(tracker.own_files()) for path in changed)
    assert all(Path(path).is_absolute() for path in tracker.own_files())


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of all files but the lock files."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks")
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", WRITTEN_IN_FILE)
def test_write_keeps_every_other_byte(name: str, tmp_path: Path) -> None:
    backlog = make(name, tmp_path)
    assert backlog.source is not None
    before = backlog.source.read_bytes().splitlines(keepends=True)
    backlog.open().write("T005", Progress.DONE, NOTE)
    after = backlog.source.read_bytes().splitlines(keepends=True)
    assert before != after
    if name == "taskmaster-list":  # all on one line
        [line] = before
        head, middle, tail = line.partition(b'"T005", "title": "Work T005", "status": "pending"')
        assert after == [head + middle.replace(b"pending", b"done") + tail]
        return
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    old, new = changed[0]
    assert old.replace(b"[ ]", b"[x]").replace(b"pending", b"done") == new


@pytest.mark.parametrize("damage", ["missing", "directory", "empty", "blank", "binary", "latin", "garbage", "huge"])
def test_unreadable_is_an_error_never_empty(filed: Backlog, damage: str) -> None:
    source = filed.source
    assert source is not None
    source.unlink()
    match damage:
        case "directory":
            source.mkdir()
        case "empty":
            source.write_bytes(b"")
        case "blank":
            source.write_bytes(b"\xef\xbb\xbf \n\n\t")
        case "binary":
            source.write_bytes(b"\x7fELF\0\0\0" + os.urandom(50))
        case "latin":
            source.write_bytes(source.name.encode() + "\n- [ ] Größe\n".encode("latin-1"))
        case "garbage":
            source.write_bytes(b'{"tasks": [1, 2')
        case "huge":
            with source.open("wb") as file:
                file.truncate(100 * 2**20)
    with pytest.raises(BadInput) as caught:
        filed.open().load()
    assert source.name in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises(TrackerError):
        filed.open().write("T001", Progress.DONE, NOTE)


def test_byte_order_mark(filed: Backlog) -> None:
    assert filed.source is not None
    filed.source.write_bytes(b"\xef\xbb\xbf" + filed.source.read_bytes())
    filed.open().write("T001", Progress.DONE, NOTE)
    assert [task.id for task in filed.open().load()] == IDS
    assert filed.progress()["T001"] is Progress.DONE
    assert filed.source.read_bytes().startswith(b"\xef\xbb\xbf")
    assert filed.source.read_bytes().count(b"\xef\xbb\xbf") == 1


def test_behind_a_symlink(filed: Backlog, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert filed.source is not None
    real = tmp_path_factory.mktemp("elsewhere") / filed.source.name
    filed.source.rename(real)
    filed.source.symlink_to(real)
    tracker = filed.open()
    tracker.write("T001", Progress.DONE, NOTE)
    assert filed.source.is_symlink()
    assert filed.progress()["T001"] is Progress.DONE
    if str(filed.source) in tracker.own_files():
        assert str(real) in tracker.own_files()


def test_failed_write_leaves_the_old_state_whole(backlog: Backlog, mocker: MockerFixture) -> None:
    tracker = backlog.open()
    tracker.write(backlog.ids[0], Progress.DONE, NOTE)
    before = snapshot(backlog.repository)
    if backlog.memory:
        backlog.memory.fail("write")
    mocker.patch("os.replace", side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(TrackerError):
        tracker.write(backlog.ids[1], Progress.DONE, NOTE)
    mocker.stopall()
    assert snapshot(backlog.repository) == before
    assert backlog.progress() == {**dict.fromkeys(backlog.ids, Progress.OPEN), backlog.ids[0]: Progress.DONE}


CHILD = """
import json, sys
from pathlib import Path
from maestro.model.task import Progress
from maestro.trackers.base import Note
from maestro.trackers.registry import open_tracker
kind, repository, source, options, ids = json.loads(sys.argv[1])
tracker = open_tracker(kind, repository=Path(repository), source=source and Path(source), **options)
print("ready", flush=True)
sys.stdin.readline()
note = Note(run_id="run-1", reason="x" * 1000)
for task in ids:
    tracker.claim(task, note)
    tracker.write(task, Progress.DONE, note)
    print(task, flush=True)
"""


def start(backlog: Backlog, ids: list[str]) -> subprocess.Popen[str]:
    source = str(backlog.source) if backlog.source else None
    wanted = json.dumps([backlog.kind, str(backlog.repository), source, backlog.options, ids])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, wanted], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def let_go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("\n")
    child.stdin.flush()


@pytest.mark.parametrize("name", [*EACH_WAY_OF_WRITING, "todos", "memory"])
def test_parallel_writers_lose_nothing(name: str, tmp_path: Path) -> None:
    backlog = make(name, tmp_path)
    shares = [IDS[number::8] for number in range(8)]
    if backlog.memory:
        memory = backlog.memory
        threads = [
            threading.Thread(target=lambda share=share: [memory.write(one, Progress.DONE, NOTE) for one in share])
            for share in shares
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        write_at_once(backlog, shares)
    assert backlog.progress() == dict.fromkeys(IDS, Progress.DONE)


def write_at_once(backlog: Backlog, shares: list[list[str]]) -> None:
    """Processes that begin together, each with its share of the tasks."""
    children = [start(backlog, share) for share in shares]
    for child in children:
        let_go(child)
    for child in children:
        child.communicate()
        assert child.returncode == 0


@pytest.mark.parametrize("name", EACH_WAY_OF_WRITING)
def test_killed_writer_leaves_all_that_it_confirmed(name: str, tmp_path: Path) -> None:
    kill_after(make(name, tmp_path), confirmations=5)


def kill_after(backlog: Backlog, *, confirmations: int) -> None:
    """A writer dies after so many tasks that it confirmed: these are done, and its lock is free."""
    child = start(backlog, backlog.ids)
    let_go(child)
    assert child.stdout is not None
    confirmed = [child.stdout.readline().strip() for _ in range(confirmations)]
    child.send_signal(signal.SIGKILL)
    child.communicate()
    progress = backlog.progress()
    assert list(progress) == backlog.ids
    assert {progress[task] for task in confirmed} == {Progress.DONE}
    backlog.open().write(backlog.ids[-1], Progress.BLOCKED, NOTE)
    assert backlog.progress()[backlog.ids[-1]] is Progress.BLOCKED
