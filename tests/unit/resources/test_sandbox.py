"""The command line that a sandbox makes of another, for each kind of HOME."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.proc.request import MARKER, ProcessRequest
from maestro.resources.base import Need
from maestro.resources.caches import Caches
from maestro.resources.homes import PRIVATE, Homes
from maestro.resources.sandbox import AgentFiles, Bubblewrap, Ground

FILES = AgentFiles(
    read=(".tool/settings.json",), write=(".tool/login.json",), copy=(".tool.json",), moved={".tool/": "TOOL_HOME"}
)


@pytest.fixture
def need(tmp_path: Path) -> Need:
    home = tmp_path / "root" / "task-a"
    (home / "repo").mkdir(parents=True)
    return Need(task_id="a", marker="t/r/a/1", home=home, repo=home / "repo", agent="tool")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    home = tmp_path / "user"
    for name in (".tool/settings.json", ".tool/login.json", ".tool.json", ".ssh/id"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    (tmp_path / "checkout").mkdir()
    return home


def wrapped(need: Need, user: Path, homes: Homes | None = None, **variables: str) -> list[str]:
    """The arguments, from `bwrap` on."""
    environ = {"HOME": str(user), "PATH": "/usr/bin", **variables}
    homes = homes or Homes(environ)
    ground = Ground(user.parent / "checkout", None, need.home.parent, "r", environ)
    bubblewrap = Bubblewrap(ground, homes, Caches(environ, homes, sandboxed=True), "/usr/bin/bwrap", {"tool": FILES})
    log = need.home.parent / "log" / "output"
    log.parent.mkdir(exist_ok=True)
    request = ProcessRequest(
        argv=("tool", "--now"), cwd=need.repo, env={MARKER: "m"}, stdout_file=log, stderr_file=log, exit_file=log
    )
    homes.take(need)
    argv = list(bubblewrap.take(need).wrap(request).argv)
    assert argv[:3] == ["/usr/bin/env", "-u", MARKER], "bubblewrap itself is not of the family"
    assert argv[-3:] == [f"{MARKER}=m", "tool", "--now"]
    return argv[3:]


def shown(argv: list[str], how: str) -> dict[str, str]:
    """Place → what stands there."""
    return {argv[at + 2]: argv[at + 1] for at, word in enumerate(argv) if word == how}


def test_in_place_of_the_users_home_is_a_private_one_with_what_the_agent_needs(need: Need, user: Path) -> None:
    argv = wrapped(need, user)
    own = need.home / ".agent-home"
    writable, readable = shown(argv, "--bind"), shown(argv, "--ro-bind")
    assert writable[str(user)] == str(own)
    assert (own / ".tool.json").read_text() == ".tool.json"
    assert writable[str(user / ".tool/login.json")] == str(user / ".tool/login.json")
    assert str(user / ".tool/settings.json") in readable
    assert not [word for word in argv if ".ssh" in word]
    (own / ".tool.json").write_text("changed")
    wrapped(need, user)
    assert (own / ".tool.json").read_text() == "changed", "it goes on with its own"


def test_with_a_private_home_nothing_of_the_users_is_there(need: Need, user: Path) -> None:
    argv = wrapped(need, user, Homes({"HOME": str(user)}, PRIVATE))
    assert argv[argv.index(str(user)) - 1] == "--tmpfs"
    assert not [word for word in argv if ".tool" in word]
    assert str(need.home / ".agent-home") in shown(argv, "--bind")


def test_what_the_user_keeps_elsewhere_is_shown_there(need: Need, user: Path, tmp_path: Path) -> None:
    (user / ".tool").rename(tmp_path / "elsewhere")
    argv = wrapped(need, user, TOOL_HOME=str(tmp_path / "elsewhere"))
    writable = shown(argv, "--bind")
    assert writable[str(tmp_path / "elsewhere")] == str(need.home / ".agent-home/.moved/0")
    assert str(tmp_path / "elsewhere/login.json") in writable
    assert str(tmp_path / "elsewhere/settings.json") in shown(argv, "--ro-bind")


def test_files_beside_the_repository_are_read_only_and_a_gate_writes_its_report(need: Need, user: Path) -> None:
    argv = wrapped(need, user)
    assert str(need.home) in shown(argv, "--ro-bind")
    assert str(need.repo) in shown(argv, "--bind")
    gate = Need(task_id="g", marker="t/r/gate", home=need.home, repo=need.repo, agent=None)
    report = need.home.parent / "log" / "junit.xml"
    assert not report.exists()
    assert str(report) in shown(wrapped(gate, user), "--bind")


@pytest.mark.parametrize("place", [".tool", ".tool/settings.json", ".moved", ".moved/0"])
def test_no_link_of_an_earlier_agent_leads_what_is_shown_elsewhere(
    need: Need, user: Path, tmp_path: Path, place: str
) -> None:
    variables = {"TOOL_HOME": str(tmp_path / "elsewhere")} if place.startswith(".moved") else {}
    (tmp_path / "elsewhere").mkdir()
    (user / ".ssh" / "0").mkdir()
    wrapped(need, user, **variables)
    link = need.home / ".agent-home" / place
    if link.is_dir():
        link.rename(tmp_path / "gone")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(user / ".ssh")
    with pytest.raises(WorkspaceError, match="link"):
        wrapped(need, user, **variables)


def test_links_of_the_users_serve_as_what_they_lead_to(need: Need, user: Path, tmp_path: Path) -> None:
    (user / ".tool").rename(tmp_path / "dotfiles")
    (user / ".tool").symlink_to(tmp_path / "dotfiles")
    argv = wrapped(need, user)
    assert shown(argv, "--bind")[str(user / ".tool/login.json")] == str(tmp_path / "dotfiles/login.json")
