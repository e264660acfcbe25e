from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Job
from maestro.agents.codex import CodexAgent, CodexOptions
from maestro.agents.codex_sandbox import git_folders


@pytest.fixture
def job(tmp_path: Path) -> Job:
    workspace = tmp_path / "task-T1" / "project"
    workspace.mkdir(parents=True)
    return Job(
        task_id="T1",
        prompt="do it",
        prompt_file=tmp_path / "prompt.md",
        workspace=workspace,
        state_dir=tmp_path / "state",
        client_config=tmp_path / "client-config.json",
    )


def argv(job: Job, **options: Any) -> list[str]:
    asked = CodexAgent(CodexOptions(**options)).invocation(job)
    assert asked.stdin_file == job.prompt_file
    assert asked.env == {}
    return list(asked.argv)


def config(job: Job, **options: Any) -> set[str]:
    words = argv(job, **options)
    return {words[at + 1] for at, word in enumerate(words) if word == "-c"}


def test_the_command_line_as_it_is_without_options(job: Job) -> None:
    assert argv(job) == [
        "codex", "exec", "--json", "--skip-git-repo-check", "--sandbox", "workspace-write",
        "--add-dir", str(job.state_dir),
        "-c", "features.plugins=false",
        "-c", "features.apps=false",
        "-c", "features.unbounded_connection_retries=false",
        "-c", "analytics.enabled=false",
        "-c", 'approval_policy="never"',
        "-c", "sandbox_workspace_write.network_access=true",
        "-",
    ]  # fmt: skip


def test_options_come_before_the_thread_to_go_on_with(job: Job) -> None:
    thread = "01a1fed4-37f8-7bc2-9581-7bfa6e1992dd"
    words = argv(job.evolve(resume_session=thread), model="gpt", extra_args=("--ephemeral",), sandbox="read-only")
    assert words[-6:] == ["--model", "gpt", "--ephemeral", "resume", thread, "-"]
    assert "--add-dir" not in words
    assert "resume" not in argv(job.evolve(resume_session="--last")), "it would begin anew without a word"


def test_the_place_of_a_gateway_wins(job: Job) -> None:
    """codex takes no address from its environment."""
    placed = job.evolve(base_url="http://127.0.0.1:9/v1")
    for options in ({}, {"base_url": "https://elsewhere.example/v1"}):
        said = config(placed, **options)
        assert 'model_providers.maestro.base_url="http://127.0.0.1:9/v1"' in said
        assert 'model_providers.maestro.env_key="OPENAI_API_KEY"' in said


def test_a_provider_of_ones_own(job: Job) -> None:
    said = config(job, base_url='http://127.0.0.1/"v1"', env_key="LAB_KEY", max_retries=3)
    assert {
        'model_provider="maestro"',
        'model_providers.maestro.base_url="http://127.0.0.1/\\"v1\\""',
        'model_providers.maestro.wire_api="responses"',
        'model_providers.maestro.env_key="LAB_KEY"',
        "model_providers.maestro.request_max_retries=3",
        "model_providers.maestro.stream_max_retries=3",
    } <= said
    assert not any("max_retries" in one for one in config(job, max_retries=3)), "those of its own provider are fixed"
    assert "LAB_KEY" in CodexAgent(CodexOptions(env_key="LAB_KEY")).env_names()


def test_the_sandbox_can_be_opened_and_closed_further(job: Job) -> None:
    said = config(job, network=False, config={"model_reasoning_effort": "high", "analytics.enabled": True, "x": ("a",)})
    assert {
        "sandbox_workspace_write.network_access=false",
        'model_reasoning_effort="high"',
        "analytics.enabled=true",
        'x=["a"]',
    } <= said
    words = argv(job, writable=("~/.cache", "/srv/cache"))
    assert str(Path("~/.cache").expanduser()) in words
    assert "/srv/cache" in words


def test_a_worktree_s_commits_are_let_out_but_no_hooks(job: Job, tmp_path: Path) -> None:
    git = tmp_path / "repo" / ".git"
    own = git / "worktrees" / "project"
    for folder in (own, git / "objects", git / "refs", git / "logs", git / "hooks"):
        folder.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    (job.workspace / ".git").write_text(f"gitdir: {own}\n")
    assert git_folders(job.workspace) == (own, git / "objects", git / "refs", git / "logs")
    assert argv(job).count("--add-dir") == 5
    (own / "commondir").unlink()
    assert git_folders(job.workspace) == (own,), "a submodule"


