"""Which database is meant, whose era it is, and whether somebody wrote: all from files alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.testing.repository import make_repository
from maestro.trackers.beads.fingerprint import fingerprint
from maestro.trackers.beads.place import check_era, check_jsonl, era_of, find, main_checkout
from maestro.trackers.beads.turn import Turn
from maestro.trackers.beads.versions import Era, Version

DOLT = '{"database": "dolt", "backend": "dolt", "dolt_mode": "embedded"}'
SERVER = '{"backend": "dolt", "dolt_mode": "server"}'


def sqlite(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "beads.db").write_bytes(b"SQLite format 3")
    (folder / "metadata.json").write_text('{"database": "beads.db", "jsonl_export": "issues.jsonl"}')
    return folder


def dolt(folder: Path, metadata: str = DOLT) -> Path:
    noms = folder / "embeddeddolt" / "demo" / ".dolt" / "noms"
    noms.mkdir(parents=True)
    (noms / "manifest").write_text("5:root1")
    (folder / "metadata.json").write_text(metadata)
    return folder


def test_eras(tmp_path: Path) -> None:
    assert era_of(sqlite(tmp_path / "a")) is Era.SQLITE
    assert era_of(dolt(tmp_path / "b")) is Era.DOLT
    served = tmp_path / "c"
    served.mkdir()
    (served / "metadata.json").write_text(SERVER)
    assert era_of(served) is Era.DOLT
    for name, text in (("d", DOLT), ("e", "torn {"), ("f", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.json").write_text(text)
        assert era_of(tmp_path / name) is None
    (tmp_path / "f" / "beads.db").touch()  # bd 1.x leaves an empty one
    assert era_of(tmp_path / "f") is None


def test_the_era_of_bd_must_be_that_of_the_database(tmp_path: Path) -> None:
    old, new = Version(text="0.47.1", era=Era.SQLITE), Version(text="1.0.5", era=Era.DOLT)
    check_era(sqlite(tmp_path / "a"), old)
    check_era(dolt(tmp_path / "b"), new)
    with pytest.raises(BadInput, match=r"one of beads 1\.x \(Dolt\), and bd here is 0\.47\.1"):
        check_era(tmp_path / "b", old)
    with pytest.raises(BadInput, match=r"one of beads 0\.4x \(SQLite\), and bd here is 1\.0\.5"):
        check_era(tmp_path / "a", new)


def test_a_database_is_found_or_refused_with_a_sentence(tmp_path: Path) -> None:
    project = tmp_path / "project"
    folder = sqlite(project / ".beads")
    assert find(project, None, {}) == folder
    assert find(tmp_path, folder, {"BEADS_DIR": "/ignored"}) == folder
    assert find(tmp_path, None, {"BEADS_DIR": str(folder)}) == folder
    (tmp_path / "link").symlink_to(folder)
    assert find(tmp_path, tmp_path / "link", {}) == folder  # one database, one name
    for given, said in (
        ({}, f"{tmp_path / '.beads'} does not exist"),
        ({"BEADS_DIR": str(project)}, f"BEADS_DIR leads to {project}, which holds no beads database"),
        ({"BEADS_DIR": "/nowhere/.beads"}, "BEADS_DIR leads to /nowhere/.beads, which does not exist"),
        ({"BEADS_DIR": ".beads"}, "BEADS_DIR is .beads, not an absolute path"),
    ):
        with pytest.raises(BadInput) as caught:
            find(tmp_path, None, given)
        assert caught.value.message == said
        assert caught.value.hint


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    folder = sqlite(tmp_path / "main" / ".beads")
    clone = tmp_path / "clone" / ".beads"
    clone.mkdir(parents=True)
    for target in (str(folder), "../main/.beads", f"# the main checkout\n{folder}\n"):
        (clone / "redirect").write_text(target)
        assert find(clone.parent, None, {}) == folder
    (clone / "redirect").write_text("../gone/.beads")
    with pytest.raises(BadInput, match=r"redirect leads to .*gone/\.beads, which does not exist"):
        find(clone.parent, None, {})


def test_the_main_checkout(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "project")
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    assert main_checkout(tmp_path / "linked", {}) == repo.path
    assert main_checkout(repo.path, {}) == repo.path
    assert main_checkout(tmp_path, {}) == tmp_path  # no repository
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    repo.git("-C", str(tmp_path / "bare.git"), "worktree", "add", "-q", str(tmp_path / "of-bare"), "main")
    assert main_checkout(tmp_path / "of-bare", {}) == tmp_path / "of-bare"


def test_conflict_markers(tmp_path: Path) -> None:
    lines = tmp_path / "issues.jsonl"
    check_jsonl(tmp_path)
    lines.write_text('{"title": "<<<<<<< HEAD"}\n{"title": "======="}\n')
    check_jsonl(tmp_path)
    for marker in ("<<<<<<< HEAD", "=======", ">>>>>>> other"):
        lines.write_text(f"{{}}\n{marker}\n{{}}\n")
        with pytest.raises(BadInput, match=r"issues\.jsonl has conflict markers of git \(line 2\)"):
            check_jsonl(tmp_path)


def test_what_only_writes_change_are_marks(tmp_path: Path) -> None:
    old = sqlite(tmp_path / "a")
    first = fingerprint(old)
    assert first == fingerprint(old)
    (old / "beads.db-wal").touch()  # as a reader does
    read = fingerprint(old)
    (old / "issues.jsonl").write_text("{}\n")
    written = fingerprint(old)
    assert first is not None
    assert read is not None
    assert written is not None
    assert (read.marks, read.files != first.files) == (first.marks, True)
    assert written.marks != read.marks
    new = dolt(tmp_path / "b")
    before = fingerprint(new)
    (new / "last-touched").write_text("demo-1")
    assert fingerprint(new) == before
    (new / "embeddeddolt" / "demo" / ".dolt" / "noms" / "manifest").write_text("5:root2")
    assert fingerprint(new) != before
    assert fingerprint(dolt(tmp_path / "c", SERVER)) is None


HOLDER = """
import sys
from pathlib import Path
from maestro.trackers.beads.turn import Turn
with Turn(Path(sys.argv[1]), timeout_seconds=5).taken():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_turns(tmp_path: Path) -> None:
    turn = Turn(tmp_path, timeout_seconds=0.05)
    with turn.taken(), pytest.raises(TrackerError, match="another maestro has been writing"), turn.taken():
        pass
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TrackerError, match=r"for 0\.05 s"), turn.taken():
            pass
        holder.kill()
    with turn.taken():  # the kernel frees it with its holder
        assert not list(tmp_path.iterdir())  # and there is no file that git could see
