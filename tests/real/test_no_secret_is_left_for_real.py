"""What real programs repeat of a secret: claude in its answers and in what its tools print, beads in its notes."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.beads_repository import make_beads

pytestmark = pytest.mark.timeout(240)

SECRETS = ["Pl4nted-hidden-token-0001", 'Pl4nted"quoted\\secret-0002', "sk-ant-api03-Pl4ntedShape0003"]
VARIABLES = {"HIDDEN_TOKEN": SECRETS[0], "OTHER_PASSWORD": SECRETS[1]}


def leaks(folder: Path) -> list[str]:
    """Files that hold a secret as it is, or as JSON has it, once and twice."""
    forms = {
        form.encode() for one in SECRETS for form in (one, json.dumps(one)[1:-1], json.dumps(json.dumps(one))[3:-3])
    }
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in files if any(form in path.read_bytes() for form in forms)]


@pytest.mark.real("claude")
def test_claude_repeats_secrets_and_none_is_kept(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    vault = tmp_path / "vault.json"
    vault.write_text(json.dumps(SECRETS))
    says = [" and ".join(SECRETS), f"done; I used {' and '.join(SECRETS)}"]

    def model(prompt: str, body: Any) -> list[dict[str, Any]]:
        del prompt, body
        return [
            {"bash": f"cat {shlex.quote(str(vault))}; echo {shlex.quote(says[0])} > said.txt"},
            {"bash": "rm said.txt; echo x > a.txt; git add -A && git commit -qm work"},
            {"say": says[1]},
        ]

    server.default = model
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([{"id": "a", "title": f"use {SECRETS[1]}", "description": f"with {SECRETS[0]}"}]))
    said = maestro(
        "run", "--tasks-file", str(tasks), "--agent", "claude", "--no-tests", "--json", "--run-id", "r",
        cwd=repo.path,
        env={
            "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": server.url,
            "ANTHROPIC_API_KEY": "fake-key-of-this-test",
            "IS_SANDBOX": "1",
            **VARIABLES,
        },
        timeout_seconds=150,
    )  # fmt: skip

    assert said.code == 0, said.err
    stdout = repo.path / ".flow/maestro/runs/r/attempts/a/1/stdout"
    events = [json.loads(line) for line in stdout.read_text().splitlines()]  # each line is JSON as before
    assert events[-1]["result"] == "done; I used *** and *** and ***"
    assert leaks(repo.path / ".flow") == []
    assert not any(one in said.out + said.err for one in SECRETS)
    message = repo.git("log", "-1", "--format=%B", "integration/r")
    assert message.startswith("Land a: use ***\n\ndone; I used *** and *** and ***")
    sent = json.dumps([request.body for request in server.requests])
    assert SECRETS[0] in sent  # the agent itself read the file, and told its model: that is the agent's business
    assert f"with {SECRETS[0]}" not in sent  # maestro did not


@pytest.mark.real("bd-1.0.5")
def test_beads_is_told_no_secret(
    real: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "bd").symlink_to(real["bd-1.0.5"])
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    beads = make_beads(tmp_path / "project", tmp_path_factory)
    fails, lands = beads.create("This one fails"), beads.create("This one lands")
    vault = tmp_path / "vault.json"
    vault.write_text(json.dumps(SECRETS))
    agent = tmp_path / "agent.py"
    agent.write_text(
        "import json, os, subprocess, sys\n"
        f"words = ' and '.join(json.load(open({str(vault)!r})))\n"
        "report = {'status': 'done', 'summary': words, 'notes': [words],\n"
        "          'discovered': [{'title': 'rotate ' + words, 'description': words}]}\n"
        f"if os.environ['MAESTRO_TASK_ID'] == {fails!r}:\n"
        "    report = {'status': 'failed', 'summary': 'no luck with ' + words}\n"
        "json.dump(report, open(os.environ['MAESTRO_REPORT_FILE'], 'w'))\n"
        "open(os.environ['MAESTRO_TASK_ID'] + '.txt', 'w').write('x')\n"
        "subprocess.run('git add -A && git commit -qm work', shell=True, check=True)\n"
    )

    said = maestro(
        "run", "--tracker", "beads", "--no-tests", "--json", "--attempts", "1", "--keep-going",
        "--agent-command", f"{sys.executable} {agent}",
        cwd=beads.repo.path, env=VARIABLES, timeout_seconds=200,
    )  # fmt: skip

    assert said.statuses() == {fails: "failed", lands: "landed"}, said.err
    issues = json.dumps([beads.show(one) for one in beads.all()], ensure_ascii=False)
    assert "no luck with *** and *** and ***" in beads.show(fails)["notes"]
    assert any(one["title"] == "rotate *** and *** and ***" for one in beads.all().values())
    assert not any(json.dumps(one)[1:-1] in issues for one in SECRETS)
    assert leaks(beads.repo.path) == []
