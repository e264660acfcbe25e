"""The overlay as the real compose of both eras resolves it, alone and over a project's own file (I-4)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from maestro.planning.env_files import text_of, variables_of
from maestro.planning.ports import SERVICES
from maestro.store.shipped import OVERLAY, TEST_SCRIPT, shipped
from tests.real.compose_sample import make_project

EXAMPLE = "ci-suite-tests-parallele-zenflow-9947"
USUAL = {"db": 5432, "redis": 6379, "backend": 8000, "frontend": 5173}
VARIABLES = {"db": "POSTGRES_PORT", "redis": "REDIS_PORT", "backend": "BACKEND_PORT", "frontend": "FRONTEND_PORT"}
ALONE = shipped(OVERLAY)


class Compose:
    """One real compose."""

    def __init__(self, program: Path) -> None:
        self._program = str(program)

    def config(self, *files: Path, env: Mapping[str, str] | None = None, env_file: Path | None = None) -> Any:
        """What it makes of the files; it has nothing to complain about, but for versions in files of old."""
        options = [word for file in files for word in ("-f", str(file))]
        options += ["--env-file", str(env_file)] if env_file else []
        done = subprocess.run(
            [self._program, *options, "config"], env={**os.environ, **(env or {})}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        complaints = [line for line in done.stderr.splitlines() if "`version` is obsolete" not in line]
        assert not complaints
        return YAML(typ="safe", pure=True).load(done.stdout)


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.real(name)) for name in ("docker-compose", "docker-compose-v2")]
)
def compose(request: pytest.FixtureRequest, real: dict[str, Path]) -> Compose:
    return Compose(real[request.param])


@pytest.fixture
def below(tmp_path: Path) -> Path:
    """A project's own compose file, in its place."""
    return make_project(tmp_path)


def published(config: Any) -> dict[str, list[int]]:
    return {
        name: [int(port["published"]) for port in service["ports"]]
        for name, service in config["services"].items()
        if service.get("ports")
    }


def names(config: Any) -> set[str]:
    """Everything that has one name on the whole machine."""
    found = {service["container_name"] for service in config["services"].values()}
    for kind in ("networks", "volumes"):
        found |= {one["name"] for one in config[kind].values() if one and "name" in one}
    return found


def images(config: Any) -> dict[str, str]:
    return {name: service["image"] for name, service in config["services"].items()}


def test_alone_without_a_task_it_is_the_usual_stack(compose: Compose) -> None:
    config = compose.config(ALONE)
    assert set(config["services"]) == {"db", "redis", "backend", "frontend", "celery"}
    assert published(config) == {name: [port] for name, port in USUAL.items()}
    assert all("-local" in name for name in names(config))
    for service in ("backend", "celery"):
        environment = config["services"][service]["environment"]
        assert environment["DATABASE_URL"] == "postgresql://postgres:postgres@db:5432/zenflow"


@pytest.mark.parametrize("way", ["exported", "--env-file"])
def test_with_the_file_of_a_task_everything_is_its_own(compose: Compose, tmp_path: Path, way: str) -> None:
    variables = variables_of(EXAMPLE, SERVICES, [])
    file = tmp_path / ".env.task"
    file.write_text(text_of(variables))
    given: dict[str, Any] = {"env": variables} if way == "exported" else {"env_file": file}
    config = compose.config(ALONE, **given)
    assert published(config) == {"db": [10947], "redis": [16947], "backend": [18947], "frontend": [15947]}
    assert len(names(config)) == 5 + 1 + 2
    assert all(EXAMPLE in name for name in names(config))
    database = variables["POSTGRES_DB"]
    assert config["services"]["db"]["environment"]["POSTGRES_DB"] == database
    assert config["services"]["backend"]["environment"]["DATABASE_URL"].endswith(f"@db:5432/{database}")
    assert config["services"]["frontend"]["environment"]["VITE_API_URL"] == "http://localhost:18947"
    if "name" in config:  # the old one says the project nowhere
        assert config["name"] == f"zenflow-{EXAMPLE}"


def test_the_id_alone_keeps_names_apart(compose: Compose) -> None:
    one, other = (compose.config(ALONE, env={"ZENFLOW_TASK_ID": task}) for task in ("Shop-1", "Cart-1"))
    assert all("Shop-1" in name for name in names(one))
    assert names(one).isdisjoint(names(other))


def test_on_top_of_a_projects_own_file_two_tasks_share_nothing(compose: Compose, below: Path) -> None:
    first = variables_of("shop-9947", SERVICES, [])
    both = [first, variables_of("cart-9947", SERVICES, [first])]
    one, other = (compose.config(below, ALONE, env=variables) for variables in both)
    for config, variables in ((one, both[0]), (other, both[1])):
        # the port of the file below and that of the overlay are one entry
        assert published(config) == {name: [int(variables[variable])] for name, variable in VARIABLES.items()}
        service = config["services"]["db"]
        assert service["command"] == ["/bin/serve", "5432"], "what is not the overlay's business stays"
        assert service["environment"]["STACK"] == f"{variables['ZENFLOW_TASK_ID']} db"
        assert len(service["volumes"]) == 1, "the data is the task's, and no longer in the volume below"
        assert set(config["services"]["backend"]["depends_on"]) == {"db", "redis"}
    assert names(one).isdisjoint(names(other))
    built = ("backend", "frontend", "celery")
    assert {images(one)[name] for name in built}.isdisjoint(images(other)[name] for name in built)


def test_without_a_task_the_file_below_is_as_it_was(compose: Compose, below: Path) -> None:
    assert published(compose.config(below, ALONE)) == {name: [port] for name, port in USUAL.items()}


@pytest.mark.parametrize("version", ["", 'version: "2.4"\n', 'version: "3"\n', 'version: "3.9"\n'])
def test_it_goes_with_files_of_any_version(compose: Compose, below: Path, version: str) -> None:
    below.write_text(below.read_text().replace('version: "3.8"\n', version))
    assert published(compose.config(below, ALONE, env={"POSTGRES_PORT": "10001"}))["db"] == [10001]


def test_ports_of_the_file_below_stay_which_is_why_init_names_them(compose: Compose, below: Path) -> None:
    below.write_text(below.read_text().replace("${POSTGRES_PORT:-5432}:5432", "5432:5432"))
    config = compose.config(below, ALONE, env={"POSTGRES_PORT": "10001"})
    assert sorted(published(config)["db"]) == [5432, 10001]


@pytest.mark.real("shellcheck")
@pytest.mark.parametrize("script", [TEST_SCRIPT, "scripts/install_compose.sh"])
def test_shellcheck_has_nothing_to_say_of_the_scripts(real: dict[str, Path], script: str) -> None:
    done = subprocess.run([real["shellcheck"], shipped(script)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
