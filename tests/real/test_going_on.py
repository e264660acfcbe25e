"""What each real CLI makes of a conversation that a limit cut off: it is gone on with where it stopped (A-5).

Each writes a file and is refused; then it is started again on that conversation, and the model sees what it had done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim
from maestro.testing.model_script import Step
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import AgentLab
from tests.real.limit_samples import MAKERS

pytestmark = pytest.mark.timeout(240)

STATUS = {"claude": 429, "codex": 429, "gemini": 503, "opencode": 402, "droid": 402}
"""A limit that the client gives up at soon: some try again after a 429 for more than a minute, without a word."""

GO_ON = "You were cut off in the middle of the task by a limit. Go on where you stopped."


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.real(name)) for name in STATUS])
def test_a_conversation_that_met_a_limit_is_gone_on_with(
    name: str, tmp_path: Path, hermetic: Path, real: dict[str, Path], server: ModelServer
) -> None:
    (hermetic / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    make, env = MAKERS[name](server, tmp_path)
    lab = AgentLab(tmp_path, hermetic, real[name], make, env)
    is_limited = True

    def model(_prompt: str, body: dict[str, Any]) -> Sequence[Step]:
        said = json.dumps(body)
        if "half of it" not in said:
            step: list[Step] = [{"write": {"path": "a.txt", "content": "half of it\n"}}]
        elif is_limited:
            step = [{"status": STATUS[name], "times": 0, "message": "quota exceeded"}, {"say": "x"}]
        elif "git commit -qm work" not in said:
            step = [{"bash": "git add -A && git commit -qm work"}]
        else:
            step = [{"say": "all done"}]
        return step * 99

    server.default = model
    first = lab.run("Write a.txt, and commit it.")
    assert first.verdict.claim is Claim.LIMIT, first
    session = first.verdict.usage.session_id
    assert session
    assert (lab.cwd / "a.txt").read_text().strip() == "half of it"
    assert make().resumes

    is_limited = False
    asked = len(server.requests)
    kept = lab.files
    if (kept / "gemini-home").exists():  # the state folder stays with the workspace; the lab makes one for each
        (lab.folder / "2").mkdir()
        (kept / "gemini-home").rename(lab.folder / "2" / "gemini-home")
    again = lab.run(GO_ON, resume=session)
    assert (again.verdict.claim, again.verdict.summary) == (Claim.DONE, "all done"), again
    said = json.dumps(server.requests[asked].body)
    assert "half of it" in said
    assert GO_ON in said
    assert lab.repo.show("HEAD", "a.txt") == "half of it"
    assert not again.verdict.no_session
