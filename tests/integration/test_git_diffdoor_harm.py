"""The process that tells what commits change is harmed, or shared by more than may share it: answers stay the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maestro.errors import GitError
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import Git
from tests.integration.git_histories import Made, at_random, every_kind, file, make
from tests.integration.kept_git import children, ended, fake


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.fixture
def commits(repo: Repository) -> list[str]:
    return [repo.commit({"a.txt": str(number)}) for number in range(3)]


@pytest.fixture
def git(repo: Repository, commits: list[str]) -> Git:
    return Git(repo.path, common_dir=repo.path / ".git")


@pytest.fixture
def opened(git: Git, clock: list[int]) -> Iterator[Git]:
    before = descriptors()
    with git.kept_processes():
        yield git
    assert children("diff-tree") == []
    assert descriptors() == before


def both(git: Git, commits: list[str]) -> tuple[object, ...]:
    """What it says of the last one."""
    return (*git.changes_of(commits[-1]), git.changes_between(commits[0], commits[-1]))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_one_that_was_killed_is_made_good(
    opened: Git, commits: list[str], calls: list[str], how: signal.Signals
) -> None:
    said = both(opened, commits)
    pids = children("diff-tree")
    for pid in pids:
        os.kill(pid, how)
    while not all(map(ended, pids)):
        time.sleep(0.001)
    assert both(opened, commits) == said
    assert calls == ["diff-tree"] * 2
    assert both(opened, commits) == said
    assert calls == ["diff-tree"] * 2
    assert len(children("diff-tree")) == 2
    assert not set(pids) & set(children("diff-tree"))


@pytest.mark.parametrize("script", ["exec sleep 60", "printf hello; exec sleep 60"])
def test_one_that_does_not_end_its_answer_is_killed(
    repo: Repository, commits: list[str], tmp_path: Path, script: str
) -> None:
    git = Git(repo.path, env=fake(tmp_path / "bin", script), timeout_seconds=0.3)
    with git.kept_processes():
        for question in (lambda: git.changes_of(commits[1]), lambda: git.changes_between(*commits[:2])):
            with pytest.raises(GitError, match=r"git diff-tree did not end within 0\.3 s"):
                question()
            assert children("diff-tree") == []


def test_one_that_was_stopped_is_replaced(repo: Repository, commits: list[str], clock: list[int]) -> None:
    git = Git(repo.path)
    with git.kept_processes():
        said = both(git, commits)
        assert git._readers.diffs._process is not None
        git._readers.diffs._process.timeout_seconds = 0.3  # of this one alone: git itself may take its time
        stopped = children("diff-tree")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(GitError, match=r"git diff-tree did not end within 0\.3 s"):
            git.changes_of(commits[1])
        [other] = children("diff-tree")
        os.kill(other, signal.SIGCONT)
        assert both(git, commits) == said
        assert len(set(children("diff-tree")) & set(stopped)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "exit 3",
        "exec cat",  # its question is its answer
        "exec sleep 0",
        "echo hello; exit 0",
        "echo hello",  # and then as git does
        "head -c 50; exit 0",
        "head -n 2 | PATH={path} git \"$@\" | tr '[0-9]' '[1-9]0'; exit 0",
        'head -n 2 | PATH={path} git "$@" | head -c 90; exit 0',
        "exec 1>&-",
        "exec 0<&-; exit 1",
        "kill -9 $$",
    ],
)
def test_whoever_answers_something_else_leaves_it_to_a_process_of_its_own(
    repo: Repository, commits: list[str], calls: list[str], tmp_path: Path, script: str
) -> None:
    expected = both(Git(repo.path), commits)
    env = fake(tmp_path / "bin", script.replace("{path}", os.environ["PATH"]))
    calls.clear()
    before, git = descriptors(), Git(repo.path, env=env)
    with git.kept_processes():
        assert both(git, commits) == both(git, commits) == expected
    assert calls == ["diff-tree"] * 4
    assert descriptors() == before


FEW_FILES = """
import itertools, os, resource, sys
from pathlib import Path
from maestro.errors import GitError
from maestro.vcs import kept
from maestro.vcs.git import Git
from tests.integration.kept_git import children
from tests.integration.test_git_diffdoor_harm import both, descriptors
git, commits, limits = Git(Path(sys.argv[1])), sys.argv[2:], resource.getrlimit(resource.RLIMIT_NOFILE)
expected, seconds = both(git, commits), itertools.count()
kept._second = lambda: now
now = next(seconds)
with git.kept_processes():
    assert both(git, commits) == expected
    before = descriptors()
    for limit in range(3, 40):
        now = next(seconds)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limits[1]))
        try:
            assert both(git, commits) == expected
            print("answered")
        except (OSError, GitError):
            print("refused")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert both(git, commits) == expected
        assert descriptors() == before
        assert len(children("diff-tree")) == 2
