"""Files of a fresh workspace are older than its index: git need not read them, and what is done to them is found."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from maestro.engine.bench import GateBench
from maestro.engine.context import RunContext
from maestro.integration.gate import Gate
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces import revealing
from maestro.workspaces.aging import age
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.index import read_index
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from tests.integration.seconds_lab import beginnings
from tests.integration.test_workspaces_recycling import admin_of, as_agent

BOTH = pytest.mark.parametrize("kind", ["worktree", "clone"])


@pytest.fixture
def opened(repo: Repository, tmp_path: Path) -> Callable[[str], Lifecycle]:
    repo.commit({f"d/{number}": f"text {number}\n" for number in range(10, 50)})
    (repo.path / "link").symlink_to("d/11")
    repo.git("add", "link")
    repo.git("commit", "-qm", "link")
    return lambda kind: open_workspaces(kind, git=open_repository(repo.path), root=tmp_path / "root", parked=2)


def made(workspaces: Lifecycle, repo: Repository, name: str) -> Workspace:
    return workspaces.create(
        WorkspaceSpec(run_id="r", task_id=name, task_name=name, attempt=1, base=repo.head, branch=f"maestro/r/{name}")
    )


def rewrite(path: Path) -> None:
    """Other contents of the same length, and the old times."""
    about = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def in_the_second_of_its_index(workspace: Workspace) -> bool:
    """Whether what was just done to `d/13` was done then."""
    return (workspace.repo / "d/13").stat().st_ctime // 1 == read_times(workspace)[b"d/13"][0]


def read_times(workspace: Workspace) -> dict[bytes, tuple[int, ...]]:
    """path → seconds and nanoseconds of ctime and mtime, as the index has them."""
    index = admin_of(workspace) / "index"
    found = read_index(index, 20)
    assert found is not None
    raw = index.read_bytes()
    return {
        name: struct.unpack_from(">4L", raw, place.start) for name, place in zip(found.files, found.own, strict=True)
    }


@BOTH
def test_git_need_read_no_file(kind: str, opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened(kind)
    workspace = made(workspaces, repo, "t")

    index = admin_of(workspace) / "index"
    for name, (changed, changed_ns, modified, modified_ns) in read_times(workspace).items():
        about = os.lstat(os.fsencode(workspace.repo) + b"/" + name)
        assert about.st_ctime_ns == changed * 10**9 + changed_ns
        assert about.st_mtime_ns == modified * 10**9 + modified_ns
        assert modified < index.stat().st_mtime // 1
    assert as_agent(workspace, "git diff-files; git fsck --no-dangling") == ""  # and the checksum of the index is right
    workspaces.remove(workspace)
    workspaces.close()


@BOTH
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_git_sees_at_once_what_an_agent_does(
    is_used: bool, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """Of the same length and in the same second, but with no time put back."""
    workspaces = opened(kind)
    for number in beginnings():
        if is_used:
            workspaces.remove(made(workspaces, repo, f"t{number}"))
        workspace = made(workspaces, repo, f"u{number}")
        path = workspace.repo / "d/13"
        path.write_bytes(path.read_bytes().swapcase())
        (workspace.repo / "link").unlink()
        (workspace.repo / "link").symlink_to("d/12")
        is_same_second = in_the_second_of_its_index(workspace)
        assert as_agent(workspace, "git status --porcelain") == " M d/13\n M link\n"
        workspaces.remove(workspace)
        if is_same_second:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


@BOTH
@pytest.mark.parametrize("who", ["the same", "another", "of a used one"])
@pytest.mark.parametrize("then", ["", "git add -A; git commit -q --allow-empty -m x"])
def test_what_git_cannot_see_is_collected(
    then: str, who: str, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """`who` collects: also a coordinator that goes on with what a dead one made."""
    workspaces = opened(kind)
    for number in beginnings():
        if who == "of a used one":
            workspaces.remove(made(workspaces, repo, f"t{number}"))
        workspace = made(workspaces, repo, f"u{number}")
        rewrite(workspace.repo / "d/13")
        is_hidden = as_agent(workspace, f"{then}\ngit status --porcelain") == ""
        collects = opened(kind) if who == "another" else workspaces

        evidence = collects.collect(workspace, "the rest")

        assert evidence.changed_paths == ("d/13",)
        assert evidence.tip is not None
        assert repo.git("show", f"{evidence.tip}:d/13") == "TEXT 13"
        workspaces.remove(workspace)
        if is_hidden:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


@BOTH
def test_what_git_cannot_see_is_saved(kind: str, opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened(kind)
    for number in beginnings():
        workspace = made(workspaces, repo, f"u{number}")
        rewrite(workspace.repo / "d/13")
        is_hidden = as_agent(workspace, "git status --porcelain") == ""

        saved = workspaces.save(workspace, "r", f"u{number}")

        assert saved is not None
        assert repo.git("show", f"{saved}:d/13") == "TEXT 13"
        workspaces.remove(workspace)
        if is_hidden:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


def test_a_gate_moves_on_from_what_git_was_told_to_overlook(
    opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """In a later second, when nobody but git looks at ctimes."""
    workspaces = opened("worktree")
    workspaces.remove(made(workspaces, repo, "t"))
    time.sleep(1.1)
    workspace = made(workspaces, repo, "gate")
    context = SimpleNamespace(executor=None, git=open_repository(repo.path), gate_workspaces=workspaces)
    bench = GateBench(cast(RunContext, context), Gate(command="true", timeout_seconds=1))
    as_agent(workspace, "git config core.trustctime false; git config core.checkStat minimal")
    rewrite(workspace.repo / "d/13")
    assert as_agent(workspace, "git status --porcelain") == ""

    bench._move(workspace, repo.head)

    assert (workspace.repo / "d/13").read_text() == "text 13\n"
    workspaces.remove(workspace)
    workspaces.close()


def test_where_times_cannot_be_set(
    opened: Callable[[str], Lifecycle], repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the files have become older, and the index does not say so."""
    refusing = tmp_path / "python"
    refusing.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "set_time, calls = os.utime, []\n"
        "def refuse(path, **options):\n"
        "    calls.append(path)\n"
        "    if len(calls) > 20: raise PermissionError(1, 'not permitted', path)\n"
        "    set_time(path, **options)\n"
        "os.utime = refuse\n"
        "assert sys.argv[1:4] == ['-I', '-S', '-c']\n"
        "sys.argv[1:5], program = [], sys.argv[4]\n"
        "exec(program)\n"
    )
    refusing.chmod(0o755)
    workspaces = opened("worktree")
    with monkeypatch.context() as replaced:
        replaced.setattr("sys.executable", str(refusing))
        workspace = made(workspaces, repo, "t")
    older = [path for path in workspace.repo.glob("d/*") if path.stat().st_mtime < path.stat().st_ctime - 2]
    assert 0 < len(older) <= 20
    as_agent(workspace, "git status")  # has read the files, and written an index
    rewrite(workspace.repo / "d/13")

    assert workspaces.collect(workspace, "the rest").changed_paths == ("d/13",)
    workspaces.remove(workspace)
    workspaces.close()


