"""The second run of chaos.py: claude, the real one, against a model on loopback that is over its limit at first."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Self

from chaos_scene import Scene

from maestro.testing.model_server import ModelServer

TOOLS = Path(__file__).parents[1] / ".tools" / "bin"


def find_claude() -> Path | None:
    """The one that the tests use, else that on PATH."""
    found = shutil.which("claude", path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
    return Path(found) if found else None


class Limited:
    """Tasks whose first answers are 429; `flags` are those of `maestro run`, in this environment."""

    def __init__(self, scene: Scene, claude: Path, tasks: int) -> None:
        self._server = ModelServer()
        file = scene.root / "limited.json"
        file.write_text(json.dumps([self._task(f"c{number:02d}") for number in range(tasks)]))
        config = scene.root / "limited.toml"
        config.write_text(f'[agents.claude]\nexecutable = "{claude}"\nmax_retries = 0\n')
        self.options = ["--config", str(config)]  # of maestro, before its command
        self.env = scene.env | {
            "ANTHROPIC_BASE_URL": self._server.url,
            "ANTHROPIC_API_KEY": "fake-key",
            "IS_SANDBOX": "1",
            "MAESTRO_HOLD_SECONDS": "2",
        }
        self.flags = [
            "--tasks-file", str(file), "--agent", "claude", "--no-tests", "--attempts", "4", "--max-parallel", "3",
            "--workspace-root", str(scene.workspaces),
        ]  # fmt: skip

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)

    @staticmethod
    def _task(name: str) -> dict[str, str]:
        work = (
            f"test -e {name}.txt || {{ echo {name} >{name}.txt; git add {name}.txt; git commit -qm 'Chaos: {name}'; }}"
        )
        # the same act twice: in a conversation that goes on, the refusal counts as an answer
        steps = [
            {"status": 429, "times": 1, "message": "Number of requests has exceeded your rate limit"},
            {"bash": work},
            {"bash": work},
            {"say": "all done"},
        ]
        return {"id": name, "description": f"Do it.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"}
