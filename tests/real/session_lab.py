"""A repository in which the real claude runs maestro's slash commands against a scripted model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from maestro.testing.commandline import maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.conftest import processes_with
from tests.real.played_session import PlayedSession

CHECKOUT = Path(__file__).parents[2]


class Session:
    """What claude is started with, and what came of it."""

    def __init__(self, repo: Repository, folder: Path, claude: Path, url: str, model: PlayedSession) -> None:
        self.repo, self.folder, self.model = repo, folder, model
        self.env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{claude.parent}:{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "fake-key",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "MAESTRO_WORKSPACE_ROOT": str(folder / "ws"),
        }

    def tasks(self, **behaviour: str) -> Path:
        path = self.folder / "tasks.json"
        tasks = [{"id": name, "description": f"behaves: {how}"} for name, how in behaviour.items()]
        path.write_text(json.dumps(tasks))
        return path

    def claude(self, prompt: str, *args: str) -> list[dict[str, Any]]:
        """Its events; the last one is the result."""
        done = subprocess.run(
            ["claude", "-p", prompt, "--output-format", "stream-json", "--verbose", *args],
            cwd=self.repo.path, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def journal(self, run: str) -> str:
        """What the run wrote down."""
        return (self.repo.path / ".flow" / "maestro" / "runs" / run / "journal.jsonl").read_text()

    def implement(self, *words: str, plugin: bool = True) -> dict[str, Any]:
        """Run /flow:implement; how maestro's run stands afterwards."""
        events = self.claude(f"/flow:implement {' '.join(words)}", *(["--plugin-dir", str(CHECKOUT)] if plugin else []))
        assert events[-1]["subtype"] == "success", events[-1]
        assert events[-1]["permission_denials"] == [], events[-1]["permission_denials"]
        until(lambda: not processes_with(f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"), seconds=60)
        status = maestro("status", "--json", cwd=self.repo.path, env=self.env)
        assert len(status.json["runs"]) == 1, events[-1]["result"]
        run = status.json["runs"][0]
        stands: dict[str, Any] = maestro("status", "--run-id", run["run_id"], "--json", cwd=self.repo.path).json
        return {**stands, "said": events[-1]["result"]}


def statuses(stands: dict[str, Any]) -> dict[str, str]:
    return {task: one["status"] for task, one in stands["tasks"].items()}
