"""Refs moved through one process of git: as by a process for each, and nothing stays behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maestro.errors import GitError
from maestro.proc import spawned
from maestro.testing.repository import Repository
from maestro.vcs.git import Git
from maestro.vcs.refdoor import RefDoor
from tests.integration.kept_git import children, ended, fake

OURS = "refs/heads/maestro/r/a"
THEIRS = "refs/heads/integration/r"


@pytest.fixture
def commits(repo: Repository) -> list[str]:
    return [repo.commit({"a.txt": str(number)}) for number in range(3)]


@pytest.fixture
def git(repo: Repository, commits: list[str]) -> Git:
    return Git(repo.path)


@pytest.fixture
def opened(git: Git, clock: list[int]) -> Iterator[Git]:
    with git.kept_processes():
        yield git


def reflog(repo: Repository, ref: str) -> list[str]:
    return repo.git("log", "-g", "--format=%H %gs", ref, "--").splitlines()


def test_refs_are_made_and_moved_without_a_process_for_each(
    repo: Repository, commits: list[str], opened: Git, calls: list[str]
) -> None:
    first, second, third = commits
    assert opened.set_ref(OURS, first, None)
    [pid] = children("update-ref")
    assert opened.set_ref(OURS, second, first)
    assert opened.set_ref(THEIRS, third, None)
    assert opened.at(repo.path).set_ref(THEIRS, second, third)
    assert (repo.git("rev-parse", OURS), repo.git("rev-parse", THEIRS)) == (second, second)
    assert reflog(repo, OURS) == [f"{second} maestro", f"{first} maestro"]
    assert children("update-ref") == [pid]
    assert calls == []


def test_none_is_started_where_no_ref_is_moved_and_none_is_left(git: Git, commits: list[str], calls: list[str]) -> None:
    with git.kept_processes():
        assert children("update-ref") == []
        assert git.set_ref(OURS, commits[0], None)
        [pid] = children("update-ref")
    assert not Path(f"/proc/{pid}").exists()
    assert git.set_ref(OURS, commits[1], commits[0])
    assert calls == ["update-ref"]
    assert children("update-ref") == []


def test_whatever_is_called_otherwise_has_a_process_of_its_own(
    repo: Repository, opened: Git, commits: list[str], calls: list[str]
) -> None:
    first, second, _ = commits
    (repo.path / "folder").mkdir()
    for number, other in enumerate(
        [
            opened.with_variables({"A": "b"}),
            opened.at(repo.path / "folder"),
            opened.at(repo.path, git_dir=repo.path / ".git"),
            opened.at(repo.path, git_dir=repo.path / ".git", work_tree=repo.path).at(repo.path),
            opened.at(repo.path, config={"core.logAllRefUpdates": "false"}),
        ]
    ):
        assert other.set_ref(f"{OURS}{number}", first, None)
        assert len(calls) == number + 1
    assert opened.set_ref("refs/worktree/own", first, None)
    assert opened.set_ref("HEAD", first, commits[2])
    assert calls == ["update-ref"] * 7
    assert children("update-ref") == []
    assert opened.set_ref(OURS, second, None)
    assert len(calls) == 7


def test_the_users_hooks_hold_nothing_up(
    repo: Repository, opened: Git, commits: list[str], calls: list[str], clock: list[int]
) -> None:
    hooks = repo.path / ".git" / "own-hooks"
    for folder in (repo.path / ".git" / "hooks", hooks):
        folder.mkdir(exist_ok=True)
        (folder / "reference-transaction").write_text("#!/bin/sh\nexit 1\n")
        (folder / "reference-transaction").chmod(0o755)
    assert subprocess.run(["git", "branch", "refused"], cwd=repo.path, capture_output=True).returncode != 0
    assert opened.set_ref(OURS, commits[0], None)
    repo.git("config", "core.hooksPath", str(hooks))
    clock[0] += 1
    assert opened.set_ref(OURS, commits[1], commits[0])
    assert calls == []


@pytest.mark.parametrize("keep_open", [True, False])
def test_a_refusal_is_the_same_as_ever(repo: Repository, git: Git, commits: list[str], keep_open: bool) -> None:
    """Whether one process is kept or not."""
    if keep_open:
        with git.kept_processes():
            refusals(repo, git, commits)
            assert children("update-ref") == []
            assert git.set_ref("refs/heads/maestro/r/c", commits[0], None)  # by another one
            assert len(children("update-ref")) == 1
    else:
        refusals(repo, git, commits)
    assert reflog(repo, OURS) == [f"{commits[0]} maestro"]


def refusals(repo: Repository, git: Git, commits: list[str]) -> None:
    first, second, third = commits
    assert git.set_ref(OURS, first, None)
    assert not git.set_ref(OURS, second, None)
    assert not git.set_ref(OURS, second, third)
    assert not git.set_ref("refs/heads/maestro/r/b", second, first)
    assert not git.set_ref(f"{OURS}/below", second, None)
    assert not git.set_ref("refs/heads/maestro/r", second, None)
    lock = repo.path / ".git" / f"{OURS}.lock"
    lock.touch()
    assert not git.set_ref(OURS, second, first)
    lock.unlink()
    nothing = "1" * 40
    with pytest.raises(GitError, match=f"git update-ref failed: .*{nothing}"):
        git.set_ref(OURS, nothing, first)
    with pytest.raises(GitError, match=r"git update-ref failed: .*no-such: not a valid"):
        git.set_ref(OURS, "no-such", first)
    with pytest.raises(GitError, match=r"git update-ref failed: .*bad name"):
        git.set_ref("refs/heads/a..b", second, None)
    assert repo.git("rev-parse", OURS) == first
    assert not list((repo.path / ".git" / "refs").rglob("*.lock"))


def test_names_are_taken_as_they_are(repo: Repository, commits: list[str], opened: Git, calls: list[str]) -> None:
    for name in ('maestro/r/"quoted"', "maestro/r/für-später", "maestro/r/" + "long" * 40):
        assert opened.set_ref(f"refs/heads/{name}", commits[0], None)
        assert repo.git("rev-parse", f"refs/heads/{name}") == commits[0]
    assert calls == []
    with pytest.raises(ValueError, match="null byte"):
        opened.set_ref(f"{OURS}\0{commits[0]}\0commit\0start", commits[0], None)
    with pytest.raises(GitError, match="git update-ref failed"):
        opened.set_ref("refs/heads/" + "x" * 5000, commits[0], None)
    assert calls == ["update-ref", "update-ref"]


def test_a_ref_of_ours_is_moved_alone_and_one_of_the_users_may_stand_for_another(
    repo: Repository, commits: list[str], opened: Git, calls: list[str]
) -> None:
    first, second, third = commits
    for alias in (OURS, "refs/heads/alias"):
        repo.git("branch", "-f", "precious", first)
        repo.git("symbolic-ref", alias, "refs/heads/precious")
        assert opened.set_ref(alias, second, first)
        is_ours = alias == OURS
        assert repo.git("rev-parse", "precious") == (first if is_ours else second)
        target = (repo.path / ".git" / alias).read_text().strip()
        assert target == (second if is_ours else "ref: refs/heads/precious")
    assert opened.set_ref(OURS, third, second)
    assert calls == []


def test_the_reflog_has_the_time_of_each_move(repo: Repository, commits: list[str], git: Git) -> None:
    """The clock that git reads lags behind ours by some milliseconds."""
    spans = []
    with git.kept_processes():
        for new, old in zip(commits, [None, *commits], strict=False):
            while time.time() % 1 < 0.02 or (spans and time.time() < spans[-1].stop):
                time.sleep(0.005)
            began = int(time.time())
            assert git.set_ref(OURS, new, old)
            spans.append(range(began, int(time.time()) + 1))
        assert len(children("update-ref")) == 1
    times = [int(line.split("\t")[0].split()[-2]) for line in (repo.path / ".git/logs" / OURS).read_text().splitlines()]
    assert len(times) == len(spans)
    assert all(time in span for time, span in zip(times, spans, strict=True)), (times, spans)


def test_each_second_has_a_process_of_its_own(opened: Git, commits: list[str], clock: list[int]) -> None:
    first, second, third = commits
    assert opened.set_ref(OURS, first, None)
    pids = children("update-ref")
    assert opened.set_ref(OURS, second, first)
    assert children("update-ref") == pids
    for other in (2, 1):  # the clock may be set back
        clock[0] = other
        assert opened.set_ref(OURS, *((third, second) if other == 2 else (first, third)))
        assert len(children("update-ref")) == 1
        assert children("update-ref") != pids
        pids = children("update-ref")


def test_what_others_change_meanwhile_is_seen(
    repo: Repository, commits: list[str], opened: Git, calls: list[str]
) -> None:
    first, second, third = commits
    assert opened.set_ref(OURS, first, None)
    repo.git("pack-refs", "--all")
    assert opened.set_ref(OURS, second, first)
    repo.git("update-ref", OURS, third)
    assert not opened.set_ref(OURS, first, second)
    repo.git("update-ref", "-d", OURS)
    assert opened.set_ref(OURS, first, None)
    repo.git("branch", "-m", "maestro/r/a", "maestro/r/a/below")
    assert not opened.set_ref(OURS, first, None)
    made = repo.commit({"a.txt": "made after git was started"})
    assert opened.set_ref(f"{OURS}/below", made, first)
    assert calls == ["update-ref", "update-ref"]  # for the refusals


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_one_that_was_killed_is_made_good(
    commits: list[str], opened: Git, calls: list[str], how: signal.Signals
) -> None:
    assert opened.set_ref(OURS, commits[0], None)
    [pid] = children("update-ref")
    os.kill(pid, how)
    while not ended(pid):
        time.sleep(0.001)
    assert opened.set_ref(OURS, commits[1], commits[0])
    assert calls == ["update-ref"]
    assert opened.set_ref(OURS, commits[2], commits[1])
    assert calls == ["update-ref"]
    assert children("update-ref") not in ([], [pid])


def test_failing_in_the_middle_is_told_with_the_words_of_git(
    repo: Repository, commits: list[str], opened: Git, calls: list[str]
) -> None:
    """The reflog is written after git has said that it is prepared."""
    assert opened.set_ref(OURS, commits[0], None)
    (repo.path / ".git" / "logs" / OURS).unlink()
    (repo.path / ".git" / "logs" / OURS).mkdir()
    (repo.path / ".git" / "logs" / OURS / "x").touch()
    with pytest.raises(GitError, match=r"git update-ref failed: .*cannot update .*still logs under") as raised:
        opened.set_ref(OURS, commits[1], commits[0])
    assert raised.value.returncode == 128
    assert calls == []
    assert repo.git("rev-parse", OURS) == commits[0]
    (repo.path / ".git" / "logs" / OURS / "x").unlink()
    assert opened.set_ref(OURS, commits[1], commits[0])


def test_one_that_does_not_answer_is_killed(repo: Repository, commits: list[str], tmp_path: Path) -> None:
    git = Git(repo.path, env=fake(tmp_path / "bin", "exec sleep 60"), timeout_seconds=0.3)
    with git.kept_processes():
        with pytest.raises(GitError, match=r"git update-ref did not end within 0\.3 s"):
            git.set_ref(OURS, commits[0], None)
        assert children("update-ref") == []


@pytest.mark.parametrize("script", ["exit 0", "exit 3", "echo 'start: ok'; exit 1", "exec sleep 0"])
def test_whoever_has_not_begun_leaves_the_move_to_a_process_of_its_own(
    repo: Repository, commits: list[str], tmp_path: Path, script: str
) -> None:
    git = Git(repo.path, env=fake(tmp_path / "bin", script))
    with git.kept_processes():
        assert git.set_ref(OURS, commits[0], None)
        assert git.set_ref(OURS, commits[1], commits[0])
    assert repo.git("rev-parse", OURS) == commits[1]


@pytest.mark.parametrize("words", ["start: ok\\nprepare: ok", "hello, this is a git with something to say"])
def test_whoever_may_have_changed_something_is_not_asked_again(
    repo: Repository, commits: list[str], tmp_path: Path, words: str
) -> None:
    git = Git(repo.path, env=fake(tmp_path / "bin", f"printf '{words}\\n'; exit 1"))
    with git.kept_processes(), pytest.raises(GitError, match="git update-ref failed: exit code 1"):
        git.set_ref(OURS, commits[0], None)


def test_where_no_more_can_be_opened_none_is_left_open(
    opened: Git, commits: list[str], calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "too many open files")

    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for what in ("start", "pipe", "memory"):
        with monkeypatch.context() as patched:
            patched.setattr(spawned, what, refused)
            assert not opened._writers.refs.move(OURS, commits[0], None, follows=False)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert opened.set_ref(OURS, commits[0], None)
    assert calls == []


def test_a_directory_that_is_gone_is_said(repo: Repository, commits: list[str], tmp_path: Path) -> None:
    git = Git(tmp_path / "gone")
    with git.kept_processes(), pytest.raises(GitError, match="gone does not exist"):
        git.set_ref(OURS, commits[0], None)


def test_several_threads_take_turns(repo: Repository, commits: list[str], opened: Git) -> None:
    """Each step of a counter is made by one of eight threads, whoever is first."""
    first, second, _ = commits
    assert opened.set_ref(OURS, first, None)
    together = threading.Barrier(8)

    def move(number: int) -> int:
        together.wait()
        won = 0
        for turn in range(10):
            assert opened.set_ref(f"refs/heads/maestro/r/own-{number}-{turn}", first, None)
            won += opened.set_ref(f"refs/heads/maestro/r/shared-{turn}", second, None)
        return won

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 10
    assert len(repo.git("for-each-ref", "refs/heads/maestro/r").splitlines()) == 91
    assert len(children("update-ref")) <= 1


def test_no_child_of_ours_holds_the_pipe(repo: Repository, commits: list[str], opened: Git) -> None:
    assert opened.set_ref(OURS, commits[0], None)
    [pid] = children("update-ref")
    pipe = subprocess.PIPE
    with subprocess.Popen(["cat"], stdin=pipe, stdout=pipe, bufsize=0, close_fds=False) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"x")
        assert other.stdout.read(1) == b"x"  # it has loaded all it needs, and opens nothing more
        theirs = {fd.readlink() for fd in Path(f"/proc/{other.pid}/fd").iterdir()}
    pipes = {Path(f"/proc/{pid}/fd/{fd}").readlink() for fd in (0, 1)}
    assert not theirs & pipes


DIES_IDLE = "print(*children('update-ref'), flush=True); sys.stdin.read()"
DIES_ASKING = (
    "real = os.write\n"
    "def last(fd, what):\n"
    "    real(fd, what)\n"
    "    print(*children('update-ref'), flush=True)\n"
    "    os.kill(os.getpid(), 9)\n"
    "os.write = last\n"
    "git.set_ref({ref!r}, {new!r}, {old!r})"
)


@pytest.mark.parametrize("ending", [DIES_IDLE, DIES_ASKING], ids=["between two moves", "having asked"])
def test_kill_9_of_whoever_asks_ends_it_and_leaves_no_lock(repo: Repository, commits: list[str], ending: str) -> None:
    """What was asked is done whole, or not at all where git met that nobody reads its answers."""
    first, second, _ = commits
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom maestro.vcs.git import Git\n"
        "from tests.integration.kept_git import children\n"
        f"git = Git(Path({str(repo.path)!r}))\n"
        "with git.kept_processes():\n"
        f"    assert git.set_ref({OURS!r}, {first!r}, None)\n"
    ) + textwrap.indent(ending.format(ref=OURS, new=second, old=first), "    ")
    argv = [sys.executable, "-c", program]
    here = Path(__file__).parents[2]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here) as asker:
        assert asker.stdout is not None
        pid = int(asker.stdout.readline())
        if ending == DIES_IDLE:
            asker.kill()
    assert asker.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while not ended(pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert not list((repo.path / ".git" / "refs").rglob("*.lock"))
    assert repo.git("rev-parse", OURS) in ([first] if ending == DIES_IDLE else [first, second])


@pytest.mark.parametrize("heard", ["start", "start prepare"])
def test_git_commits_nothing_at_the_end_of_its_input(
    repo: Repository, git: Git, commits: list[str], heard: str
) -> None:
    """Where no `commit` was read, whatever else was."""
    order = f"start\0create {OURS}\0{commits[0]}\0" + ("prepare\0" if "prepare" in heard else "")
    done = git.run(*RefDoor.command, stdin=order.encode())
    assert done.stdout == b"".join(f"{word}: ok\n".encode() for word in heard.split())
    assert git.commit_of(OURS) is None
    assert not list((repo.path / ".git" / "refs").rglob("*.lock"))


def test_git_commits_nothing_where_nobody_reads_that_it_is_prepared(
    repo: Repository, git: Git, commits: list[str]
) -> None:
    """It holds the lock of the ref at that moment."""
    pipe = subprocess.PIPE
    with subprocess.Popen(git._argv(RefDoor.command), env=git.environ, stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"start\0create {OURS}\0{commits[0]}\0".encode())
        assert process.stdout.read(10) == b"start: ok\n"
        process.stdout.close()
        process.stdin.write(b"prepare\0commit\0")
    assert process.returncode == -signal.SIGPIPE
    assert git.commit_of(OURS) is None
    assert not list((repo.path / ".git" / "refs").rglob("*.lock"))
