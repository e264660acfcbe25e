"""Landing commits as objects of real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maestro.errors import GitError
from maestro.integration.land import Empty, Stacked, Strategy, merge, stack
from maestro.integration.message import Work
from maestro.integration.overlaps import conflicts_with, tasks_behind
from maestro.model.conflict import Conflict
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import Git

LINES = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    return make_repository(tmp_path / "a project", {"a.txt": LINES, "b.txt": LINES})


def branch_off(
    project: Repository, files: dict[str, str | bytes | None], base: str = "main", message: str = "w"
) -> str:
    """A commit on a base that writes (None: removes) files, made away from the checkout's branch; HEAD comes back."""
    project.git("checkout", "-q", "--detach", base)
    for name, content in files.items():
        path = project.path / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    project.git("add", "-A")
    project.git("commit", "-q", "--allow-empty", "-m", message)
    commit = project.head
    project.git("checkout", "-q", "main")
    return commit


def work(project: Repository, commit: str, task: str = "T-1", base: str = "main") -> Work:
    return Work(task=task, title=f"title of {task}", commit=commit, base=project.git("rev-parse", base), run_id="r1")


def stacked(project: Repository, tip: str, one: Work, strategy: Strategy = Strategy.MERGE) -> Stacked:
    shape = stack(Git(project.path), tip, one, strategy)
    assert isinstance(shape, Stacked), shape
    return shape


def test_merge_makes_a_commit_with_both_parents_and_moves_nothing(project: Repository) -> None:
    commit = branch_off(project, {"new file.txt": "x"})
    before = project.git("for-each-ref"), project.git("status", "--porcelain"), project.head
    shape = stacked(project, project.head, work(project, commit))
    assert project.git("log", "-1", "--format=%P", shape.commit).split() == [project.head, commit]
    assert shape.tree == project.git("rev-parse", f"{shape.commit}^{{tree}}")
    assert (project.git("for-each-ref"), project.git("status", "--porcelain"), project.head) == before
    message = project.git("log", "-1", "--format=%B", shape.commit)
    assert message.startswith("Land T-1: title of T-1\n\n")
    assert project.git("log", "-1", "--format=%(trailers:key=Maestro-Task,valueonly)", shape.commit).strip() == "T-1"


def test_squash_makes_one_commit_by_the_works_author(project: Repository) -> None:
    first = branch_off(project, {"x": "1"})
    project.git("config", "user.name", "User")
    project.git("config", "user.email", "user@example.invalid")
    second = branch_off(project, {"y": "2"}, base=first)
    shape = stacked(project, project.head, work(project, second), Strategy.SQUASH)
    told = project.git("log", "-1", "--format=%P|%an <%ae>|%cn|%ad", "--date=raw", shape.commit).split("|")
    date = project.git("log", "-1", "--format=%ad", "--date=raw", second)
    assert told == [project.head, "Test Author <author@example.invalid>", "User", date]
    assert {"x", "y"} <= set(project.files(shape.commit))


def test_rebase_replays_each_commit_with_author_date_and_words(project: Repository) -> None:
    os.environ["GIT_AUTHOR_DATE"] = "1700000000 +0200"
    first = branch_off(project, {"a.txt": LINES.replace("line 3\n", "three\n")}, message="First\n\nWhy.")
    second = branch_off(
        project, {"a.txt": LINES.replace("line 3\n", "three\n") + "end\n"}, base=first, message="Second"
    )
    del os.environ["GIT_AUTHOR_DATE"]
    tip = branch_off(project, {"a.txt": LINES.replace("line 15\n", "fifteen\n")})
    shape = stacked(project, tip, work(project, second), Strategy.REBASE)
    rows = project.git("log", "--format=%s|%P|%an|%ad", "--date=raw", f"{tip}..{shape.commit}").splitlines()
    assert [row.split("|")[0] for row in rows] == ["Second", "First"]
    assert all(row.endswith("|Test Author|1700000000 +0200") for row in rows)
    assert rows[1].split("|")[1] == tip
    assert project.show(shape.commit, "a.txt").splitlines()[3] == "three"
    assert project.show(shape.commit, "a.txt").splitlines()[15] == "fifteen"
    assert project.show(shape.commit, "a.txt").splitlines()[-1] == "end"


