"""What a gateway says when it was told half: nothing of what it was told."""

from __future__ import annotations

import os
import subprocess
import sys

from maestro.gateway.contract import SECRET, HeldKey, Told
from maestro.testing.gateway_lab import KEYS


def test_what_it_is_told_in_part_is_not_repeated_in_its_log() -> None:
    """As when the coordinator is killed while it writes."""
    told = Told(
        provider="anthropic", upstream="http://127.0.0.1:9", key_header="x-api-key", marker="m", family="f",
        held=(HeldKey(value=KEYS[0], origin="A"),), coordinator=(1, 1.0),
    ).model_dump_json()  # fmt: skip
    part = told[: told.index(KEYS[0]) + len(KEYS[0])]
    said = subprocess.run(
        [sys.executable, "-m", "maestro.gateway"],
        input=part,
        env={"PATH": os.environ["PATH"], SECRET: "s"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 1
    assert said.stdout == ""
    assert KEYS[0][-6:] not in said.stderr
    assert "broke off" in said.stderr
