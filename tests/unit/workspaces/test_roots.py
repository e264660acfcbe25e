"""Where workspaces stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.workspaces import roots
from maestro.workspaces.roots import check_root, default_root, folder_name


def test_on_one_disk_the_state_folder_of_the_user_is_taken(tmp_path: Path) -> None:
    repository, home = tmp_path / "a b", tmp_path / "home"
    repository.mkdir()
    by_home = default_root(repository, {"HOME": str(home)})
    assert by_home.parent == home / ".local" / "state" / "maestro" / "workspaces"
    assert by_home.name.startswith("a b-")
    by_xdg = default_root(repository, {"HOME": str(home), "XDG_STATE_HOME": str(tmp_path / "xdg")})
    assert by_xdg == tmp_path / "xdg" / "maestro" / "workspaces" / by_home.name
    assert default_root(repository, {"HOME": str(home), "XDG_STATE_HOME": "relative"}) == by_home
    assert not home.exists()


def test_two_repositories_of_one_name_get_two_roots(tmp_path: Path) -> None:
    for parent in "xy":
        (tmp_path / parent / "project").mkdir(parents=True)
    first, second = (default_root(tmp_path / parent / "project", {"HOME": str(tmp_path)}) for parent in "xy")
    assert first != second


def test_another_disk_or_no_home_puts_them_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "project"
    repository.mkdir()
    beside = default_root(repository, {})
    assert beside.parent == tmp_path / ".maestro-workspaces"
    monkeypatch.setattr(roots, "on_one_disk", lambda *_: False)
    assert default_root(repository, {"HOME": str(tmp_path / "home")}) == beside


def test_a_root_inside_the_repository_is_refused(tmp_path: Path) -> None:
    repository = tmp_path / "project"
    (repository / ".git").mkdir(parents=True)
    (tmp_path / "link").symlink_to(repository)
    for inside in (repository, repository / "w", tmp_path / "link" / "w", repository / ".git" / "w"):
        with pytest.raises(BadInput, match="inside the repository"):
            check_root(inside, repository, repository / ".git")
    assert check_root(tmp_path / "x" / ".." / "w", repository, repository / ".git") == tmp_path / "w"


def test_a_root_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        check_root(tmp_path / "file" / "root", tmp_path / "project", tmp_path / "project" / ".git")


def test_names_with_control_characters_are_made_plain() -> None:
    assert folder_name(Path("/x/my pröject")) == "my pröject"
    assert folder_name(Path("/x/a\nb\udce9")) == "a_b_"
    assert folder_name(Path("/")) == "repository"
