"""The `.env.task` that a repository keeps for a task, beside those of others (I-3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.planning.env_files import FILE, FOLDER, TEMPLATE, parse, place_of, text_of, variables_of
from maestro.planning.ports import SERVICES

ROOT = Path(__file__).parents[3]
EXAMPLE = "ci-suite-tests-parallele-zenflow-9947"


def test_the_worked_example_that_ships_is_what_is_worked_out() -> None:
    assert place_of(EXAMPLE) == f".zenflow/tasks/{EXAMPLE}/.env.task"
    assert (ROOT / place_of(EXAMPLE)).read_text() == text_of(variables_of(EXAMPLE, SERVICES, []))


def test_the_template_is_that_of_the_first_block() -> None:
    shipped = parse((ROOT / FOLDER / TEMPLATE / FILE).read_text())
    assert shipped == variables_of("template-0000", SERVICES, [])
    assert [int(shipped[name]) for name in SERVICES] == list(SERVICES.values())


def test_the_readme_says_what_the_example_has() -> None:
    readme = (ROOT / FOLDER / TEMPLATE / "README.md").read_text()
    for name, value in variables_of(EXAMPLE, SERVICES, []).items():
        if name.endswith("_PORT") or name in ("COMPOSE_PROJECT_NAME", "POSTGRES_DB"):
            row = f"`{value}`" if not value.isdigit() else value
            assert f"| `{name}` | {row} |" in readme
    for name, start in SERVICES.items():
        assert f"| `{name}` | {start} + block |" in readme


def test_ids_that_meet_get_blocks_one_after_the_other() -> None:
    files: list[dict[str, str]] = []
    for number in range(60):
        files.append(variables_of(f"task-{number}-9947", SERVICES, files))
    ports = [value for one in files for name, value in one.items() if name.endswith("_PORT")]
    assert len(set(ports)) == 60 * len(SERVICES)
    assert [files[0]["POSTGRES_PORT"], files[1]["POSTGRES_PORT"]] == ["10947", "10948"]
    assert files[59]["POSTGRES_PORT"] == "10006"  # after the last block comes the first


def test_a_block_of_which_another_file_has_one_port_is_left_to_it() -> None:
    assert variables_of("a-1", SERVICES, [{"SEARCH_PORT": "16001"}])["POSTGRES_PORT"] == "10002"
    assert variables_of("a-1", SERVICES, [{"SOMETHING": "16001"}])["POSTGRES_PORT"] == "10001"


def test_services_of_the_configuration_have_their_ports() -> None:
    assert variables_of("a-7", {**SERVICES, "SEARCH_PORT": 20000}, [])["SEARCH_PORT"] == "20007"


def test_no_block_left_is_one_sentence() -> None:
    everything = [{"A_PORT": str(10000 + block)} for block in range(1000)]
    with pytest.raises(BadInput, match="a port in each of the 1,000 blocks"):
        variables_of("a-1", SERVICES, everything)


@pytest.mark.parametrize("task_id", ["", "  ", "template"])
def test_what_is_no_task_is_refused(task_id: str) -> None:
    with pytest.raises(BadInput, match="is no id of a task"):
        variables_of(task_id, SERVICES, [])


@pytest.mark.parametrize("task_id", ["../x", "a/b", "a b", "-", "ä", ".", "x" * 200])
def test_any_other_id_has_a_place_of_its_own_and_a_file(task_id: str) -> None:
    place = Path(place_of(task_id))
    assert place.parts[:2] == (".zenflow", "tasks")
    assert len(place.parts) == 4
    variables = variables_of(task_id, SERVICES, [])
    assert parse(text_of(variables)) == variables
    assert place.parts[2] == variables["ZENFLOW_TASK_ID"]


def test_what_is_no_variable_does_not_count() -> None:
    assert parse("# A=1\n\n B=2\nnothing\nC=x=y\n") == {"B": "2", "C": "x=y"}
