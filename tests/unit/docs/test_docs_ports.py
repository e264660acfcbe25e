"""docs/ports.md has the formula's table, its example, and every state of a lease as the code has them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from maestro.planning.ports import SERVICES, block_of, ports_of, services_of
from maestro.planning.task_environment import task_environment
from maestro.resources.ports.listing import LeaseState

PAGE = (Path(__file__).parents[3] / "docs" / "ports.md").read_text()
EXAMPLE = "ci-suite-tests-parallele-zenflow-9947"


def test_the_table_is_that_of_the_formula() -> None:
    rows = re.findall(r"^\| `(\w+_PORT)` \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    ports = ports_of(SERVICES, block_of(EXAMPLE))
    assert rows == [(name, str(start), str(ports[name])) for name, start in SERVICES.items()]


def test_the_variables_are_named() -> None:
    named = task_environment(EXAMPLE, ports_of(SERVICES, 0))
    assert all(f"`{name}`" in PAGE.partition("## Which ports")[0] for name in named)


def test_the_configuration_it_shows_works() -> None:
    shown = PAGE.partition("```toml\n")[2].partition("```")[0]
    assert services_of(tomllib.loads(shown)["ports"]).keys() == {*SERVICES, "SEARCH_PORT", "MAIL_PORT"}


def test_every_state_of_a_lease_is_named() -> None:
    assert all(f"`{state.value}`" in PAGE for state in LeaseState)
