"""Commits written through processes of git that are kept: byte for byte those of `git commit-tree`, or none."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.errors import GitError
from maestro.integration.land import Stacked, Strategy, stack
from maestro.integration.message import Work
from maestro.proc import spawned
from maestro.testing.repository import Repository
from maestro.vcs import kept
from maestro.vcs.git import Git
from tests.integration.kept_git import ended, fake, offspring

BY = {
    "GIT_AUTHOR_NAME": "An Author", "GIT_AUTHOR_EMAIL": "a@example.invalid", "GIT_AUTHOR_DATE": "@1700000000 +0530",
    "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c", "GIT_COMMITTER_DATE": "@1700000001 -0330",
}  # fmt: skip
UNDATED = {name: value for name, value in BY.items() if not name.endswith("DATE")}
NOTHING = "1" * 40
KEPT = ("hash-object", "cat-file")


@pytest.fixture
def tree(repo: Repository) -> str:
    return repo.git("rev-parse", "HEAD^{tree}")


@pytest.fixture
def alone(repo: Repository) -> Git:
    """Has a process for each commit."""
    return Git(repo.path)


@pytest.fixture
def opened(repo: Repository, clock: list[int]) -> Iterator[Git]:
    git = Git(repo.path)
    with git.kept_processes():
        yield git
    assert keepers() == {}


def keepers() -> dict[str, int]:
    """What this process has started, by the command of git."""
    return {name: pid for pid, said in offspring().items() for name in KEPT if name.encode() in said}


def content(repo: Repository, commit: str) -> bytes:
    return subprocess.run(["git", "cat-file", "commit", commit], cwd=repo.path, capture_output=True, check=True).stdout


def objects(repo: Repository) -> set[Path]:
    return {path for path in (repo.path / ".git" / "objects").rglob("*") if path.is_file()}


def outcome(git: Git, tree: str, parents: Sequence[str], message: bytes, env: Mapping[str, str]) -> object:
    """The commit, or in what way it failed."""
    try:
        return git.commit(tree, parents, message, env)
    except (GitError, ValueError) as error:
        return type(error), getattr(error, "message", "")


def test_plain_commits_need_no_process_for_each(
    repo: Repository, tree: str, alone: Git, opened: Git, calls: list[str]
) -> None:
    head = repo.head
    many = tuple(opened.commit(tree, (), b"root %d" % number, BY) for number in range(40))
    for parents in ((), (head,), (head, many[0]), many):
        for message in (
            b"m",
            b"",
            b"two\r\n\r\nlines\n\n",
            "für\ufeff\u2028".encode(),
            b"# no comment\n",
            b"x" * 3_000_000,
        ):
            before = len(calls)
            made = opened.at(repo.path).commit(tree, parents, message, BY)
            assert len(calls) == before
            assert content(repo, made).endswith(b"\n\n" + message)
            assert alone.commit(tree, parents, message, BY) == made
    assert set(keepers()) == set(KEPT)
    assert repo.git("fsck", "--strict", "--no-dangling") == ""


CRUD = ".,:;<>\"\\' \t\n\r\x01\x1f\x7f\0\xa0\x85\u2003\u200b\ufeff\ufffe\U0001ffff\ud800\udcff"
NAMES = st.one_of(
    st.text(st.sampled_from(CRUD + "aé"), max_size=5),
    st.tuples(st.sampled_from(("", *CRUD)), st.text(max_size=8), st.sampled_from(("", *CRUD))).map("".join),
    st.sampled_from(("Jr.", "A B Jr.", "O'Neil", "a@b", "x" * 100_000, "-n", "%an", "A=B", "é" * 500)),
)
DATES = st.one_of(
    st.sampled_from(
        ("", "@5", "5 +0000", "@05 +0000", "@5 -0000", "@5 +0075", "@5 +9959", "@5 +00:00", "@-5 +0000", "@5 +0000\n",
         "@\u0665 +0000", "@9999999999999999 +0000", "@99999999999999999999 +0000", "1112911993 -0700",
         "2005-04-07T22:13:13+0530", "Thu, 07 Apr 2005 22:13:13 +0200", "nonsense")
    ),
    st.builds(
        "@{}{}{}{}{:04d}".format, st.sampled_from(("", "0")), st.integers(0, 10**18), st.sampled_from((" ", "  ")),
        st.sampled_from("+-"), st.integers(0, 9999),
    ),
)  # fmt: skip
MESSAGES = st.one_of(
    st.binary(max_size=20),
    st.text(st.one_of(st.characters(), st.sampled_from(CRUD + "\ufdd0\ufdef"))).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    env=st.fixed_dictionaries({}, optional={name: DATES if "DATE" in name else NAMES for name in BY}), message=MESSAGES
)
def test_whatever_is_said_the_commit_is_that_of_commit_tree(
    repo: Repository, tree: str, alone: Git, opened: Git, env: dict[str, str], message: bytes
) -> None:
    env = {**BY, **env, **{name: value or "@0 +0000" for name, value in env.items() if "DATE" in name}}
    said = outcome(opened, tree, (repo.head,), message, env)
    assert said == outcome(alone, tree, (repo.head,), message, env)
    assert set(keepers()) <= set(KEPT)


@pytest.mark.parametrize("missing", BY)
def test_who_is_not_named_in_full_is_named_by_git(
    repo: Repository, tree: str, alone: Git, opened: Git, missing: str
) -> None:
    repo.git("config", "user.useConfigOnly", "true")
    env = {name: value for name, value in BY.items() if name != missing}
    if "DATE" not in missing:
        said = outcome(opened, tree, (), b"m", env)
        assert said == outcome(alone, tree, (), b"m", env)
        assert (said[0] is GitError) if isinstance(said, tuple) else said
    else:
        assert opened.commit(tree, (), b"m", env)


@pytest.mark.parametrize("scope", ["--local", "--global"])
def test_commits_say_the_encoding_that_they_have(
    repo: Repository, tree: str, opened: Git, alone: Git, calls: list[str], scope: str
) -> None:
    """And the log is read in the same, whatever the user's is, also of one who chooses while the run goes on."""
    first = opened.commit(tree, (), "für".encode(), BY)
    for name in ("commitEncoding", "logOutputEncoding"):
        repo.git("config", scope, f"i18n.{name}", "ISO-8859-1")
    made = opened.commit(tree, (first,), "für".encode(), {**BY, "GIT_AUTHOR_NAME": "Ä"})
    assert calls == []
    assert made == alone.commit(tree, (first,), "für".encode(), {**BY, "GIT_AUTHOR_NAME": "Ä"})
    assert b"encoding" not in content(repo, made)
    assert alone.text("log", "-1", "--format=%an %s", made) == "Ä für"


