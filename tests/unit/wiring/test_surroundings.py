"""Which provisions follow from the settings, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.resources.caches import Caches
from maestro.resources.homes import Homes
from maestro.store.layout import Layout
from maestro.testing.repository import Repository
from maestro.vcs.git import Git
from maestro.wiring.agentfiles import AGENT_FILES
from maestro.wiring.roster import chosen_login
from maestro.wiring.surroundings import check_surroundings, environment_of_agent, surroundings_of


def kinds(repo: Repository, tmp_path: Path, **settings: Any) -> list[type]:
    made = surroundings_of(
        Settings(**settings),
        git=Git(repo.path),
        layout=Layout(repo.path),
        run_id="r",
        root=tmp_path / "ws",
        environ={"HOME": str(tmp_path)},
    )
    return [type(one) for one in made]


def test_nothing_is_provided_that_nobody_asked_for(repo: Repository, tmp_path: Path) -> None:
    assert kinds(repo, tmp_path) == []
    assert kinds(repo, tmp_path, home="private") == [Homes, Caches]
    assert kinds(repo, tmp_path, agents={"claude": {"home": "private"}}) == [Homes, Caches]
    assert kinds(repo, tmp_path, caches={"npm": "private"}) == [Caches]
    assert kinds(repo, tmp_path, caches={"npm": "shared"}) == []
    assert kinds(repo, tmp_path, home="private", agent="delegate") == [], "subagents are processes of the session"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"home": Path("/no/such/folder")}, "is no folder"),
        ({"agents": {"claude": {"home": "/no/such/folder"}}}, "is no folder"),
        ({"agents": {"claude": {"home": "here"}}}, "is no absolute path"),
        ({"agents": {"claude": {"home": 3}}}, "must be user, private or a path"),
        ({"sandbox": "bubblewrap", "agent": "delegate"}, "subagents of a session"),
        ({"sandbox": "bubblewrap", "workspace": "none"}, "--workspace none"),
        (
            {"sandbox": "bubblewrap", "agent": "codex", "agents": {"codex": {"sandbox": "read-only"}}},
            "inside of another",
        ),
        ({"sandbox": "bubblewrap"}, "no bwrap on PATH"),
    ],
)
def test_what_cannot_work_is_refused_with_a_hint(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        check_surroundings(Settings(**settings), {"HOME": str(tmp_path), "PATH": str(tmp_path)})
    assert refused.value.hint or "option" in refused.value.message


def bwrap(folder: Path, script: str) -> dict[str, str]:
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"HOME": str(folder), "PATH": str(folder)}


def test_a_kernel_that_allows_no_sandbox_is_named_before_the_run(tmp_path: Path) -> None:
    environ = bwrap(tmp_path, "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    with pytest.raises(BadInput, match="can make no sandbox here: bwrap: No permissions"):
        check_surroundings(Settings(sandbox="bubblewrap"), environ)


@pytest.mark.parametrize("home", ["/", "", "relative"])
def test_a_home_that_cannot_be_hidden_is_refused(tmp_path: Path, home: str) -> None:
    environ = bwrap(tmp_path, "exit 0")
    check_surroundings(Settings(sandbox="bubblewrap"), environ)
    with pytest.raises(BadInput, match="cannot hide"):
        check_surroundings(Settings(sandbox="bubblewrap"), {**environ, "HOME": home})


def test_a_login_is_looked_for_where_the_agent_will_look(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".credentials.json").write_text('{"claudeAiOauth": {}}')
    environ = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / ".claude")}

    def found(home: object) -> bool | None:
        login = chosen_login(Settings(home=home), environ)  # type: ignore[arg-type]
        return login.found if login else None

    assert [found("user"), found("private"), found(tmp_path), found(tmp_path / ".claude")] == [True, False, True, False]
    assert environment_of_agent(Settings(), "claude", environ) == environ


def test_what_agents_keep_is_named_below_home() -> None:
    for files in AGENT_FILES.values():
        for name in (*files.read, *files.write, *files.copy):
            assert not Path(name).is_absolute()
            assert ".." not in name
