"""doctor asks what a run would ask, and says all of it at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from maestro.testing.story import STORY


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is PATH: it holds no agent, whatever this machine has."""
    found = tmp_path / "bin"
    found.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in ("git", "sh", "make", "true"):
            source = Path(folder) / tool
            if source.exists() and not (found / tool).exists():
                (found / tool).symlink_to(source)
    monkeypatch.setenv("PATH", str(found))
    return found


@pytest.fixture
def ready(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository in which a run can start."""
    repo.commit({"tasks.json": json.dumps([{"id": "a", "title": "x"}]), "Makefile": "test:\n\ttrue\n"})
    repo.git("config", "user.name", "A User")
    repo.git("config", "user.email", "user@example.invalid")
    monkeypatch.setenv("MAESTRO_AGENT_COMMAND", "true")
    monkeypatch.setenv("MAESTRO_MIN_FREE_DISK_MB", "1")
    return repo


def checks(said: Any, name: str) -> list[dict[str, str]]:
    return [check for check in said.json()["checks"] if check["name"] == name]


def test_all_is_well(cli: Any, ready: Repository) -> None:
    said = cli("doctor")
    assert said.code == 0, said.out
    assert said.out.endswith("Ready.\n")
    assert "✓ identity: commits are by A User <user@example.invalid>\n" in said.out
    assert "; agent from MAESTRO_AGENT_COMMAND; agent_command from MAESTRO_AGENT_COMMAND" in said.out
    assert "✓ tests: make test " in said.out
    assert "✗" not in said.out
    found = cli("doctor", "--json")
    assert found.json()["healthy"] is True
    assert {check["health"] for check in found.json()["checks"]} <= {"ok", "warning"}


def test_outside_of_a_repository_all_else_is_still_looked_at(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("doctor", "--json")
    assert said.code == 1
    assert [check["health"] for check in checks(said, "repository")] == ["problem"]
    assert checks(said, "configuration")
    assert checks(said, "gh")


def test_what_would_be_refused_is_a_problem(cli: Any, ready: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    (ready.path / "tasks.json").write_text(json.dumps([{"id": "a", "dependencies": ["a"]}]))
    (ready.path / "Makefile").unlink()
    monkeypatch.setenv("MAESTRO_AGENT", "nope")
    monkeypatch.delenv("MAESTRO_AGENT_COMMAND")
    monkeypatch.setenv("MAESTRO_MIN_FREE_DISK_MB", str(1 << 40))
    said = cli("doctor", "--json")
    assert said.code == 1
    for name in ("backlog", "agent", "tests", "workspaces"):
        assert [check["health"] for check in checks(said, name)] == ["problem"], name
        assert checks(said, name)[0]["hint"], name
    assert cli("doctor").out.endswith("Not ready.\n")


def test_ports_are_looked_at(cli: Any, ready: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = checks(cli("doctor", "--json"), "ports")
    assert (found["health"], found["detail"].partition("; ")[2]) == ("ok", "0 of 1,000 leased")
    lowest, highest = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    monkeypatch.setenv("MAESTRO_PORTS", f'{{"SEARCH_PORT": {int(highest) - 999}}}')
    [_, warning] = checks(cli("doctor", "--json"), "ports")
    assert warning["health"] == "warning"
    assert "may take ports of SEARCH_PORT" in warning["detail"]
    assert f"outside of {lowest} to {highest}" in warning["hint"]
    monkeypatch.setenv("MAESTRO_PORTS", '{"SEARCH_PORT": 10500}')
    [problem] = checks(cli("doctor", "--json"), "ports")
    assert problem["health"] == "problem"
    monkeypatch.delenv("MAESTRO_PORTS")
    Path(os.environ["MAESTRO_MACHINE_DIR"]).chmod(0o777)
    [problem] = checks(cli("doctor", "--json"), "ports")
    assert problem["detail"].endswith("may be written by others")


def test_a_backlog_that_is_all_done_is_no_problem(cli: Any, ready: Repository) -> None:
    (ready.path / "tasks.json").write_text(json.dumps([{"id": "a", "status": "done"}]))
    said = cli("doctor")
    assert said.code == 0
    assert "✓ backlog: nothing to do: every task of the backlog is done\n✓" in said.out
    (ready.path / "tasks.json").write_text("[]")
    assert cli("doctor").code == 1, "an empty backlog is a mistake"


def test_the_flags_of_the_run_are_taken_into_account(cli: Any, ready: Repository, tmp_path: Path) -> None:
    said = cli("doctor", "--tasks-file", str(tmp_path / "missing.json"), "--test-command", "pytest", "--json")
    assert "missing.json" in checks(said, "backlog")[0]["detail"]
    assert checks(said, "tests")[0]["detail"].startswith("pytest ")


def test_odd_configuration_and_a_dirty_checkout_are_warnings(cli: Any, ready: Repository) -> None:
    ready.write({".flow/maestro/config.toml": "max_paralel = 3\n", "README.md": "changed\n"})
    said = cli("doctor", "--json")
    assert said.code == 0
    assert checks(said, "checkout")[0]["health"] == "warning"
    assert checks(said, "configuration")[0]["detail"].endswith(
        "config.toml:1: unknown key max_paralel, did you mean max_parallel?"
    )


def test_a_bad_configuration_is_a_problem_and_the_rest_is_still_looked_at(cli: Any, ready: Repository) -> None:
    ready.write({".flow/maestro/config.toml": "attempts = 0\n"})
    said = cli("doctor", "--json")
    assert said.code == 1
    assert "config.toml:1: attempts must be at least 1, not 0" in checks(said, "configuration")[0]["detail"]
    assert checks(said, "identity")


def test_runs_alive_and_dead(
    cli: Any, ready: Repository, write_run: Callable[..., Path], alive: Callable[[str], None]
) -> None:
    write_run("r1", STORY[:5])
    write_run("r2", STORY[:5])
    write_run("r3", STORY, {"run_id": "r3", "status": "failed", "tasks": {}})
    alive("r2")
    said = cli("doctor", "--json")
    assert [check["detail"] for check in checks(said, "runs")] == ["1 under way: r2", "ended without a result: r1"]


def test_pull_requests_need_gh(cli: Any, ready: Repository, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAESTRO_INTEGRATION_PR_ENABLED", "true")
    said = cli("doctor", "--json")
    assert checks(said, "gh")[0]["health"] == "problem"
    (tools / "gh").write_text("#!/bin/sh\n")
    (tools / "gh").chmod(0o755)
    assert checks(cli("doctor", "--json"), "gh")[0]["health"] == "ok"


def install(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def test_every_agent_is_shown_and_only_the_chosen_one_can_be_a_problem(
    cli: Any, ready: Repository, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tools, "opencode", "echo 1.18.33")
    install(tools, "droid", "echo it is broken >&2; exit 3")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-very-secret")
    said = cli("doctor", "--json")
    assert said.code == 0
    assert "very-secret" not in said.out
    shown = {check["facts"]["agent"]: check for check in checks(said, "other agents")}
    assert list(shown) == ["claude", "codex", "cursor", "droid", "gemini", "opencode"]
    assert {check["health"] for check in shown.values()} == {"ok"}
    assert shown["opencode"]["detail"] == f"opencode: 1.18.33, {tools}/opencode; OPENROUTER_API_KEY is set"
    assert shown["opencode"]["facts"] == {"agent": "opencode", "available": True, "logged_in": True}
    assert shown["droid"]["detail"] == f"droid: {tools}/droid does not run: it is broken"
    assert shown["claude"]["facts"] == {"agent": "claude", "available": False, "logged_in": None}
    assert "untried" in shown["cursor"]["detail"]
    monkeypatch.delenv("MAESTRO_AGENT_COMMAND")
    said = cli("doctor", "--agent", "droid", "--json")
    assert said.code == 1
    assert [check["health"] for check in checks(said, "agent")] == ["problem"]
    assert "droid" not in {check["facts"]["agent"] for check in checks(said, "other agents")}


def test_a_chosen_agent_without_a_login_is_a_warning(
    cli: Any, ready: Repository, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAESTRO_AGENT_COMMAND")
    install(tools, "claude", "echo '2.1.197 (Claude Code)'")
    said = cli("doctor", "--agent", "claude", "--json")
    assert said.code == 0, "what can be seen from outside is no proof"
    here, login = checks(said, "agent")
    assert here["facts"] == {"agent": "claude", "available": True, "logged_in": False}
    assert (login["health"], login["detail"]) == ("warning", "claude: no key and no login seen")
    assert "ANTHROPIC_API_KEY" in login["hint"]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")
    said = cli("doctor", "--agent", "claude")
    assert "✓ agent: claude: ANTHROPIC_API_KEY is set\n" in said.out
    assert "very-secret" not in said.out


def test_bad_options_of_an_agent_that_was_not_chosen_are_said(cli: Any, ready: Repository) -> None:
    ready.write({".flow/maestro/config.toml": '[agents.opencode]\nmodle = "x"\n'})
    said = cli("doctor", "--json")
    assert said.code == 0
    (shown,) = (check for check in checks(said, "other agents") if check["facts"]["agent"] == "opencode")
    assert "option 'modle' of the agent 'opencode'" in shown["detail"]