def test_the_git_of_a_clone_is_its_own_and_without_git_there_is_none(job: Job) -> None:
    assert git_folders(job.workspace) == ()
    (job.workspace / ".git").write_text("nonsense")
    assert git_folders(job.workspace) == ()
    (job.workspace / ".git").unlink()
    (job.workspace / ".git").mkdir()
    assert git_folders(job.workspace) == (job.workspace / ".git",)


def test_a_login_is_a_key_codex_reads_or_its_file(tmp_path: Path) -> None:
    agent = CodexAgent()
    home = {"HOME": str(tmp_path)}
    assert agent.login({**home, "CODEX_API_KEY": "k"}).found
    assert not agent.login({**home, "OPENAI_API_KEY": "k"}).found, "codex sends an empty key"
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "auth.json").write_text('{"tokens": {"access_token": "secret"}}')
    found = agent.login(home)
    assert found.found
    assert "secret" not in found.detail
    proxied = CodexAgent(CodexOptions(base_url="http://127.0.0.1/v1", env_key="LAB_KEY"))
    assert not proxied.login(home).found
    assert proxied.login({"LAB_KEY": "k"}).found


def test_servers_are_passed_on_and_no_secret_stands_on_the_command_line(job: Job) -> None:
    servers = {
        "plain": {"command": "notes", "args": ["--all", 3]},
        "keyed": {"command": "/opt/a b/run", "args": ["it's"], "env": {"TOKEN": 'se"cret', "PATH": "/x", "a b": "y"}},
        "far": {"type": "http", "url": "http://127.0.0.1/mcp", "headers": {"Authorization": "Bearer secret2"}},
        "open": {"url": "http://127.0.0.1/open"},
        "a.b": {"command": "x"},
        "none": {},
        "odd": 3,
    }
    job.client_config.write_text(json.dumps({"mcpServers": servers}))
    asked = CodexAgent().invocation(job)
    tables = dict(
        word.removeprefix("mcp_servers.").split("=", 1) for word in asked.argv if word.startswith("mcp_servers.")
    )
    assert set(tables) == {"plain", "keyed", "far", "open"}
    read = {name: tomllib.loads(f"value = {table}")["value"] for name, table in tables.items()}
    assert all(table.pop("default_tools_approval_mode") == "approve" for table in read.values())
    assert read["plain"] == {"command": "notes", "args": ["--all", "3"]}
    assert read["far"] == {"url": "http://127.0.0.1/mcp", "env_http_headers": {"Authorization": "MAESTRO_MCP_2"}}
    assert read["open"] == {"url": "http://127.0.0.1/open"}
    assert asked.env == {"MAESTRO_MCP_0": 'se"cret', "MAESTRO_MCP_1": "/x", "MAESTRO_MCP_2": "Bearer secret2"}
    assert read["keyed"]["env_vars"] == ["MAESTRO_MCP_0", "MAESTRO_MCP_1"]
    assert "cret" not in " ".join(asked.argv)
    line = read["keyed"]["args"][1].replace("exec '/opt/a b/run'", 'echo "$TOKEN $PATH"')
    shown = subprocess.run(["/bin/sh", "-c", line], env=asked.env, capture_output=True, text=True, check=True)
    assert shown.stdout == "se\"cret /x it's\n"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"mcpServers": 3}'])
def test_a_client_configuration_that_cannot_be_read_is_left_out(job: Job, content: str) -> None:
    job.client_config.write_text(content)
    assert "mcp_servers" not in " ".join(argv(job))


def program(folder: Path, sandbox: str) -> dict[str, str]:
    """A codex that answers for its version, and does `sandbox` where it is to run something."""
    path = folder / "bin" / "codex"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo codex-cli 0.169.0\n{sandbox}\n')
    path.chmod(0o755)
    return {"PATH": f"{path.parent}:/usr/bin:/bin"}


NO_NAMESPACES = "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded"


def test_a_machine_on_which_its_sandbox_does_not_work_is_told_before_the_run(tmp_path: Path) -> None:
    env = program(tmp_path, f"echo 'WARNING: x' >&2; echo '{NO_NAMESPACES}' >&2; exit 1")
    found = CodexAgent().availability(env)
    assert not found.available
    assert NO_NAMESPACES in found.detail
    assert "danger-full-access" in found.hint
    assert CodexAgent(CodexOptions(sandbox="danger-full-access")).availability(env).available


@pytest.mark.parametrize("sandbox", ["exit 0", "exit 2"])
def test_a_sandbox_that_works_or_cannot_be_asked_is_no_obstacle(tmp_path: Path, sandbox: str) -> None:
    found = CodexAgent().availability(program(tmp_path, sandbox))
    assert found.available
    assert found.detail.startswith("codex-cli 0.169.0, ")