def test_what_is_no_commit_or_no_tree_is_refused_and_nothing_is_written(
    repo: Repository, tree: str, alone: Git, opened: Git
) -> None:
    head = repo.head
    repo.git("tag", "-a", "v1", "-m", "v1")
    tag, blob = repo.git("rev-parse", "v1"), repo.git("rev-parse", "HEAD:README.md")
    assert opened.commit(tree, (head,), b"m", BY)
    before = objects(repo)
    for wrong in (tag, tree, blob, NOTHING, "0" * 40, "2" * 64, "", "no-such"):
        for parents in ((wrong,), (head, wrong), (wrong, head)):
            said = outcome(opened, tree, parents, b"m", BY)
            assert said == outcome(alone, tree, parents, b"m", BY)
            assert isinstance(said, tuple), wrong
    for wrong in (blob, NOTHING, "2" * 64, "no-such"):
        said = outcome(opened, wrong, (head,), b"m", BY)
        assert said == outcome(alone, wrong, (head,), b"m", BY)
        assert isinstance(said, tuple), wrong
    assert objects(repo) == before


def test_what_is_named_otherwise_is_looked_up_by_git(repo: Repository, tree: str, alone: Git, opened: Git) -> None:
    head = repo.head
    repo.git("tag", "-a", "v1", "-m", "v1")
    for named in (tree, "HEAD^{tree}", f"{head}^{{tree}}", tree[:12], tree.upper()):
        for parents in ((head,), ("HEAD",), (head[:12],), (head, head), (head.upper(), head), ("main~0",)):
            assert opened.commit(named, parents, b"m", BY) == alone.commit(tree, (head,), b"m", BY)
    many = tuple(opened.commit(tree, (), b"root %d" % number, BY) for number in range(150))
    assert opened.commit(tree, many, b"m", BY) == alone.commit(tree, many, b"m", BY)


