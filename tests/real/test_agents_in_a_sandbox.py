"""Every agent that can be tried for real lands its work from inside of maestro's sandbox (I-6)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.agent_lab import WORK, prompt
from tests.real.sandbox_lab import skip_without_bubblewrap
from tests.real.test_droid import own_model

pytestmark = [pytest.mark.needs_namespaces, pytest.mark.timeout(300)]

CODEX = '[agents.codex]\nbase_url = "{url}/v1"\nenv_key = "LAB_KEY"\nmax_retries = 0\n'
OPENCODE = """\
env_allow = ["LAB_KEY"]
[agents.opencode]
model = "lab/m1"
[agents.opencode.config.provider.lab]
npm = "@ai-sdk/openai-compatible"
options = {{ baseURL = "{url}/v1", apiKey = "{{env:LAB_KEY}}" }}
models = {{ m1 = {{}} }}
"""
DROID = """\
env_allow = ["FACTORY_AIRGAP_ENABLED"]
[agents.droid]
model = "custom:lab-0"
settings = "{settings}"
"""
CONFIGURATION = {
    "codex": CODEX,
    "gemini": '[agents.gemini]\nbase_url = "{url}"\nprivate_home = true\nmodel = "gemini-2.5-pro"\n',
    "opencode": OPENCODE,
    "droid": DROID,
}


@pytest.fixture
def home() -> Iterator[Path]:
    """A HOME that is not below /tmp, where codex would make no helpers."""
    with TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.real("bwrap")
@pytest.mark.parametrize("agent", [pytest.param(agent, marks=pytest.mark.real(agent)) for agent in CONFIGURATION])
def test_its_work_lands(
    agent: str, repo: Repository, server: ModelServer, real: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    skip_without_bubblewrap()
    settings, config, backlog = (tmp_path / name for name in ("settings.json", "config.toml", "tasks.json"))
    settings.write_text(json.dumps(own_model(server.url)))
    config.write_text('sandbox = "bubblewrap"\n' + CONFIGURATION[agent].format(url=server.url, settings=settings))
    (home / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    backlog.write_text(json.dumps([{"id": "a", "description": prompt(WORK)}]))
    keys = {"LAB_KEY": "fake-key", "GEMINI_API_KEY": "fake-key", "FACTORY_AIRGAP_ENABLED": "1"}
    said = maestro(
        "--config", str(config), "run", "--tasks-file", str(backlog), "--agent", agent, "--no-tests",
        "--attempts", "1", "--run-id", "it", "--json",
        cwd=repo.path,
        env={"PATH": f"{real[agent].parent}:{os.environ['PATH']}", "HOME": str(home), **keys},
        timeout_seconds=280,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}
    assert repo.show(said.json["integration_branch"], "a.txt") == "x"
    assert repo.git("status", "--porcelain") == ""