def test_rebase_leaves_out_what_is_there_already_and_keeps_the_rest(project: Repository) -> None:
    first = branch_off(project, {"x": "1"})
    second = branch_off(project, {"y": "2"}, base=first)
    tip = branch_off(project, {"x": "1", "z": "3"})
    shape = stacked(project, tip, work(project, second), Strategy.REBASE)
    assert project.git("rev-list", "--count", f"{tip}..{shape.commit}") == "1"
    assert {"x", "y", "z"} <= set(project.files(shape.commit))


def test_rebase_squashes_work_with_merges_so_that_their_resolutions_stay(project: Repository) -> None:
    one = branch_off(project, {"a.txt": "one\n"})
    two = branch_off(project, {"a.txt": "two\n"})
    project.git("checkout", "-q", "--detach", one)
    project.git("merge", "-q", two, ok=False)
    (project.path / "a.txt").write_text("resolved\n")
    project.git("commit", "-qam", "resolve")
    resolved = project.head
    project.git("checkout", "-q", "main")
    tip = branch_off(project, {"z": "3"})
    shape = stacked(project, tip, work(project, resolved), Strategy.REBASE)
    assert project.git("rev-list", "--count", f"{tip}..{shape.commit}") == "1"
    assert project.show(shape.commit, "a.txt") == "resolved"


def test_a_rebase_conflict_names_the_real_commits(project: Repository) -> None:
    commit = branch_off(project, {"a.txt": LINES.replace("line 3\n", "mine\n")})
    tip = branch_off(project, {"a.txt": LINES.replace("line 3\n", "theirs\n")})
    conflict = stack(Git(project.path), tip, work(project, commit), Strategy.REBASE)
    assert isinstance(conflict, Conflict)
    assert (conflict.paths, conflict.ours, conflict.theirs, conflict.base) == (("a.txt",), tip, commit, project.head)


@pytest.mark.parametrize("strategy", Strategy)
def test_work_that_is_there_already_is_empty(project: Repository, strategy: Strategy) -> None:
    commit = branch_off(project, {"x": "1"})
    tip = branch_off(project, {"x": "1"}, message="the same by somebody else")
    shape = stack(Git(project.path), tip, work(project, commit), strategy)
    assert shape == Empty(task="T-1", tip=tip, tree=project.git("rev-parse", f"{tip}^{{tree}}"))


CONFLICTS: dict[str, tuple[dict[str, str | bytes | None], dict[str, str | bytes | None], tuple[str, ...]]] = {
    "content": ({"a.txt": "o\n"}, {"a.txt": "t\n"}, ("a.txt",)),
    "add/add": ({"n": "o\n"}, {"n": "t\n"}, ("n",)),
    "modify/delete": ({"a.txt": LINES + "m\n"}, {"a.txt": None}, ("a.txt",)),
    "rename/rename": ({"a.txt": None, "c": LINES + "c\n"}, {"a.txt": None, "d": LINES + "d\n"}, ()),
    "file/directory": ({"n": "o\n"}, {"n/x": "t\n"}, ("n",)),
    "binary": ({"n": b"\0\1" * 50}, {"n": b"\0\2" * 50}, ("n",)),
    "odd names": ({'q"u\no te é': "o\n"}, {'q"u\no te é': "t\n"}, ('q"u\no te é',)),
}


@pytest.mark.parametrize("case", CONFLICTS.values(), ids=CONFLICTS)
def test_conflicts_are_values_and_name_whom_they_are_with(
    project: Repository,
    case: tuple[dict[str, str | bytes | None], dict[str, str | bytes | None], tuple[str, ...]],
) -> None:
    ours, theirs, paths = case
    base = project.head
    landed = stacked(project, base, work(project, branch_off(project, ours), "B")).commit
    other = branch_off(project, {"unrelated": "x"})
    tip = stacked(project, landed, work(project, other, "C")).commit
    commit = branch_off(project, theirs)
    conflict = stack(Git(project.path), tip, work(project, commit, "A"))
    assert isinstance(conflict, Conflict)
    assert (conflict.ours, conflict.theirs, conflict.base) == (tip, commit, base)
    assert conflict.messages
    if paths:
        assert conflict.paths == paths
        assert tasks_behind(Git(project.path), tip, conflict) == ("B",)
    assert Conflict.model_validate_json(conflict.model_dump_json()) == conflict


