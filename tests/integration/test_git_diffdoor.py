"""What commits change, asked of one process of git: as of a process for each."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from maestro.errors import GitError
from maestro.testing.repository import Repository
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_raw_diff
from tests.integration.git_histories import Made, at_random, every_kind, file, make
from tests.integration.kept_git import children

SETTINGS = {
    "color.ui": "always", "core.abbrev": "7", "core.attributesFile": "/dev/null", "core.commitGraph": "false",
    "core.ignoreCase": "true", "core.notesRef": "refs/notes/made", "core.quotePath": "true",
    "core.useReplaceRefs": "false",
    "diff.algorithm": "patience", "diff.context": "0", "diff.external": "false", "diff.ignoreSubmodules": "all",
    "diff.mnemonicPrefix": "true", "diff.noprefix": "true", "diff.orderFile": "order", "diff.relative": "true",
    "diff.renameLimit": "1", "diff.renames": "copies", "diff.statGraphWidth": "1", "diff.submodule": "log",
    "diff.wsErrorHighlight": "all", "format.pretty": "fuller", "i18n.commitEncoding": "latin1",
    "i18n.logOutputEncoding": "UTF-16", "log.abbrevCommit": "true", "log.date": "relative", "log.decorate": "full",
    "log.diffMerges": "first-parent", "log.follow": "true", "log.mailmap": "true", "log.showRoot": "false",
    "log.showSignature": "true", "notes.displayRef": "*", "submodule.s.ignore": "all", "submodule.link.ignore": "all",
}  # fmt: skip


def said(question: Callable[[], object]) -> object:
    try:
        return question()
    except GitError as error:
        return error.message, error.output, error.returncode


def all_of(git: Git, commits: Iterable[str], pairs: Iterable[tuple[str, str]] = ()) -> list[object]:
    """What a door says, or fails with, of each commit and of each pair."""
    alone = [said(lambda commit=commit: git.changes_of(commit)) for commit in commits]
    return [*alone, *(said(lambda pair=pair: git.changes_between(*pair)) for pair in pairs)]


def refused(answers: list[object]) -> list[object]:
    return [one for one in answers if isinstance(one, tuple) and len(one) == 3]


@pytest.fixture
def git(repo: Repository) -> Git:
    return Git(repo.path, common_dir=repo.path / ".git")


@pytest.fixture
def opened(git: Git, clock: list[int]) -> Iterator[Git]:
    with git.kept_processes():
        yield git


@pytest.fixture
def by_itself(repo: Repository) -> Git:
    """What calls a process for each question."""
    return Git(repo.path)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_each_kind_of_commit_is_told_as_by_a_process(
    tmp_path: Path, calls: list[str], clock: list[int], object_format: str
) -> None:
    """Alone, and with each other one, of which it was asked before and is asked again after it."""
    subprocess.run(["git", "init", "-q", f"--object-format={object_format}", str(tmp_path / "r")], check=True)
    repo, git, by_itself = Repository(tmp_path / "r"), Git(tmp_path / "r"), Git(tmp_path / "r")
    commits = every_kind(repo).values()
    pairs = list(itertools.permutations(commits, 2))[::3] + [(one, one) for one in commits]
    expected = all_of(by_itself, commits, pairs)
    assert not refused(expected)
    calls.clear()
    with git.kept_processes():
        assert all_of(git, commits, pairs) == expected
        assert all_of(git, reversed([*commits]), reversed(pairs)) == [
            *reversed(expected[: len(commits)]),
            *reversed(expected[len(commits) :]),
        ]
        assert len(children("diff-tree")) == 2
    assert children("diff-tree") == []
    assert calls == []


def test_what_is_told_is_what_git_says_to_its_users(repo: Repository, opened: Git, calls: list[str]) -> None:
    kinds = every_kind(repo)
    for kind, commit in kinds.items():
        parents, diff = opened.changes_of(commit)
        assert parents == repo.git("show", "-s", "--format=%P", commit), kind
        argv = ["git", "diff-tree", "-r", "-z", "--raw", "--ignore-submodules=none", f"{parents}^{{tree}}", commit]
        plain = subprocess.run(argv, cwd=repo.path, capture_output=True).stdout if len(parents) == 40 else b""
        assert diff == plain, kind
    changed = {kind: [one.path for one in parse_raw_diff(opened.changes_of(kinds[kind])[1])] for kind in kinds}
    assert len(changed["odd names"]) == len(changed["odd names again"]) == 18
    assert changed["gitlink that it hides"] == [".gitmodules", "s"]
    assert calls == []


@pytest.mark.parametrize("seed", range(3))
def test_any_history_is_told_as_by_processes(
    repo: Repository, opened: Git, by_itself: Git, calls: list[str], seed: int
) -> None:
    commits, chance = at_random(repo, seed, 40), random.Random(seed)
    asked = chance.choices(commits, k=60)
    pairs = [(chance.choice(commits), chance.choice(commits)) for _ in range(60)]
    expected = all_of(by_itself, asked, pairs)
    assert not refused(expected)
    calls.clear()
    assert all_of(opened, asked, pairs) == expected
    assert calls == []


def test_what_a_question_named_is_in_no_other_answer(repo: Repository, opened: Git, calls: list[str]) -> None:
    """git takes the parents that one question names for those of the commit, in whatever is asked of it later."""
    first, second, third = make(repo, [Made((), (file(b"a"),)), Made((0,), (file(b"b"),)), Made((1,), (file(b"c"),))])
    for _ in range(2):
        assert opened.changes_of(third)[0] == second
        assert [one.path for one in parse_raw_diff(opened.changes_between(first, third))] == ["b", "c"]
        assert [one.path for one in parse_raw_diff(opened.changes_between(third, first))] == ["b", "c"]
        assert [one.path for one in parse_raw_diff(opened.changes_between(second, third))] == ["c"]
        assert opened.changes_of(first) == ("", b"")
        assert opened.changes_between(third, third) == b""
    assert calls == []


def test_no_setting_has_a_say(
    repo: Repository, opened: Git, by_itself: Git, calls: list[str], clock: list[int]
) -> None:
    commits = every_kind(repo)
    pairs = [(commits["root"], one) for one in commits.values()]
    (repo.path / "order").write_text("c\nb\n*\n")
    (repo.path / ".gitattributes").write_text("* diff=made\n")
    plain = all_of(opened, commits.values(), pairs)
    for key, value in SETTINGS.items():
        clock[0] += 1
        repo.git("config", key, value)
        assert all_of(opened, commits.values(), pairs) == plain, key
    assert calls == []
    some = (commits["gitlink that it hides"], commits["rename"], commits["merge"])
    assert all_of(by_itself, some, pairs[:8]) == all_of(opened, some, pairs[:8])
    clock[0] += 1
    repo.git("config", "core.bigFileThreshold", "none such")
    wrong = all_of(opened, some, pairs[:1])
    assert len(refused(wrong)) == 4
    assert wrong == all_of(by_itself, some, pairs[:1])


@pytest.mark.parametrize("to", ["1", "true", "2", "/dev/null", "file"])
def test_git_may_be_traced(repo: Repository, calls: list[str], clock: list[int], tmp_path: Path, to: str) -> None:
    path = str(tmp_path / "trace") if to == "file" else to
    env = {**os.environ, **dict.fromkeys(("GIT_TRACE", "GIT_TRACE2", "GIT_TRACE_SETUP", "GIT_TRACE_PERFORMANCE"), path)}
    git, commits = Git(repo.path, env=env), every_kind(repo).values()
    expected = all_of(Git(repo.path), commits)
    calls.clear()
    with git.kept_processes():
        for _ in range(10):
            assert all_of(git, commits) == expected
    assert calls == []
    assert (tmp_path / "trace").exists() == (to == "file")


def test_an_answer_may_be_as_big_as_it_likes(repo: Repository, opened: Git, by_itself: Git, calls: list[str]) -> None:
    """Neither side waits for the other while a pipe is full."""
    many = tuple(file(b"folder %d/%s" % (number % 300, b"%d" % number + b"x" * 180), b"") for number in range(30_000))
    root, big, removed = make(repo, [Made((), (file(b"a"),)), Made((0,), many), Made((1,), (b'D "folder 7"',))])
    expected = all_of(by_itself, (big, removed), [(root, big), (big, root), (removed, root)])
    assert len(opened.changes_of(big)[1]) > 8 << 20
    calls.clear()
    assert all_of(opened, (big, removed), [(root, big), (big, root), (removed, root)]) == expected
    assert calls == []


def test_what_is_no_commit_is_told_by_a_process(repo: Repository, opened: Git, by_itself: Git) -> None:
    kinds = every_kind(repo)
    commit, other = kinds["usual"], kinds["odd names"]
    repo.git("tag", "-a", "-m", "tag", "v1", commit)
    tree, tag, blob = repo.git("rev-parse", f"{commit}^{{tree}}", "v1", f"{commit}:a").split()
    nothing, longer, shorter = "1" * 40, commit + "0" * 24, commit[:20]
    odd = (tree, tag, blob, nothing, longer, shorter, "0" * 40, commit.upper(), "v1", "HEAD", "none", "", "a\nb")
    pairs = [pair for one in odd for pair in ((one, other), (other, one), (one, one), (one, tree), (tree, one))]
    expected = all_of(by_itself, odd, pairs)
    assert len(refused(expected)) > 40
    assert all_of(opened, odd, pairs) == expected
    assert opened.changes_of(commit) == by_itself.changes_of(commit)


def test_what_is_no_id_in_a_repository_of_other_ids_is_told_by_a_process(tmp_path: Path, clock: list[int]) -> None:
    """A short one comes back from `--stdin` as it is, and so would an answer without changes begin."""
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path / "r")], check=True)
    repo, git, by_itself = Repository(tmp_path / "r"), Git(tmp_path / "r"), Git(tmp_path / "r")
    kinds = every_kind(repo)
    whole, short = (kinds["usual"], kinds["odd names"]), (kinds["usual"][:40], kinds["odd names"][:40])
    pairs = [short, (whole[0], short[1]), (short[0], whole[1]), (short[0], short[0])]
    with git.kept_processes():
        assert all_of(git, short, pairs) == all_of(by_itself, whole, [whole, whole, whole, (whole[0], whole[0])])


def test_files_may_be_called_as_commits_are(repo: Repository, opened: Git, by_itself: Git) -> None:
    first, second = repo.commit({"a": "1"}), repo.commit({"a": "2"})
    for commit in (first, second):
        (repo.path / commit).touch()
        repo.git("branch", commit, repo.git("rev-parse", "HEAD~2"))
    expected = f"{second} {first}".encode()
    repo.commit({first: "x", second: "y"})
    third = repo.head
    said = all_of(opened, (first, second, third), [(first, second), (second, third)])
    assert not refused(said)
    assert said == all_of(by_itself, (first, second, third), [(first, second), (second, third)])
    assert expected.split()[0] in opened.changes_of(third)[1]


def test_what_is_made_while_it_is_kept_is_told(repo: Repository, opened: Git, by_itself: Git, calls: list[str]) -> None:
    """And so is what was packed meanwhile, and is no longer where it was."""
    commits = [repo.head]
    assert opened.changes_of(commits[0]) == ("", b"")
    assert opened.changes_between(commits[0], commits[0]) == b""
    pids = children("diff-tree")
    for number, packed in enumerate((["gc", "-q"], ["repack", "-adq"], ["gc", "-q", "--prune=now"], ["pack-refs"])):
        commits += [repo.commit({"a": f"{number}"}), repo.commit({f"b/{number}": "b"})]
        pairs = list(itertools.pairwise(commits))
        before = all_of(opened, commits, pairs)
        repo.git(*packed)
        assert all_of(opened, commits, pairs) == before
        repo.git("commit-graph", "write", "--reachable")
        repo.git("multi-pack-index", "write")
        assert all_of(opened, commits, pairs) == before
    assert calls == []
    assert before == all_of(by_itself, commits, pairs)
    assert children("diff-tree") == pids


def test_each_second_has_processes_of_its_own(
    repo: Repository, opened: Git, by_itself: Git, calls: list[str], clock: list[int]
) -> None:
    """What git reads once for all is thus never older: what stands for other commits, and where history ends."""
    first, second, third = (repo.commit({"a": f"{number}"}) for number in range(3))
    pids: set[int] = set()
    for change in (
        [],
        ["replace", third, first],
        ["replace", "-d", third],
        ["replace", "--graft", third, first],
        ["fetch", "-q", "--depth=1", ".", "HEAD:refs/heads/short"],
    ):
        repo.git(*change or ["status"])
        clock[0] += 1
        assert all_of(opened, (third, second), [(first, third)]) == all_of(by_itself, (third, second), [(first, third)])
        assert len(children("diff-tree")) == 2
        assert not pids & set(children("diff-tree"))
        pids |= set(children("diff-tree"))
    assert calls == ["diff-tree"] * 15  # of the other one