def test_a_tag_that_an_agent_left_in_place_of_its_branch_never_lands(repo: Repository, opened: Git) -> None:
    """merge-tree takes it for the commit that it names."""
    base = repo.head
    repo.git("checkout", "-q", "-b", "work")
    commit = repo.commit({"b.txt": "b"})
    repo.git("tag", "-a", "v1", "-m", "v1")
    work = Work(task="T-1", commit=repo.git("rev-parse", "v1"), base=base, run_id="r")
    with pytest.raises(GitError, match="not a valid 'commit' object"):
        stack(opened, base, work)
    landed = stack(opened, base, work.evolve(commit=commit), Strategy.MERGE)
    assert isinstance(landed, Stacked)
    assert repo.git("log", "-1", "--format=%P", landed.commit) == f"{base} {commit}"


def test_what_others_remove_meanwhile_is_missed(repo: Repository, tree: str, opened: Git, calls: list[str]) -> None:
    made = opened.commit(tree, (), b"m", BY)
    assert opened.commit(tree, (made,), b"m", BY)
    (repo.path / ".git" / "objects" / made[:2] / made[2:]).unlink()
    with pytest.raises(GitError, match="commit-tree"):
        opened.commit(tree, (made,), b"other", BY)
    assert opened.commit(tree, (), b"m", BY) == made  # is written anew
    repo.git("repack", "-adq")
    assert opened.commit(tree, (repo.head,), b"m", BY)
    assert calls == ["commit-tree"]


def test_a_repository_with_long_ids(tmp_path: Path, clock: list[int], calls: list[str]) -> None:
    (tmp_path / "long").mkdir()
    repo = Repository(tmp_path / "long")
    repo.git("init", "-q", "--object-format=sha256")
    head = repo.commit({"a": "a"})
    tree, git = repo.git("rev-parse", "HEAD^{tree}"), Git(repo.path)
    with git.kept_processes():
        made = git.commit(tree, (head,), b"m", BY)
        assert calls == []
        assert git.commit(tree[:40], (head,), b"m", BY) == made
        assert isinstance(outcome(git, tree, (NOTHING,), b"m", BY), tuple)
    assert made == Git(repo.path).commit(tree, (head,), b"m", BY)


@pytest.mark.parametrize(
    "name",
    ["UTC", "Asia/Kolkata", "America/St_Johns", "Asia/Kathmandu", "No/Where", "", ":/etc/localtime", "<xyz>1:02:03",
     "<xyz>-0:00:59", "<xyz>0:00:59", "<xyz>-24:30", "NST3:30NDT,J1,J365", None],
)  # fmt: skip
def test_without_a_date_it_is_the_time_and_the_zone_of_git(
    repo: Repository, tree: str, calls: list[str], zone: pytest.MonkeyPatch, name: str | None
) -> None:
    """Also where it was another zone before, which is what Python still believes."""
    if name is None:
        zone.delenv("TZ")
    else:
        zone.setenv("TZ", name)
    git, began = Git(repo.path), -1
    with git.kept_processes():
        while int(time.time()) != began:  # both in one second, of which git's clock lags behind by some milliseconds
            while not 0.02 < time.time() % 1 < 0.5:
                time.sleep(0.01)
            began, before = int(time.time()), len(calls)
            made = git.commit(tree, (), b"m", UNDATED)
            assert len(calls) == before
            theirs = Git(repo.path).commit(tree, (), b"m", UNDATED)
    assert made == theirs


