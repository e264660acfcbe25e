"""`maestro workspace env` and `maestro init --zenflow`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from maestro.planning.env_files import parse, variables_of
from maestro.planning.ports import SERVICES
from maestro.store.layout import Layout
from maestro.store.shipped import OVERLAY, TASK_TEMPLATE, TEST_SCRIPT, shipped

TASK = "shop-9947"
ZENFLOW = [f"{TASK_TEMPLATE}/.env.task", f"{TASK_TEMPLATE}/README.md", OVERLAY, TEST_SCRIPT]


def test_it_prints_what_it_would_write_and_writes_nothing(cli: Any, layout: Layout) -> None:
    said = cli("workspace", "env", TASK)
    assert (said.code, said.err) == (0, "")
    assert parse(said.out) == variables_of(TASK, SERVICES, [])
    assert not (layout.repository / ".zenflow").exists()


def test_it_writes_the_file_once_and_never_over_somebodys_own(cli: Any, layout: Layout) -> None:
    path = layout.repository / ".zenflow/tasks" / TASK / ".env.task"
    shown = cli("workspace", "env", TASK).out
    assert cli("workspace", "env", TASK, "--write").out == f"{path}: written\n"
    assert path.read_text() == shown
    assert cli("workspace", "env", TASK, "--write").out == f"{path}: is there already\n"
    path.write_text("POSTGRES_PORT=1\n")
    said = cli("workspace", "env", TASK, "--write")
    assert (said.code, path.read_text()) == (2, "POSTGRES_PORT=1\n")
    assert "says something else" in said.err
    assert "--force" in said.err
    assert cli("workspace", "env", TASK, "--write", "--force").code == 0
    assert path.read_text() == shown


@pytest.mark.parametrize("leads_to", ["something", "nothing"])
def test_no_link_leads_it_out_of_the_repository(cli: Any, layout: Layout, tmp_path: Path, leads_to: str) -> None:
    path = layout.repository / ".zenflow/tasks" / TASK / ".env.task"
    path.parent.mkdir(parents=True)
    (tmp_path / "something").write_text("mine\n")
    path.symlink_to(tmp_path / leads_to)
    said = cli("workspace", "env", TASK, "--write", "--force")
    assert (said.code, (tmp_path / "something").read_text()) == (2, "mine\n")
    assert "is no file" in said.err
    assert not (tmp_path / "nothing").exists()


def test_what_is_no_file_of_another_task_holds_nobody_up(cli: Any, layout: Layout) -> None:
    tasks = layout.repository / ".zenflow/tasks"
    (tasks / "folder" / ".env.task").mkdir(parents=True)
    (tasks / "pipe").mkdir()
    os.mkfifo(tasks / "pipe" / ".env.task")
    assert parse(cli("workspace", "env", TASK).out)["POSTGRES_PORT"] == "10947"


def test_json_has_all_of_it(cli: Any, layout: Layout) -> None:
    path = layout.repository / ".zenflow/tasks" / TASK / ".env.task"
    variables = variables_of(TASK, SERVICES, [])
    expected = {"task": TASK, "path": str(path), "written": False, "variables": variables}
    assert cli("workspace", "env", TASK, "--json").json() == expected
    assert cli("workspace", "env", TASK, "--json", "--write").json() == {**expected, "written": True}


def test_a_second_task_with_the_same_digits_gets_the_next_block(cli: Any) -> None:
    cli("workspace", "env", TASK, "--write")
    assert parse(cli("workspace", "env", "cart-9947").out)["POSTGRES_PORT"] == "10948"
    assert parse(cli("workspace", "env", TASK).out)["POSTGRES_PORT"] == "10947"  # its own file takes nothing from it


def test_services_are_those_of_the_configuration(cli: Any, layout: Layout) -> None:
    layout.root.mkdir(parents=True)
    layout.config.write_text("[ports]\nSEARCH_PORT = 20000\n")
    assert parse(cli("workspace", "env", TASK).out)["SEARCH_PORT"] == "20947"


def test_an_agent_is_shown_what_its_run_has_leased(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    leased = {**variables_of(TASK, SERVICES, []), "POSTGRES_PORT": "10002", "COMPOSE_PROJECT_NAME": "zenflow-x"}
    for name, value in {**leased, "MAESTRO_ATTEMPT": "t/r/x/1", "MAESTRO_TASK_ID": TASK}.items():
        monkeypatch.setenv(name, value)
    assert parse(cli("workspace", "env", TASK).out) == leased
    assert parse(cli("workspace", "env", "other-9947").out)["POSTGRES_PORT"] == "10947"
    monkeypatch.delenv("REDIS_PORT")  # of an environment that somebody took apart
    assert parse(cli("workspace", "env", TASK).out)["POSTGRES_PORT"] == "10947"


def test_outside_of_a_repository_it_can_be_shown_and_not_written(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    assert parse(cli("workspace", "env", TASK).out)["POSTGRES_PORT"] == "10947"
    assert cli("workspace", "env", TASK, "--write").code == 2


@pytest.mark.parametrize(
    "argv", [("env",), ("env", ""), ("env", "template"), ("env", TASK, "--force"), ("nothing",), ()]
)
def test_bad_words_are_refused(cli: Any, argv: tuple[str, ...]) -> None:
    said = cli("workspace", *argv)
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err


def test_a_file_that_cannot_be_read_is_said(cli: Any, layout: Layout) -> None:
    (layout.repository / ".zenflow/tasks" / TASK / ".env.task").mkdir(parents=True)
    said = cli("workspace", "env", TASK, "--write")
    assert said.code != 0
    assert "cannot be read" in said.err


def test_init_brings_the_files_where_they_are_wanted(cli: Any, layout: Layout) -> None:
    cli("init")
    assert not any((layout.repository / place).exists() for place in ZENFLOW)
    said = cli("init", "--zenflow")
    for place in ZENFLOW:
        assert (layout.repository / place).read_bytes() == shipped(place).read_bytes()
        assert f"{layout.repository / place}: written" in said.out
    assert os.access(layout.repository / TEST_SCRIPT, os.X_OK)
    assert cli("init", "--zenflow", "--json").json()["compose_file"] is None
    (layout.repository / OVERLAY).write_text("services: {}\n")
    assert f"{layout.repository / OVERLAY}: was edited and is kept" in cli("init", "--zenflow").out


def test_init_fits_the_overlay_to_the_compose_file_that_is_there(cli: Any, layout: Layout) -> None:
    below = layout.repository / "infra/docker/docker-compose.yml"
    below.parent.mkdir(parents=True)
    below.write_text(
        'services:\n  db:\n    image: pgvector/pgvector:pg16\n    ports: !override ["5432:5432"]\n'
        '  backend:\n    build: .\n    ports: ["${BACKEND_PORT:-8000}:8000"]\n'
    )
    said = cli("init", "--zenflow")
    text = (layout.repository / OVERLAY).read_text()
    assert '    image: "pgvector/pgvector:pg16"\n' in text
    assert "    image: ${ZENFLOW_BACKEND_IMAGE:-zenflow-backend}:" in text
    assert "infra/docker/docker-compose.yml: service db publishes the port 5432, which" in said.err
    assert "backend" not in said.err
    again = cli("init", "--zenflow", "--json").json()
    assert again["compose_file"] == "infra/docker/docker-compose.yml"
    assert again["shared"] == ["infra/docker/docker-compose.yml: service db publishes the port 5432"]
    assert {one["action"] for one in again["files"]} == {"unchanged"}


def test_a_compose_file_that_is_none_stops_init_before_anything_is_written(cli: Any, layout: Layout) -> None:
    (layout.repository / "compose.yaml").write_text("services: [\n")
    said = cli("init", "--zenflow")
    assert said.code != 0
    assert "compose.yaml cannot be read" in said.err
    assert not layout.config.exists()


def test_doctor_names_what_stacks_would_share_where_the_overlay_is_used(cli: Any, layout: Layout) -> None:
    def services() -> list[Any]:
        return [one for one in cli("doctor", "--json").json()["checks"] if one["name"] == "services"]

    (layout.repository / "compose.yaml").write_text('services:\n  db:\n    image: x\n    ports: ["5432:5432"]\n')
    assert services() == []
    cli("init", "--zenflow")
    (found,) = services()
    assert found["health"] == "warning"
    assert "compose.yaml: service db publishes the port 5432" in found["detail"]
    (layout.repository / "compose.yaml").write_text("services:\n  db:\n    image: x\n")
    (found,) = services()
    assert found["health"] == "ok"