def test_a_name_that_is_no_utf8_is_merged_and_shown(project: Repository) -> None:
    name = os.fsdecode(b"caf\xe9")
    clean = stacked(project, project.head, work(project, branch_off(project, {name: "o\n"})))
    theirs = branch_off(project, {name: "t\n"})
    conflict = stack(Git(project.path), clean.commit, work(project, theirs))
    assert isinstance(conflict, Conflict)
    assert conflict.paths == ("caf\\xe9",)


def test_a_rename_and_an_edit_of_the_old_name_come_together(project: Repository) -> None:
    renamed = branch_off(project, {"a.txt": None, "moved/a.txt": LINES})
    edited = branch_off(project, {"a.txt": LINES.replace("line 9\n", "nine\n")})
    first = stacked(project, project.head, work(project, renamed))
    second = stacked(project, first.commit, work(project, edited, "T-2"))
    assert "nine" in project.show(second.commit, "moved/a.txt")
    assert "a.txt" not in project.files(second.commit)


def test_histories_without_a_common_commit_are_a_conflict(project: Repository) -> None:
    project.git("checkout", "-q", "--orphan", "other")
    stranger = project.commit({"s": "s"})
    project.git("checkout", "-q", "main")
    conflict = stack(Git(project.path), project.head, work(project, stranger))
    assert isinstance(conflict, Conflict)
    assert conflict.base is None
    assert conflict.messages == ("the histories have no common commit",)


def test_a_commit_that_does_not_exist_is_an_error_not_a_conflict(project: Repository) -> None:
    with pytest.raises(GitError, match="not something we can merge"):
        merge(Git(project.path), project.head, "1" * 40)


def test_without_an_identity_maestro_signs(project: Repository) -> None:
    shape = stacked(project, project.head, work(project, branch_off(project, {"x": "1"})))
    told = project.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", shape.commit)
    assert told == "maestro <maestro@localhost>|maestro <maestro@localhost>"


def test_the_users_settings_that_would_prompt_or_fail_do_not_matter(project: Repository) -> None:
    for key, value in (
        ("commit.gpgsign", "true"),
        ("gpg.program", "/bin/false"),
        ("user.useConfigOnly", "true"),
        ("merge.ff", "only"),
        ("merge.conflictStyle", "diff3"),
        ("log.showSignature", "true"),
    ):
        project.git("config", key, value)
    commit = branch_off_unsigned(project)
    for strategy in Strategy:
        shape = stacked(project, project.git("rev-parse", "main"), work(project, commit), strategy)
        assert "gpgsig" not in project.git("cat-file", "commit", shape.commit), strategy


def branch_off_unsigned(project: Repository) -> str:
    project.git("checkout", "-q", "--detach", "main")
    project.write({"x": "1"})
    project.git("add", "-A")
    project.git("commit", "-q", "--no-gpg-sign", "-m", "w")
    commit = project.head
    project.git("checkout", "-q", "main")
    return commit


def test_running_workspaces_are_compared_in_pairs(project: Repository) -> None:
    tips = {
        "A": branch_off(project, {"a.txt": "a\n"}),
        "B": branch_off(project, {"b.txt": "b\n"}),
        "C": branch_off(project, {"a.txt": "c\n", "b.txt": "c\n"}),
    }
    newest = tips.pop("C")
    found = conflicts_with(Git(project.path), newest, tips)
    assert [(task, conflict.paths) for task, conflict in found] == [("A", ("a.txt",)), ("B", ("b.txt",))]
    assert conflicts_with(Git(project.path), tips["A"], {"B": tips["B"]}) == []