def test_a_zone_and_dates_of_whoever_calls(
    repo: Repository, tree: str, monkeypatch: pytest.MonkeyPatch, clock: list[int], calls: list[str]
) -> None:
    """A zone that git has and we have not is git's; a date is nobody's but that of who says by whom."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@7 +0000")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "@7 +0000")
    git = Git(repo.path).with_variables({"GIT_AUTHOR_DATE": "@8 +0000"})
    other = Git(repo.path, env={**os.environ, "TZ": "<xyz>-9"})
    with git.kept_processes(), other.kept_processes():
        assert b" +0000\ncommitter" in content(repo, git.commit(tree, (), b"m", UNDATED))
        assert calls == []
        assert b" +0900\ncommitter" in content(repo, made := other.commit(tree, (), b"m", UNDATED))
        assert calls == ["commit-tree"]
        made = git.commit(tree, (), b"m", UNDATED)
    seconds = [int(line.split()[-2]) for line in content(repo, made).splitlines()[1:3]]
    assert seconds[0] == seconds[1] > 1_700_000_000


@pytest.mark.parametrize("shared", ["umask", "group", "world", "0640"])
def test_whoever_may_read_objects_may_read_these(
    repo: Repository, tree: str, opened: Git, alone: Git, shared: str
) -> None:
    repo.git("config", "core.sharedRepository", shared)
    before = os.umask(0o077)
    try:
        ids = [opened.commit(tree, (), b"ours", BY), alone.commit(tree, (), b"theirs", BY)]
    finally:
        os.umask(before)
    files = [repo.path / ".git" / "objects" / one[:2] / one[2:] for one in ids]
    assert files[0].stat().st_mode == files[1].stat().st_mode


@pytest.mark.parametrize("command", KEPT)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_was_killed_is_made_good(
    repo: Repository, tree: str, opened: Git, calls: list[str], command: str, how: signal.Signals
) -> None:
    opened.commit(tree, (), b"m", BY)
    pid = keepers()[command]
    os.kill(pid, how)
    while not ended(pid):
        time.sleep(0.001)
    assert content(repo, opened.commit(tree, (repo.head,), b"other", BY)).endswith(b"\n\nother")
    assert calls == ["commit-tree"]
    assert opened.commit(tree, (repo.head,), b"third", BY)
    assert calls == ["commit-tree"]
    assert keepers()[command] != pid


@pytest.mark.parametrize("command", KEPT)
def test_one_that_does_not_answer_is_killed(repo: Repository, tree: str, tmp_path: Path, command: str) -> None:
    git = Git(repo.path, env=fake(tmp_path / "bin", "exec sleep 60", command))
    silent = git._writers.kinds if command == "cat-file" else git._writers.commits
    with git.kept_processes(), silent.opened(git._argv(()), git.environ, 0.5):  # the other may take its time
        with pytest.raises(GitError, match=rf"git {command} did not end within 0\.5 s"):
            git.commit(tree, (), b"m", BY)
        assert command not in keepers()
    assert keepers() == {}


@pytest.mark.parametrize("command", KEPT)
@pytest.mark.parametrize(
    "script",
    ["exit 0", "exit 3", "read it; echo", "read it; echo nonsense", "read it; git rev-parse HEAD",
     "read it; printf tre", "read it; printf 'tree\\ntree\\n'", "read it; echo tree; exec cat >&2",
     "git rev-parse HEAD HEAD",
     "exec 0<&-; exec git rev-parse HEAD:README.md", "printf '\\377\\n'", 'ulimit -f 0; git "$@"'],
)  # fmt: skip
def test_what_was_not_written_for_certain_is_written_by_another(
    repo: Repository, tree: str, alone: Git, tmp_path: Path, command: str, script: str
) -> None:
    path = os.environ["PATH"]
    git = Git(repo.path, env=fake(tmp_path / "bin", f"cd '{repo.path}'; PATH={path}; {script}; exit 0", command))
    with git.kept_processes():
        made = git.commit(tree, (repo.head,), b"m", BY)
        again = git.commit(tree, (made,), b"m", BY)
    assert keepers() == {}
    assert made == alone.commit(tree, (repo.head,), b"m", BY)
    assert content(repo, again).startswith(f"tree {tree}\nparent {made}\n".encode())


def test_where_nothing_can_be_written_that_is_said(repo: Repository, tree: str, tmp_path: Path) -> None:
    git = Git(repo.path, env=fake(tmp_path / "bin", "ulimit -f 0", ""))
    before = objects(repo)
    with git.kept_processes():
        for _ in range(2):
            with pytest.raises(GitError, match="git commit-tree failed"):
                git.commit(tree, (), b"m", BY)
    assert {path for path in objects(repo) - before if not path.name.startswith("tmp_obj_")} == set()


def test_where_no_more_can_be_opened_or_filled_none_is_left_open(
    repo: Repository, tree: str, opened: Git, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "too many open files")

    made = opened.commit(tree, (), b"m", BY)
    for where, what in ((spawned, "start"), (spawned, "pipe"), (spawned, "memory"), (kept.Process, "fill")):
        opened._writers.commits._end()
        opened._writers.kinds._end()
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with monkeypatch.context() as patched:
            patched.setattr(where, what, refused)
            assert opened._writers.kinds.are(tree, (made,)) == (what == "fill")
            assert opened._writers.commits.write(content(repo, made)) is None
        opened._writers.commits._end()
        opened._writers.kinds._end()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert opened.commit(tree, (), b"m", BY) == made
    assert calls == []


def test_a_second_that_ends_in_the_middle(
    repo: Repository, tree: str, alone: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two looks at the clock: the process that was filled is not the one that is asked."""
    clock = itertools.count()
    monkeypatch.setattr(kept, "_second", lambda: next(clock))
    git = Git(repo.path)
    with git.kept_processes():
        for number in range(5):
            message = b"m%d" % number
            assert git.commit(tree, (), message, BY) == alone.commit(tree, (), message, BY)
    assert keepers() == {}


