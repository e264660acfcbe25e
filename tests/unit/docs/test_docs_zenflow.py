"""docs/zenflow.md and the files that ship say the same as the code."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

from maestro.planning.compose_overlay import PLACES
from maestro.planning.ports import SERVICES, ports_of
from maestro.planning.task_environment import task_environment
from maestro.store.shipped import OVERLAY, TASK_TEMPLATE, TEST_SCRIPT, shipped

PAGE = (Path(__file__).parents[3] / "docs/zenflow.md").read_text()
TEXT = shipped(OVERLAY).read_text()
SAID = "\n".join(line.partition("#")[0] for line in TEXT.splitlines())


def test_every_variable_and_every_file_is_on_the_page() -> None:
    for name in (*task_environment("1", ports_of(SERVICES, 0)), OVERLAY, TEST_SCRIPT, TASK_TEMPLATE):
        assert f"`{name}" in PAGE


def test_every_variable_of_the_overlay_is_explained() -> None:
    for name in set(re.findall(r"\$\{([A-Z_]+)", SAID)):
        assert f"`{name}" in PAGE


def test_every_place_of_a_compose_file_is_on_the_page() -> None:
    assert all(f"`{Path(place).parent}`" in PAGE for place in PLACES if "/" in place)


def test_the_overlay_has_the_services_and_usual_ports_of_the_page() -> None:
    overlay = YAML(typ="safe", pure=True).load(TEXT)
    assert list(overlay["services"]) == ["db", "redis", "backend", "frontend", "celery"]
    usual = re.findall(r"_PORT:-(\d+)\}:\1\"", SAID)
    assert usual == ["5432", "6379", "8000", "5173"]
    assert "else they are {}, {}, {} and {}".format(*usual) in PAGE


def test_nothing_in_the_overlay_is_refused_by_either_compose() -> None:
    assert "!" not in SAID, "docker-compose 1.29 dies of tags"
    assert not re.search(r"^name:", SAID, re.MULTILINE), "docker-compose 1.29 refuses it"
    assert not re.search(r"^version:", SAID, re.MULTILINE), "docker compose warns of it"
    assert not re.search(r"\$\{[^}]*\$\{", SAID), "docker-compose 1.29 reads no variable inside of another"
    assert not re.search(r"\$\{[A-Z_]+:?\+", SAID), "docker-compose 1.29 does not know it"
