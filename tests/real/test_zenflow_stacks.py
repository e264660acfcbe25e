"""Two stacks of the overlay at once, for real: podman, `docker compose` and containers (I-4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maestro.planning.env_files import variables_of
from maestro.planning.ports import SERVICES
from maestro.store.shipped import OVERLAY, shipped
from tests.real.compose_sample import make_project
from tests.real.stack_lab import IMAGE, Machine, can_have_machines

pytestmark = [pytest.mark.real("podman", "busybox"), pytest.mark.needs_namespaces, pytest.mark.timeout(240)]

BUILT = ("BACKEND", "FRONTEND", "CELERY")
TARGETS = {"db": "POSTGRES_PORT", "redis": "REDIS_PORT", "backend": "BACKEND_PORT", "frontend": "FRONTEND_PORT"}
INSIDE = {"db": 5432, "redis": 6379, "backend": 8000, "frontend": 5173}


class Stack:
    """The overlay over a project's own file, for one task."""

    def __init__(self, machine: Machine, compose: Path, file: Path, task: str, others: list[dict[str, str]]) -> None:
        self.machine = machine
        self.variables = variables_of(task, SERVICES, others)
        self.prefix = f"{self.variables['COMPOSE_PROJECT_NAME']}-{task}"
        self.env = {**self.variables, "ZENFLOW_DB_IMAGE": IMAGE, "ZENFLOW_REDIS_IMAGE": IMAGE}
        for name in BUILT:
            image = self.env[f"ZENFLOW_{name}_IMAGE"] = f"localhost/{name.lower()}"
            machine.run("podman", "tag", IMAGE, f"{image}:{self.prefix}")
        self._compose = (str(compose), "-f", str(file), "-f", str(shipped(OVERLAY)))

    def compose(self, *argv: str) -> str:
        return self.machine.run(*self._compose, *argv, env=self.env)

    def port(self, service: str) -> int:
        return int(self.variables[TARGETS[service]])

    def addresses(self) -> dict[str, tuple[str, str]]:
        """Service → address of its container, and of the machine as that one sees it."""
        found = {}
        for service in TARGETS:
            one = json.loads(self.machine.run("podman", "inspect", f"{self.prefix}-{service}"))[0]
            (network,) = one["NetworkSettings"]["Networks"].values()
            found[service] = (network["IPAddress"], network["Gateway"])
        return found


def fetched(machine: Machine, container: str, doors: list[tuple[int, str]]) -> list[str | None]:
    """What a container gets at several ports and addresses; asked at once, since silence takes seconds."""
    with ThreadPoolExecutor(len(doors)) as pool:
        return list(pool.map(lambda door: machine.fetch(door[0], host=door[1], container=container), doors))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if not can_have_machines():
        pytest.skip("namespaces are forbidden here: those for networks need root and its rights")
    with Machine(tmp_path) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.mark.parametrize(
    "version",
    [pytest.param(name, marks=pytest.mark.real(name)) for name in ("docker-compose", "docker-compose-v2")],
)
def test_two_stacks_answer_on_their_own_ports_and_cannot_reach_each_other(
    machine: Machine, project: Path, real: dict[str, Path], version: str
) -> None:
    one = Stack(machine, real[version], project, "shop-9947", [])
    other = Stack(machine, real[version], project, "cart-9947", [one.variables])  # the formula gives both the same
    for stack in (one, other):
        stack.compose("up", "-d", "--no-build")
    for stack, task in ((one, "shop-9947"), (other, "cart-9947")):
        for service in TARGETS:
            assert machine.page(stack.port(service)) == f"{task} {service}"
    assert {one.port(service) for service in TARGETS}.isdisjoint(other.port(service) for service in TARGETS)

    for stack, stranger in ((one, other), (other, one)):
        task, inside = stack.variables["ZENFLOW_TASK_ID"], f"{stack.prefix}-celery"
        for service, port in INSIDE.items():
            assert machine.page(port, host=service, container=inside) == f"{task} {service}"
        own_gateway = stack.addresses()["db"][1]  # the machine itself: the stack's ports are there, the stranger's not
        assert machine.page(stack.port("db"), host=own_gateway, container=inside) == f"{task} db"
        doors = [(INSIDE[service], address) for service, (address, _) in stranger.addresses().items()]
        doors += [(stranger.port(service), own_gateway) for service in TARGETS]
        assert fetched(machine, inside, doors) == [None] * len(doors)

    volumes = set(machine.run("podman", "volume", "ls", "--format", "{{.Name}}").split())
    assert volumes >= {f"{stack.prefix}-{kind}-data" for stack in (one, other) for kind in ("db", "redis")}
    projects = tuple(stack.variables["COMPOSE_PROJECT_NAME"] for stack in (one, other))
    assert all(name.startswith(projects) for name in volumes)

    one.compose("down", "--volumes", "--timeout", "0")
    assert [machine.fetch(one.port(service)) for service in TARGETS] == [None] * len(TARGETS)
    for service in TARGETS:
        assert machine.page(other.port(service)) == f"cart-9947 {service}"
    other.compose("down", "--volumes", "--timeout", "0")
    assert machine.run("podman", "volume", "ls", "--quiet") == ""
    assert machine.run("podman", "ps", "--all", "--quiet") == ""


@pytest.mark.parametrize(("options", "is_reached"), [((), True), (("--opt", "isolate=true"), False)])
def test_silence_means_isolation_and_podman_needs_to_be_told(
    machine: Machine, options: tuple[str, ...], is_reached: bool
) -> None:
    """What the test above takes for a closed door is one: without the overlay's option the same question is answered.
    (podman's docker socket isolates by itself, podman and podman-compose do not.)"""
    for name, command in (("one", ("/bin/serve", "5432")), ("other", ("/bin/sleep", "600"))):
        machine.run("podman", "network", "create", *options, name)
        machine.run("podman", "run", "-d", "--name", name, "--network", name, "--env", f"STACK={name}", IMAGE, *command)
    one = json.loads(machine.run("podman", "inspect", "one"))[0]
    address = one["NetworkSettings"]["Networks"]["one"]["IPAddress"]
    assert machine.page(5432, host=address) == "one"
    assert machine.fetch(5432, host=address, container="other") == ("one" if is_reached else None)