def test_several_threads_take_turns(repo: Repository, tree: str, opened: Git, calls: list[str]) -> None:
    def write(number: int) -> list[str]:
        sizes = (1, 40_000, 3, 200_000, 0)
        return [opened.commit(tree, (), b"%d " % number + b"x" * size, BY) for size in sizes]

    with ThreadPoolExecutor(8) as pool:
        several = list(pool.map(write, range(32)))
    assert calls == []
    assert len(keepers()) == 2
    for number, ids in enumerate(several):
        assert content(repo, ids[3]).endswith(b"\n\n%d " % number + b"x" * 200_000)
        assert content(repo, ids[4]).endswith(b"\n\n%d " % number)
    assert repo.git("fsck", "--no-dangling") == ""


WRITES = """
import os, sys
from pathlib import Path
from maestro.vcs import git as module
from maestro.vcs.git import Git
git = Git(Path({repo!r}))
git.commit_of("HEAD")
for fd in map(int, {closed!r}.split()):
    os.close(fd)
one = Git._call
module.Git._call = lambda *args: os._exit(3)
with git.kept_processes():
    for number in range(3):
        made = git.commit({tree!r}, (), b"%d" % number, {by!r})
os.write(int(os.environ["ANSWER"]), made.encode())
"""


@pytest.mark.parametrize(
    ("inherited", "closed"),
    [("", ""), ("<&-", ""), (">&-", ""), ("2>&-", ""), ("<&- >&-", ""), ("<&- >&- 2>&-", ""), ("3</dev/null", ""),
     ("3</dev/null <&- >&- 2>&-", ""), ("3</dev/null", "3"), ("3</dev/null 4</dev/null 5</dev/null 6</dev/null", "3 4"),
     ("3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null", "3 4 5 6 7 8")],
)  # fmt: skip
def test_its_file_is_in_its_place_whatever_we_were_started_with(
    repo: Repository, tree: str, alone: Git, inherited: str, closed: str
) -> None:
    """And whatever of that was closed meanwhile."""
    reading, low = os.pipe()
    writing = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 50)  # above all that the shell opens
    os.close(low)
    env = {**os.environ, "ANSWER": str(writing)}
    program = WRITES.format(repo=str(repo.path), tree=tree, by=BY, closed=closed)
    argv = ["/bin/sh", "-c", f'exec "$@" {inherited}', "sh", sys.executable, "-c", program]
    with subprocess.Popen(argv, env=env, pass_fds=[writing], cwd=Path(__file__).parents[2]):
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            said = answer.read().decode()
    assert said == alone.commit(tree, (), b"2", BY)
