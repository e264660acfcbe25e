"""The files beside the repository, read back by git and by a shell."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.environ import exclude_paths, git_settings, write_layout
from maestro.workspaces.site import MAESTRO, Identity, Site, survey

SPEC = WorkspaceSpec(run_id="r", task_id='it\'s; "odd"\n$x', task_name="t", attempt=1, base="b", branch="maestro/r/t")


@pytest.fixture
def site(repo: Repository, tmp_path: Path) -> Site:
    return survey(open_repository(repo.path), tmp_path / "root")


def config(env: dict[str, str], *args: str) -> str:
    done = subprocess.run(
        ["git", "config", *args], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, cwd="/"
    )
    return done.stdout.rstrip("\n")


def test_a_shell_reads_the_variables_back(site: Site, tmp_path: Path) -> None:
    home = tmp_path / "ho\"me $x\n'y"
    env = write_layout(site, SPEC, home, home / "project")
    said = subprocess.run(
        ["sh", "-c", '. "$0"; printf %s "$MAESTRO_TASK_ID|$GIT_CONFIG_GLOBAL"', str(home / "env")],
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert said == f"{SPEC.task_id}|{home / '.gitconfig'}"
    assert config({"GIT_CONFIG_GLOBAL": env["GIT_CONFIG_GLOBAL"]}, "core.hooksPath") == str(home / ".hooks")
    assert config({"GIT_CONFIG_GLOBAL": env["GIT_CONFIG_GLOBAL"]}, "--get-all", "safe.directory").startswith(str(home))


def test_settings_hold_against_the_repository_itself(site: Site, tmp_path: Path) -> None:
    env = write_layout(site, SPEC, tmp_path / "home", tmp_path / "home" / "project")
    only = {
        name: value for name, value in env.items() if name.startswith("GIT_CONFIG_") and name != "GIT_CONFIG_GLOBAL"
    }
    for key, value in git_settings(site, tmp_path / "home").items():
        assert config(only, key) == value


def test_the_identity_of_the_user_is_carried_from_wherever_it_is(
    repo: Repository, tmp_path: Path, hermetic: Path
) -> None:
    git = open_repository(repo.path)
    assert survey(git, tmp_path / "root").identity == MAESTRO
    (hermetic / ".gitconfig").write_text("[user]\n\tname = Global\n\temail = g@example.invalid\n")
    repo.git("config", "user.email", "local@example.invalid")
    assert survey(git, tmp_path / "root").identity == Identity("Global", "local@example.invalid")


def test_the_configuration_files_of_the_user_in_gits_order(repo: Repository, tmp_path: Path, hermetic: Path) -> None:
    (hermetic / ".config" / "git").mkdir(parents=True)
    (hermetic / ".config" / "git" / "config").write_text("[a]\n\tb = xdg\n\tc = xdg\n")
    (hermetic / ".gitconfig").write_text("[a]\n\tb = home\n")
    site = survey(open_repository(repo.path), tmp_path / "root")
    env = write_layout(site, SPEC, tmp_path / "home", tmp_path / "home" / "project")
    assert (config(env, "a.b"), config(env, "a.c")) == ("home", "xdg")


def test_the_ignore_patterns_of_the_user_hold(repo: Repository, tmp_path: Path, hermetic: Path) -> None:
    (hermetic / "ignore").write_text("*.swp\n")
    (hermetic / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignore\n")
    site = survey(open_repository(repo.path), tmp_path / "root")
    home = tmp_path / "home"
    env = write_layout(site, SPEC, home, home / "project")
    exclude_paths(home, ["odd [x]*", "trailing "])
    repo.write({"a.swp": "", "odd [x]*": "", "odd xy": "", "trailing ": "", "trailing": ""})
    said = subprocess.run(
        ["git", "status", "--porcelain", "-z"], cwd=repo.path, env={**os.environ, **env}, capture_output=True, text=True
    ).stdout
    assert said == "?? odd xy\0?? trailing\0"


def test_credentials_of_an_earlier_file_are_not_readable_for_a_moment(site: Site, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".git-credentials").write_text("old")
    (home / ".git-credentials").chmod(0o644)
    write_layout(replace(site, credentials="https://u:p@host"), SPEC, home, home / "project")
    assert (home / ".git-credentials").stat().st_mode & 0o777 == 0o600
    assert (home / ".git-credentials").read_text() == "https://u:p@host\n"
