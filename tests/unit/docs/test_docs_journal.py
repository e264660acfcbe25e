"""docs/journal.md names every event, and its first line is the one that journals begin with."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import get_args

from maestro.model.events import AnyEvent
from maestro.store.journal import Journal

PAGE = (Path(__file__).parents[3] / "docs" / "journal.md").read_text()
TYPES = [event.model_fields["type"].default for event in get_args(get_args(AnyEvent)[0])]


def test_every_event_has_one_row_in_the_order_of_the_code() -> None:
    assert re.findall(r"^\| `(\w+)` ", PAGE, re.MULTILINE) == TYPES


def test_partners_are_events() -> None:
    assert set(re.findall(r"^\| `\w+` \| `(\w+)` ", PAGE, re.MULTILINE)) <= set(TYPES)


def test_the_first_line_is_as_written(tmp_path: Path) -> None:
    async def write() -> None:
        await Journal(tmp_path / "journal.jsonl").close()

    asyncio.run(write())
    first = (tmp_path / "journal.jsonl").read_text().splitlines()[0]
    assert f"`{first.replace(' ', '')}`" in PAGE