"""


def test_where_few_files_can_be_opened_none_is_left_open(repo: Repository, commits: list[str]) -> None:
    """However many: it is answered or refused, and the next answer is right."""
    argv, here = [sys.executable, "-c", FEW_FILES, str(repo.path), *commits], Path(__file__).parents[2]
    done = subprocess.run(argv, cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"answered", "refused"}


def test_several_threads_take_turns(repo: Repository, opened: Git, calls: list[str]) -> None:
    made, by_itself = at_random(repo, 5, 30), Git(repo.path)
    pairs = [tuple(random.Random(number).choices(made, k=2)) for number in range(40)]
    expected = {pair: by_itself.changes_between(*pair) for pair in pairs}
    alone = {one: by_itself.changes_of(one) for one in made}
    calls.clear()

    def ask(seed: int) -> int:
        chance = random.Random(seed)
        for pair, one in zip(chance.choices(pairs, k=60), chance.choices(made, k=60), strict=True):
            assert opened.changes_between(*pair) == expected[pair]
            assert opened.changes_of(one) == alone[one]
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 8
    assert len(children("diff-tree")) == 2
    assert calls == []


def moved(git: Git, commits: list[str]) -> None:
    git.set_ref("refs/heads/integration/r", commits[0], None)


@pytest.mark.parametrize(
    "question", [both, moved, lambda git, commits: git.changes_between(*commits[:2])], ids=["of", "moved", "between"]
)
def test_an_interrupt_while_it_is_asked_leaves_none(
    repo: Repository, commits: list[str], tmp_path: Path, question: Callable[[Git, list[str]], object]
) -> None:
    """It comes when the question has been read, and no answer will be."""
    once = f"[ -e {tmp_path}/told ] || {{ touch {tmp_path}/told; kill -INT $PPID; exec sleep 60; }}"
    git = Git(repo.path, env=fake(tmp_path / "bin", f"head -c 1 > /dev/null; {once}; exit 0"))
    before = descriptors()
    with git.kept_processes():
        with pytest.raises(KeyboardInterrupt):
            question(git, commits)
        assert children("--stdin") == []
        assert descriptors() == before
        expected = both(Git(repo.path), commits)
        assert both(git, commits) == expected


DIES_IDLE = "print(*children('diff-tree'), flush=True); sys.stdin.read()"
DIES_READING = (
    "real = os.read\n"
    "def last(fd, count):\n"
    "    real(fd, 10)\n"
    "    print(*children('diff-tree'), flush=True)\n"
    "    os.kill(os.getpid(), 9)\n"
    "os.read = last\n"
    "git.changes_of({big!r})"
)


@pytest.mark.parametrize("ending", [DIES_IDLE, DIES_READING], ids=["between two questions", "in an answer"])
def test_kill_9_of_whoever_asks_ends_it(repo: Repository, ending: str) -> None:
    many = tuple(file(b"%d" % number + b"x" * 200, b"") for number in range(2000))
    root, big = make(repo, [Made((), (file(b"a"),)), Made((0,), many)])
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom maestro.vcs import kept\nfrom maestro.vcs.git import Git\n"
        "from tests.integration.kept_git import children\n"
        "kept._second = lambda: 1\n"
        f"git = Git(Path({str(repo.path)!r}))\n"
        "with git.kept_processes():\n"
        f"    git.changes_of({root!r}), git.changes_between({root!r}, {root!r})\n"
    ) + textwrap.indent(ending.format(big=big), "    ")
    argv = [sys.executable, "-c", program]
    here = Path(__file__).parents[2]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here) as asker:
        assert asker.stdout is not None
        pids = [int(word) for word in asker.stdout.readline().split()]
        if ending == DIES_IDLE:
            asker.kill()
    assert asker.returncode == -signal.SIGKILL
    assert len(pids) == 2
    deadline = time.monotonic() + 30
    while not all(map(ended, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_worktrees_share_it_whatever_is_in_them(
    repo: Repository, opened: Git, calls: list[str], tmp_path: Path
) -> None:
    """Settings of its own, an index that cannot be read, a `.gitmodules` that hides: an agent may do all that."""
    repo.git("config", "extensions.worktreeConfig", "true")
    common, kinds = repo.path / ".git", every_kind(repo)
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "there"), kinds["gitlink that it hides"])
    admin, there = common / "worktrees" / "there", Repository(tmp_path / "there")
    for setting in ("submodule.s.ignore", "diff.ignoreSubmodules"):
        there.git("config", "--worktree", setting, "all")
    there.git("config", "--worktree", "i18n.logOutputEncoding", "UTF-16")
    made = there.commit({"only": "here", "folder/x": "y"})
    inside = opened.at(there.path, git_dir=admin, work_tree=there.path)
    by_itself = Git(there.path, git_dir=admin, work_tree=there.path)
    asked = [*kinds.values(), made]
    expected = [(by_itself.changes_of(one), by_itself.changes_between(asked[0], one)) for one in asked]
    calls.clear()
    for place in (inside, inside.at(there.path, git_dir=admin, work_tree=there.path, config={"core.bare": "false"})):
        assert [(place.changes_of(one), place.changes_between(asked[0], one)) for one in asked] == expected
    (admin / "index").write_bytes(b"no index")
    assert inside.changes_of(made) == expected[-1][0]
    assert calls == []
    assert inside.common_dir() == common
    assert len(children("diff-tree")) == 2


def test_other_repositories_do_not_share_it(repo: Repository, opened: Git, calls: list[str], tmp_path: Path) -> None:
    """A clone, a submodule, a worktree of it, and whatever else there is beside worktrees."""
    source = make_repository(tmp_path / "source", {"s": "1"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source.path), "worktrees/sub")
    repo.git("commit", "-q", "-m", "submodule")
    repo.git("clone", "-q", "--shared", ".", str(tmp_path / "clone"))
    modules = repo.path / ".git" / "modules" / "worktrees" / "sub"
    sub = Repository(repo.path / "worktrees" / "sub")
    sub.git("worktree", "add", "-q", str(tmp_path / "of-sub"))
    clone = Repository(tmp_path / "clone")
    places = {
        clone.path: clone.path / ".git",
        sub.path: modules,
        tmp_path / "of-sub": modules / "worktrees" / "of-sub",
    }
    for number, (path, git_dir) in enumerate(places.items(), 1):
        made, base = Repository(path).commit({"own": f"{number}"}), Repository(path).git("rev-parse", "HEAD~1")
        place = opened.at(path, git_dir=git_dir, work_tree=path)
        assert place.changes_of(made)[0] == base
        assert b"\0own\0" in place.changes_between(base, made)
        assert opened.at(path).changes_of(made) == place.changes_of(made)
        assert place.common_dir() == (modules if git_dir.is_relative_to(modules) else git_dir)
        for git in (opened, opened.at(repo.path, config={"core.bare": "false"})):
            with pytest.raises(GitError, match=r"bad object|unable to read"):
                git.changes_of(made)
    assert calls.count("diff-tree") == 6 * len(places)


def test_a_clone_that_is_shallow_or_lacks_objects_is_told(
    repo: Repository, commits: list[str], calls: list[str], clock: list[int], tmp_path: Path
) -> None:
    """What lacks is fetched by git, from whom it was cloned."""
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    url = f"file://{repo.path}"
    for name, words in {
        "shallow": ["--depth=2"],
        "no trees": ["--filter=tree:0", "-n"],
        "no files": ["--filter=blob:none"],
    }.items():
        for once in ("by itself", "kept"):
            repo.git("clone", "-q", *words, url, str(tmp_path / name / once))
        by_itself, git = (Git(tmp_path / name / once) for once in ("by itself", "kept"))
        asked = commits[1:]
        expected = [by_itself.changes_of(one) for one in asked], by_itself.changes_between(*asked)
        calls.clear()
        with git.kept_processes():
            assert ([git.changes_of(one) for one in asked], git.changes_between(*asked)) == expected, name
        assert calls == []
        assert bool(expected[0][0][1]) == (name != "shallow")