def test_where_it_fails_half_way_in_a_later_second(
    opened: Callable[[str], Lifecycle], repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the files have become older, and what the index told of them at first is of an earlier second."""
    failing = tmp_path / "python"
    failing.write_text(
        f"#!{sys.executable}\n"
        "import os, sys, time\n"
        "def refuse(*paths): raise OSError(28, 'no space left on device')\n"
        "time.sleep(1.02 - time.time() % 1)\n"
        "os.replace = refuse\n"
        "sys.argv[1:5], program = [], sys.argv[4]\n"
        "exec(program)\n"
    )
    failing.chmod(0o755)
    workspaces = opened("worktree")
    for number in beginnings():
        with monkeypatch.context() as replaced:
            replaced.setattr("sys.executable", str(failing))
            workspace = made(workspaces, repo, f"t{number}")
        assert not (admin_of(workspace) / "index.new").exists()
        as_agent(workspace, "git status")
        rewrite(workspace.repo / "d/13")
        is_hidden = as_agent(workspace, "git status --porcelain") == ""

        assert workspaces.collect(workspace, "the rest").changed_paths == ("d/13",)
        workspaces.remove(workspace, for_good=True)
        if is_hidden:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


@BOTH
@pytest.mark.parametrize("which", ["index", "maestro-index"])
def test_the_date_of_an_index_hides_nothing(
    which: str, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """Both are one file, as long as no git of the agent has written one."""
    workspaces = opened(kind)
    for number in beginnings():
        workspace = made(workspaces, repo, f"t{number}")
        rewrite(workspace.repo / "d/13")
        is_same_second = in_the_second_of_its_index(workspace)
        as_agent(workspace, f'touch -d 2040-01-01 "$(git rev-parse --git-dir)/{which}"')

        assert workspaces.collect(workspace, "the rest").changed_paths == ("d/13",)
        workspaces.remove(workspace)
        following = made(workspaces, repo, f"u{number}")
        assert (following.repo / "d/13").read_text() == "text 13\n"
        workspaces.remove(following)
        if is_same_second:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


@BOTH
@pytest.mark.parametrize("done", ["rm -rf .git", "rm -rf .git; git init -q; git add -A; git commit -qm x"])
def test_a_git_directory_that_was_destroyed_is_mended_as_ever(
    done: str, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    workspaces = opened(kind)
    workspace = made(workspaces, repo, "t")
    (workspace.repo / "d/13").write_text("changed\n")
    as_agent(workspace, done)

    evidence = workspaces.collect(workspace, "the rest")

    assert (evidence.damage, evidence.changed_paths) == (None, ("d/13",))
    workspaces.remove(workspace)
    workspaces.close()


@BOTH
@pytest.mark.parametrize("setting", ["index.version 4", "core.splitIndex true"])
def test_files_that_are_left_as_they_are_need_no_second_look(
    setting: str, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """And what cannot be known by such an index is not handed out again: it would have been empty."""
    subprocess.run(["git", "config", "--global", *setting.split()], check=True)
    workspaces = opened(kind)
    for name in ("t", "u"):
        workspace = made(workspaces, repo, name)
        index = admin_of(workspace) / "index"
        before = index.stat().st_mtime_ns
        assert as_agent(workspace, "git status --porcelain; git ls-files | wc -l").split()[-1:] == ["42"]
        assert time.time() - (workspace.repo / "d/13").stat().st_mtime < 30
        rewrite(workspace.repo / "d/13")

        workspaces.reveal(workspace)

        assert index.stat().st_mtime_ns >= before
        assert workspaces.collect(workspace, "the rest").changed_paths == ("d/13",)
        workspaces.remove(workspace)
    workspaces.close()


def test_nothing_is_read_where_nothing_was_changed(opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened("worktree")
    workspace = made(workspaces, repo, "t")
    index = admin_of(workspace) / "index"
    before = index.stat().st_mtime_ns

    workspaces.reveal(workspace)

    assert index.stat().st_mtime_ns == before
    workspaces.remove(workspace)
    workspaces.close()


@pytest.mark.parametrize(
    "done", ["rm -r d", "rm -r d; ln -s /etc d", "chmod 000 d", 'rm "$(git rev-parse --git-dir)/index"', "mv d/12 d/13"]
)
def test_whatever_is_there_instead(done: str, opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened("worktree")
    workspace = made(workspaces, repo, "t")
    as_agent(workspace, done)

    workspaces.reveal(workspace)

    evidence = workspaces.collect(workspace, "the rest")
    assert evidence.damage is None
    assert ("d/12" in evidence.changed_paths) == ("chmod" not in done and "index" not in done)
    workspaces.remove(workspace)
    workspaces.close()


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_an_index_of_either_format(object_format: str, tmp_path: Path, hermetic: Path) -> None:
    place, size = tmp_path / "p", 20 if object_format == "sha1" else 32
    subprocess.run(["git", "init", "-q", f"--object-format={object_format}", place], check=True)
    for name in ("a", "b", "old"):
        (place / name).write_text(name)
    time.sleep(1.1)
    (place / "a").touch()
    (place / "b").touch()
    subprocess.run(["git", "add", "."], cwd=place, check=True)
    index = place / ".git" / "index"
    index.chmod(0o640)
    os.utime(index, ns=((place / "a").stat().st_ctime_ns,) * 2)
    old, second = (place / "old").lstat(), index.stat().st_mtime_ns // 10**9

    age(str(place), str(index), size)

    assert (place / "old").lstat().st_mtime_ns == old.st_mtime_ns
    assert [(place / name).stat().st_mtime for name in ("a", "b")] == [second - 4, second - 3], "the later is the newer"
    assert index.stat().st_mode & 0o777 == 0o640
    again = subprocess.run(["git", "fsck"], cwd=place, capture_output=True, check=True)
    assert again.stderr.count(b"rror") == 0
    assert subprocess.run(["git", "diff-files", "--quiet"], cwd=place).returncode == 0


def test_a_checksum_that_was_left_out_stays_so(tmp_path: Path, hermetic: Path) -> None:
    """As newer gits do it with index.skipHash."""
    index = index_with_one_file(tmp_path / "p")
    index.write_bytes(index.read_bytes()[:-20] + bytes(20))

    age(str(tmp_path / "p"), str(index), 20)

    assert index.read_bytes()[-20:] == bytes(20)
    assert (tmp_path / "p/a").stat().st_mtime < index.stat().st_mtime - 1


def test_where_a_ctime_is_a_whole_second_nothing_becomes_older(tmp_path: Path, hermetic: Path) -> None:
    index = index_with_one_file(tmp_path / "p")
    raw = bytearray(index.read_bytes())
    raw[16:20] = bytes(4)
    index.write_bytes(raw)
    modified = (tmp_path / "p/a").stat().st_mtime_ns

    age(str(tmp_path / "p"), str(index), 20)

    assert (tmp_path / "p/a").stat().st_mtime_ns == modified
    assert index.read_bytes() == raw


def test_a_slow_clock_is_waited_for(tmp_path: Path, hermetic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is done at once would leave the ctime as it is."""
    index, stat, asked = index_with_one_file(tmp_path / "p"), os.stat, []

    def slow(path: str) -> os.stat_result:
        asked.append(path)
        return os.lstat(tmp_path / "p/a") if len(asked) < 5 else stat(path)

    monkeypatch.setattr("maestro.workspaces.aging.os.stat", slow)
    age(str(tmp_path / "p"), str(index), 20)

    monkeypatch.undo()
    assert len(asked) == 5
    assert (tmp_path / "p/a").stat().st_ctime_ns < index.stat().st_mtime_ns


def test_an_index_that_a_group_may_write_stays_so(tmp_path: Path, hermetic: Path) -> None:
    index = index_with_one_file(tmp_path / "p")
    index.chmod(0o664)
    former = os.umask(0o077)
    try:
        age(str(tmp_path / "p"), str(index), 20)
    finally:
        os.umask(former)
    assert (tmp_path / "p/a").stat().st_mtime < index.stat().st_mtime - 1
    assert index.stat().st_mode & 0o777 == 0o664


def index_with_one_file(place: Path) -> Path:
    subprocess.run(["git", "init", "-q", place], check=True)
    (place / "a").write_text("a")
    subprocess.run(["git", "add", "."], cwd=place, check=True)
    return place / ".git" / "index"


@pytest.mark.parametrize(
    "left", ["version 4", "split", "assumed to be unchanged", "a submodule", "a folder named so", "not to be read"]
)
def test_another_index_is_left_as_it_is(left: str, tmp_path: Path, hermetic: Path) -> None:
    place = tmp_path / "p"
    index = index_with_one_file(place)
    if left == "version 4":
        subprocess.run(["git", "update-index", "--index-version", "4"], cwd=place, check=True)
    elif left == "split":
        subprocess.run(["git", "update-index", "--split-index"], cwd=place, check=True)
    elif left == "assumed to be unchanged":
        subprocess.run(["git", "update-index", "--assume-unchanged", "a"], cwd=place, check=True)
    elif left == "a submodule":
        entry = f"160000,{'1' * 40},sub"
        subprocess.run(["git", "update-index", "--add", "--cacheinfo", entry], cwd=place, check=True)
    elif left == "a folder named so":
        (place / ".git/index.new").mkdir()
    else:
        index.write_bytes(b"DIRC")
    before, modified = index.read_bytes(), (place / "a").stat().st_mtime_ns

    if left == "a folder named so":
        with pytest.raises(FileExistsError):
            age(str(place), str(index), 20)
        assert index.read_bytes() == before
        assert subprocess.run(["git", "diff", "--quiet"], cwd=place).returncode == 0, "git looks for itself"
    else:
        age(str(place), str(index), 20)
        assert (place / "a").stat().st_mtime_ns == modified
        assert index.read_bytes() == before


def test_a_large_repository_starts_as_soon_as_ever(
    opened: Callable[[str], Lifecycle], repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revealing, "_MOST", 40)
    workspaces = opened("worktree")
    workspace = made(workspaces, repo, "t")
    assert time.time() - (workspace.repo / "d/13").stat().st_mtime < 30
    assert workspaces.collect(workspace, "x").tip is None
    workspaces.remove(workspace)
    workspaces.close()


@pytest.mark.parametrize("program", ["", "/nowhere/python", "/bin/false"])
def test_where_no_python_can_be_had_git_reads_what_it_must(
    program: str, opened: Callable[[str], Lifecycle], repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", program)
    workspaces = opened("worktree")
    workspace = made(workspaces, repo, "t")
    rewrite(workspace.repo / "d/13")
    assert workspaces.collect(workspace, "x").changed_paths == ("d/13",)
    workspaces.remove(workspace)
    workspaces.close()


def test_an_index_that_an_agent_put_in_the_place_of_the_kept_one_is_not_believed(
    opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    workspaces = opened("worktree")
    for number, what in enumerate(("rm $k; mkfifo $k", "rm $k", "cp $k x; echo >>x; mv x $k", "rm $k; ln -s index $k")):
        workspace = made(workspaces, repo, f"t{number}")
        rewrite(workspace.repo / "d/13")
        as_agent(workspace, f'cd "$(git rev-parse --git-dir)"; k=maestro-index; {what}')
        evidence = workspaces.collect(workspace, "x")
        assert evidence.changed_paths == ("d/13",) or evidence.damage, what
        workspaces.remove(workspace)
    workspaces.close()
