"""ARCHITECTURE.md names every room and the true layers, and no file that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
FILES = {str(path.relative_to(ROOT / "maestro")) for path in (ROOT / "maestro").rglob("*.py")}


def test_every_file_on_the_page_is_there() -> None:
    known = FILES | {Path(file).name for file in FILES}
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE))
    assert named
    assert named <= known


def test_every_room_is_on_the_page() -> None:
    rooms = {path.parent.name for path in (ROOT / "maestro").glob("*/__init__.py")}
    assert all(re.search(rf"\b{room}\b", PAGE.partition("## Rooms")[2]) for room in rooms)


def test_the_layers_are_those_that_are_checked() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    drawn = PAGE.partition("## Layers")[2].split("```")[1].strip().splitlines()
    assert drawn == contract["layers"]


def test_every_decision_is_linked() -> None:
    decisions = {path.name for path in (ROOT / "docs" / "adr").glob("0*.md")}
    assert set(re.findall(r"docs/adr/(0[\w-]+\.md)", PAGE)) == decisions


def test_every_local_link_of_the_map_and_the_pages_leads_somewhere() -> None:
    for page in (ROOT / "ARCHITECTURE.md", ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"
