"""The variables of a task's own services (I-3)."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.errors import BadInput
from maestro.planning.ports import SERVICES, block_of, ports_of
from maestro.planning.task_environment import render, task_environment

EXAMPLE = "ci-suite-tests-parallele-zenflow-9947"
IDS = ["1", "01", "a-b", "a_b", "a.b", "a--b", "A-b", "ä", "x" * 300, "x" * 301, "", "$(reboot)", "a\nb", "-", "a-b__1"]


def environment(task_id: str, repository: str | None = None) -> dict[str, str]:
    return task_environment(task_id, ports_of(SERVICES, block_of(task_id)), repository=repository)


def test_the_worked_example() -> None:
    assert environment(EXAMPLE) == {
        "ZENFLOW_TASK_ID": EXAMPLE,
        "COMPOSE_PROJECT_NAME": f"zenflow-{EXAMPLE}",
        "POSTGRES_PORT": "10947",
        "REDIS_PORT": "16947",
        "BACKEND_PORT": "18947",
        "FRONTEND_PORT": "15947",
        "POSTGRES_DB": "zenflow_ci_suite_tests_parallele_zenflow_9947",
        "DATABASE_URL": "postgresql://postgres:postgres@localhost:10947/zenflow_ci_suite_tests_parallele_zenflow_9947",
    }


@given(st.text(max_size=80), st.none() | st.text(max_size=40))
def test_names_are_fit_for_docker_and_postgres_whatever_the_id_holds(task_id: str, repository: str | None) -> None:
    env = environment(task_id, repository)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", env["COMPOSE_PROJECT_NAME"])
    assert re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", env["POSTGRES_DB"])
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,62}|[a-zA-Z0-9]", env["ZENFLOW_TASK_ID"])
    assert env["DATABASE_URL"].endswith(f":{env['POSTGRES_PORT']}/{env['POSTGRES_DB']}")
    render(env)


@pytest.mark.parametrize("variable", ["ZENFLOW_TASK_ID", "COMPOSE_PROJECT_NAME", "POSTGRES_DB"])
def test_no_two_ids_have_a_name_in_common(variable: str) -> None:
    for repository in (None, "/home/u/project"):
        names = [environment(one, repository)[variable] for one in IDS]
        assert len(set(names)) == len(IDS)


@pytest.mark.parametrize("task_id", IDS)
def test_no_two_repositories_have_a_stack_in_common(task_id: str) -> None:
    one, other, none = (environment(task_id, repository) for repository in ("/a", "/b", None))
    for variable in ("COMPOSE_PROJECT_NAME", "POSTGRES_DB"):
        assert len({one[variable], other[variable], none[variable]}) == 3
    assert one["ZENFLOW_TASK_ID"] == other["ZENFLOW_TASK_ID"]


@pytest.mark.parametrize("task_id", [EXAMPLE, *IDS])
def test_a_shell_reads_the_file_as_it_was_meant(task_id: str, tmp_path: Path) -> None:
    env = environment(task_id)
    file = tmp_path / ".env.task"
    file.write_text(render(env, heading="Ports of a task\n\nsecond line"))
    assert file.read_text().startswith("# Ports of a task\n#\n# second line\nZENFLOW_TASK_ID=")
    shell = f"set -aeu; . {shlex.quote(str(file))}; env -0"
    done = subprocess.run(["sh", "-c", shell], env={}, capture_output=True, text=True, check=True)
    read = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert env.items() <= read.items()


@pytest.mark.parametrize(("name", "value"), [("A", "two words"), ("A", "$HOME"), ("A", 'x"'), ("A", "a#b"), ("1", "x")])
def test_what_readers_would_not_agree_about_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadInput, match="cannot stand in an"):
        render({name: value})
