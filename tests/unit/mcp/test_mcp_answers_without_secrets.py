"""No answer to a client, and no word on the server's standard error, holds a secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from mcp.types import CallToolRequestParams, CallToolResult

from maestro.errors import BadInput
from maestro.mcp import acts
from maestro.mcp.place import Answer, Place
from maestro.mcp.server import called

SECRET = "Pl4nted-secret"


def status(place: Place) -> CallToolResult:
    return asyncio.run(called(place, CallToolRequestParams(name="status", arguments={})))


@pytest.mark.parametrize("error", [None, BadInput(f"it is {SECRET}", hint=f"try {SECRET}"), RuntimeError(SECRET)])
def test_whatever_comes_back_is_masked(
    error: Exception | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answers(place: Place, given: object) -> Answer:
        del place, given
        if error is not None:
            raise error
        return Answer({"reason": f"x {SECRET}"}, (f"w {SECRET}",))

    monkeypatch.setitem(acts.ACTS, "status", answers)

    said = status(Place(tmp_path, {"MY_TOKEN": SECRET}))

    assert SECRET not in said.model_dump_json()
    assert "***" in said.model_dump_json()
    assert SECRET not in caplog.text
    assert ("RuntimeError: ***" in caplog.text) is isinstance(error, RuntimeError)
