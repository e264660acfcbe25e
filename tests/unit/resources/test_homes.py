"""HOME by configuration, and the caches that follow from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.proc.request import MARKER, ProcessRequest
from maestro.resources.base import Need
from maestro.resources.caches import Caches
from maestro.resources.homes import PRIVATE, USER, Homes, private_home


@pytest.fixture
def need(tmp_path: Path) -> Need:
    home = tmp_path / "task-a"
    (home / "repo").mkdir(parents=True)
    return Need(task_id="a", marker="t/r/a/1", home=home, repo=home / "repo", agent="claude")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "user"
    (home / ".rustup").mkdir(parents=True)
    return {"HOME": str(home), "CLAUDE_CONFIG_DIR": "/users/claude", "XDG_CONFIG_HOME": "/users/config"}


def request(folder: Path, env: dict[str, str]) -> ProcessRequest:
    file = folder / "x"
    return ProcessRequest(
        argv=("x",), cwd=folder, env={MARKER: "m", **env}, stdout_file=file, stderr_file=file, exit_file=file
    )


def test_the_users_home_changes_nothing(need: Need, environ: dict[str, str]) -> None:
    homes = Homes(environ)
    provided = homes.take(need)
    asked = request(need.repo, environ)
    assert (provided.env, provided.wrap(asked), homes.folder(need)) == ({}, asked, None)
    assert not private_home(need).exists()


def test_a_private_home_is_beside_the_files_and_nothing_leads_back_to_the_users(
    need: Need, environ: dict[str, str], tmp_path: Path
) -> None:
    homes = Homes(environ, PRIVATE)
    provided = homes.take(need)
    own = need.home / ".agent-home"
    assert own.stat().st_mode & 0o777 == 0o700
    assert provided.env == {"HOME": str(own), "RUSTUP_HOME": str(tmp_path / "user" / ".rustup")}
    asked = request(need.repo, {**environ, **provided.env, "XDG_CONFIG_HOME": "/the/adapters/own"})
    got = provided.wrap(asked).env
    assert "CLAUDE_CONFIG_DIR" not in got
    assert got["XDG_CONFIG_HOME"] == "/the/adapters/own"
    (own / "session").touch()
    homes.give_back(need)
    assert homes.take(need).env == provided.env
    assert (own / "session").exists(), "the next attempt may go on with it"


def test_a_home_that_an_agent_made_a_link_is_refused(need: Need, environ: dict[str, str], tmp_path: Path) -> None:
    private_home(need).symlink_to(tmp_path / "user")
    with pytest.raises(WorkspaceError, match="replaced by a link"):
        Homes(environ, PRIVATE).take(need)


def test_a_folder_may_be_named_and_each_agent_may_have_its_own(
    need: Need, environ: dict[str, str], tmp_path: Path
) -> None:
    homes = Homes(environ, tmp_path / "agents", {"codex": USER, "claude": PRIVATE})
    assert [homes.policy(agent) for agent in ("claude", "codex", "gemini", None)] == [
        PRIVATE, USER, tmp_path / "agents", tmp_path / "agents",
    ]  # fmt: skip
    gate = Need(task_id="g", marker="t/r/gate", home=need.home, repo=need.repo, agent=None)
    with pytest.raises(WorkspaceError, match="not there any more"):
        homes.take(gate)
    (tmp_path / "agents").mkdir()
    assert homes.take(gate).env["HOME"] == str(tmp_path / "agents")


def test_with_the_users_home_tools_find_their_caches_by_themselves(need: Need, environ: dict[str, str]) -> None:
    assert Caches(environ, Homes(environ)).take(need).env == {}
    private = Caches(environ, Homes(environ), {"npm": "private"}).take(need).env
    assert private == {"npm_config_cache": str(need.home / ".agent-caches" / "npm")}


def test_with_a_private_home_caches_are_the_users_and_of_cargo_only_what_was_downloaded(
    need: Need, environ: dict[str, str], tmp_path: Path
) -> None:
    user = tmp_path / "user"
    (user / ".cargo").mkdir()
    (user / ".cargo" / "credentials.toml").write_text("secret")
    caches = Caches({**environ, "UV_CACHE_DIR": str(tmp_path / "uv")}, Homes(environ, PRIVATE), {"pip": "private"})
    for _ in range(2):  # the second time for an attempt that is adopted
        assert caches.take(need).env == {
            "PIP_CACHE_DIR": str(need.home / ".agent-caches" / "pip"),
            "npm_config_cache": str(user / ".npm"),
            "UV_CACHE_DIR": str(tmp_path / "uv"),
            "CARGO_HOME": str(need.home / ".agent-caches" / "cargo"),
        }
    cargo = need.home / ".agent-caches" / "cargo"
    assert {path.name: path.readlink() for path in cargo.iterdir()} == {
        "registry": user / ".cargo" / "registry",
        "git": user / ".cargo" / "git",
    }


def test_in_a_sandbox_shared_caches_are_never_the_users_own(
    need: Need, environ: dict[str, str], tmp_path: Path
) -> None:
    caches = Caches(environ, Homes(environ), {"cargo": "private"}, sandboxed=True)
    ours = tmp_path / "user" / ".cache" / "maestro"
    env = caches.take(need).env
    assert (env["PIP_CACHE_DIR"], env["CARGO_HOME"]) == (str(ours / "pip"), str(need.home / ".agent-caches" / "cargo"))
    assert set(caches.shared_folders(need)) == {ours / "pip", ours / "npm", ours / "uv"}


@pytest.mark.parametrize("place", [".agent-caches", ".agent-caches/cargo"])
def test_no_caches_are_made_where_a_link_of_an_earlier_agent_leads(
    need: Need, environ: dict[str, str], tmp_path: Path, place: str
) -> None:
    (tmp_path / "theirs" / "cargo").mkdir(parents=True)
    (need.home / place).parent.mkdir(exist_ok=True)
    (need.home / place).symlink_to(tmp_path / "theirs")
    with pytest.raises(WorkspaceError, match="link"):
        Caches(environ, Homes(environ), {}, sandboxed=True).take(need)
    assert [path.name for path in (tmp_path / "theirs").rglob("*")] == ["cargo"]
