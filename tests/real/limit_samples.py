"""Records what the real CLIs print when a provider says "not now": `python -m tests.real.limit_samples claude …`.

The recordings are read by tests/unit/agents/test_limit_samples.py. Record anew when a CLI has changed its words; what
belongs to one machine (paths, ports) is replaced by plain names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maestro.agents.base import Agent
from maestro.agents.claude import ClaudeAgent, ClaudeOptions
from maestro.agents.codex import CodexAgent, CodexOptions
from maestro.agents.droid import DroidAgent, DroidOptions
from maestro.agents.gemini import GeminiAgent, GeminiOptions
from maestro.agents.opencode import OpencodeAgent, OpencodeOptions
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import WORK, AgentLab, Steps

SAMPLES = Path(__file__).parents[1] / "unit" / "agents" / "samples"
Made = tuple[Callable[..., Agent], dict[str, str]]

UNKNOWN = "97b26e7e-3277-453b-88e8-aab9e5c4b12b"
RESET = int(datetime(2030, 3, 17, 17, 46, 40, tzinfo=UTC).timestamp())


def limited(status: int, **more: Any) -> Steps:
    """Some work, then refused for good."""
    return [WORK[0], {"status": status, "times": 0, **more}]


def _usage_limit(**fields: Any) -> dict[str, Any]:
    return {"body": {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached", **fields}}}


_GOOGLE = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details. "
        "Please retry in 30.5s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30.5s"}],
    }
}
_OPENAI_QUOTA = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}
_SESSION = "You've hit your session limit · resets 3pm (Europe/Berlin)"
_UNIFIED = {
    "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": str(RESET),
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
}

COMMON: dict[str, tuple[Steps, dict[str, Any]]] = {
    "429": (limited(429), {}),
    "429-retry-after": (limited(429, retry_after=3600), {}),
    "529": (limited(529), {}),
    "unknown-session": (WORK, {"resume": UNKNOWN}),
}
OWN: dict[str, dict[str, tuple[Steps, dict[str, Any]]]] = {
    "claude": {
        "429-got-over": ([WORK[0], {"status": 429, "times": 2}, *WORK[1:]], {"max_retries": 3}),
        "529-got-over": ([WORK[0], {"status": 529, "times": 1}, *WORK[1:]], {"max_retries": 3}),
        "session-limit": (limited(429, message=_SESSION), {}),
        "epoch": (limited(429, message=f"Claude AI usage limit reached|{RESET}"), {}),
        "unified-headers": (limited(429, headers=_UNIFIED), {}),
        "credit": (limited(400, message="Your credit balance is too low to access the Anthropic API."), {}),
        "session-in-use": (WORK, {"extra_args": ("--session-id", UNKNOWN)}),
    },
    "codex": {
        "usage-limit": (limited(429, **_usage_limit(plan_type="pro", resets_at=RESET)), {}),
        "usage-limit-open": (limited(429, **_usage_limit()), {}),
        "quota": (limited(429, body={"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}), {}),
    },
    "gemini": {
        "quota": (limited(429, body=_GOOGLE), {}),
        "503": (limited(503, message="The model is overloaded. Please try again later."), {}),
    },
    "opencode": {"quota": (limited(429, body=_OPENAI_QUOTA), {})},
    "droid": {"402": (limited(402, message="out of credits"), {})},
}
SLEEPS = {("opencode", "429-retry-after"), ("droid", "429-retry-after")}
"""They sleep for as long as the provider says, without a word: there is nothing to record."""


def _claude(server: ModelServer, _folder: Path) -> Made:
    env = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "fake-key", "IS_SANDBOX": "1"}
    return (lambda **given: ClaudeAgent(ClaudeOptions(**{"max_retries": 1, **given}), parent_env=env)), env


def _codex(server: ModelServer, _folder: Path) -> Made:
    fixed = {"base_url": f"{server.url}/v1", "model": "scripted", "max_retries": 0, "sandbox": "danger-full-access"}
    return (lambda **given: CodexAgent(CodexOptions(**{**fixed, **given}))), {"OPENAI_API_KEY": "fake-key"}


def _gemini(server: ModelServer, folder: Path) -> Made:
    fixed = {"private_home": True, "settings": {"general": {"maxAttempts": 2}}, "model": "gemini-2.5-pro"}
    make = lambda **given: GeminiAgent(GeminiOptions(**{"base_url": server.url, **fixed, **given}))  # noqa: E731
    return make, {"GEMINI_API_KEY": "fake-key", "TMPDIR": str(folder)}


def _opencode(server: ModelServer, folder: Path) -> Made:
    env = {"LAB_KEY": "fake-key", "OPENCODE_DB": str(folder / "opencode.db")}
    options = {"baseURL": f"{server.url}/v1", "apiKey": "{env:LAB_KEY}"}
    config = {"provider": {"lab": {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m1": {}}}}}
    make = lambda **given: OpencodeAgent(  # noqa: E731
        OpencodeOptions(**{"model": "lab/m1", "config": config, **given}), parent_env=env
    )
    return make, env


def _droid(server: ModelServer, folder: Path) -> Made:
    named = {"model": "m1", "id": "custom:lab-0", "index": 0, "displayName": "lab", "maxOutputTokens": 8000}
    where = {"baseUrl": f"{server.url}/v1", "apiKey": "fake-key", "provider": "generic-chat-completion-api"}
    settings = folder / "settings.json"
    settings.write_text(json.dumps({"customModels": [{**named, **where}]}))
    make = lambda **given: DroidAgent(  # noqa: E731
        DroidOptions(**{"model": "custom:lab-0", "settings": settings, **given}), parent_env={}
    )
    return make, {"FACTORY_AIRGAP_ENABLED": "1"}


MAKERS = {"claude": _claude, "codex": _codex, "gemini": _gemini, "opencode": _opencode, "droid": _droid}


def record(name: str, situation: str) -> None:
    """Run it, and write down what it said."""
    steps, options = {**COMMON, **OWN[name]}[situation]
    found = shutil.which(name)
    assert found is not None, f"{name} is not on PATH"
    with tempfile.TemporaryDirectory() as scratch, ModelServer() as server:
        folder = Path(scratch)
        home = folder / "home"
        home.mkdir()
        (home / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
        make, env = MAKERS[name](server, folder)
        os.environ["MAESTRO_TEST_MARK"] = uuid.uuid4().hex
        lab = AgentLab(folder, home, Path(found), make, env)
        if situation == "session-in-use":
            lab.run(steps, **options)
        begun = datetime.now(UTC)
        ran = lab.run(steps, **options)
        stdout = (lab.files / "stdout").read_text()
        version = make().availability({**os.environ, "HOME": str(home)}).detail.split(",")[0]
        plain = {str(folder): "/scratch", server.url: "http://127.0.0.1:1", os.environ["MAESTRO_TEST_MARK"]: "mark"}
        sample = {
            "agent": name,
            "version": (re.search(r"\d+\.\d+\.\d+", version) or [version])[0],
            "at": begun.isoformat(timespec="seconds"),
            "exit_code": ran.ended.code,
            "requests": [seen.status for seen in server.requests],
            "stdout": [_plain(line, plain) for line in stdout.splitlines()],
            "stderr": _plain(ran.stderr, plain),
        }
    target = SAMPLES / name / f"{situation}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(sample, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{target.name}: exit {ran.ended.code}, {ran.verdict.claim}: {ran.verdict.reason[:200]}"
                     f" [{ran.verdict.reset_at}] {ran.ended.seconds:.1f} s; notes {ran.notes}\n")  # fmt: skip


def _plain(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    text = re.sub(r"(?:file://)?/[^\s()\"']*/node_modules/", "node_modules/", text)
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", text)


if __name__ == "__main__":
    for agent in sys.argv[1:]:
        agent_name, _, only = agent.partition(":")
        for each in [only] if only else [*COMMON, *OWN[agent_name]]:
            if (agent_name, each) not in SLEEPS:
                record(agent_name, each)
