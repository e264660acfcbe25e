"""Runs lease ports from one machine, whoever they are and however they end (I-1, I-2)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository, make_repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started
from tests.acceptance.resuming import QUICK, Scene

SERVICES = ("POSTGRES_PORT", "REDIS_PORT", "BACKEND_PORT", "FRONTEND_PORT")

BINDS = f"""
import os, socket, sys, time
ports = [int(os.environ[name]) for name in {SERVICES!r}]
servers = []
for port in ports:
    server = socket.socket()
    server.bind(("127.0.0.1", port))
    server.listen()
    servers.append(server)
began = time.monotonic()
time.sleep(0.5)
with open(sys.argv[1], "a") as log:
    log.write(f"{{began}} {{time.monotonic()}} {{' '.join(map(str, ports))}}\\n")
"""


@pytest.fixture
def stranger() -> Iterator[int]:
    """Somebody's own server on 10947. Another run of this very test may have it just now, and is waited for: their
    agents must not meet either, and lease their ports from two machines."""
    server = socket.socket()
    deadline = time.monotonic() + 110
    while True:
        try:
            server.bind(("127.0.0.1", 10947))
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    server.listen()
    yield 10947
    server.close()


@pytest.mark.timeout(280)
def test_a_hundred_tasks_of_two_coordinators_never_meet(tmp_path: Path, stranger: int) -> None:
    agent = tmp_path / "agent.py"
    agent.write_text(BINDS)
    log = tmp_path / "log"
    command = f"{sys.executable} -S -E {agent} {log} && {WRITES_ONE_FILE}"
    runs = [begin(tmp_path / name, command, [f"{name}-{number}-9947" for number in range(50)]) for name in ("a", "b")]
    for process in runs:
        out, err = process.communicate(timeout=250)
        said = Said(process.returncode, out, err)
        assert said.code == 0, err
        assert list(said.statuses().values()) == ["landed"] * 50
    times = defaultdict(list)
    for line in log.read_text().splitlines():
        began, ended, *ports = line.split()
        assert len({int(port) % 1000 for port in ports}) == 1
        for port in ports:
            times[int(port)].append((float(began), float(ended)))
    assert sum(map(len, times.values())) == 100 * len(SERVICES)
    assert stranger not in times
    for spans in times.values():
        assert all(ended <= began for (_, ended), (began, _) in pairwise(sorted(spans)))
    assert maestro("workspace", "ports", "--json", cwd=tmp_path).json["leases"] == []


def begin(folder: Path, agent: str, tasks: list[str]) -> subprocess.Popen[str]:
    folder.mkdir()
    repo = make_repository(folder / "project")
    (folder / "tasks.json").write_text(json.dumps([{"id": task} for task in tasks]))
    argv = command_line(
        "run", "--tasks-file", str(folder / "tasks.json"), "--agent-command", agent, "--no-tests", "--json",
        "--attempts", "1", "--max-parallel", "10",
    )  # fmt: skip
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=repo.path, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def scene(repo: Repository, start: Callable[..., Started], tmp_path: Path) -> Scene:
    return Scene(repo, start, tmp_path)


def leases(scene: Scene) -> list[dict[str, Any]]:
    return list(scene.maestro("workspace", "ports", "--json").json["leases"])


NOTES_PORTS = 'printenv POSTGRES_PORT >"{lab}/port-$MAESTRO_TASK_ID"; '


def test_agents_that_outlive_their_coordinator_keep_their_ports(scene: Scene, tmp_path: Path) -> None:
    agent = NOTES_PORTS.format(lab=scene.folder) + scene.agent(
        f'[ "$POSTGRES_PORT" = "$(cat "{scene.folder}/port-$MAESTRO_TASK_ID")" ] && {WRITES_ONE_FILE}'
    )
    tasks = [{"id": "a-42"}, {"id": "b-42"}]
    started = scene.begin(tasks, waits_for=("a-42", "b-42"), agent=agent)
    before = {one["task"]: one for one in leases(scene)}
    assert [one["state"] for one in before.values()] == ["held", "held"]
    assert {one["pid"] for one in before.values()} == {started.process.pid}
    scene.kill(started)
    assert {one["task"]: (one["ports"], one["state"]) for one in leases(scene)} == {
        task: (one["ports"], "outlived") for task, one in before.items()
    }
    text = scene.maestro("workspace", "ports").out
    assert f"in use: process {started.process.pid} is gone, its agent works on" in text

    other = begin(tmp_path / "other", f'printenv POSTGRES_PORT >"{tmp_path}/theirs"; {WRITES_ONE_FILE}', ["c-42"])
    out, err = other.communicate(timeout=60)
    assert other.returncode == 0, (out, err)
    theirs = int((tmp_path / "theirs").read_text())
    assert theirs not in {one["ports"]["POSTGRES_PORT"] for one in before.values()}

    resumed = subprocess.Popen(
        command_line("resume", "--json"), cwd=scene.repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        scene.until(lambda: [one["state"] for one in leases(scene)] == ["held", "held"])
        assert {one["task"]: (one["ports"], one["pid"]) for one in leases(scene)} == {
            task: (one["ports"], resumed.pid) for task, one in before.items()
        }
    finally:
        scene.let_go()
        out, err = resumed.communicate(timeout=60)
    assert Said(resumed.returncode, out, err).statuses() == {"a-42": "landed", "b-42": "landed"}
    assert leases(scene) == []
    assert scene.maestro("workspace", "ports").out == "No ports are leased.\n"


def test_what_the_dead_had_is_stale_until_somebody_wants_it_or_it_is_cleaned_up(scene: Scene) -> None:
    scene.dead([{"id": "a-42"}], waits_for=("a-42",))
    [lease] = leases(scene)
    scene.reboot()
    assert [(one["state"], one["ports"]) for one in leases(scene)] == [("stale", lease["ports"])]
    assert "stale: process" in scene.maestro("workspace", "ports").out
    shown = scene.maestro("cleanup-orphans", "--json").json["orphans"]
    [orphan] = [one for one in shown if one["kind"] == "port_lease"]
    assert orphan["task"] == "a-42"
    assert str(lease["ports"]["POSTGRES_PORT"]) in orphan["what"]
    assert leases(scene) != []
    assert scene.maestro("cleanup-orphans", "--force", env=QUICK).code == 0
    assert leases(scene) == []


def test_an_attempt_that_is_lost_before_its_agent_was_started_leaves_no_lease(
    scene: Scene, start: Callable[..., Started], tmp_path: Path
) -> None:
    set_up = f'touch "{tmp_path}/here"; until [ -e "{tmp_path}/go" ]; do sleep 0.02; done'
    started = start([{"id": "a-42"}], "--run-id", "it", env={"MAESTRO_SETUP": set_up})
    started.until(tmp_path / "here")
    assert [one["state"] for one in leases(scene)] == ["held"]
    scene.kill(started)
    scene.let_go()
    said = scene.resume()
    assert said.code == 0, said.err
    assert said.json["tasks"]["a-42"]["attempts"] == 2
    assert leases(scene) == []


def test_leases_of_agents_that_a_cleanup_ends_go_with_them(scene: Scene) -> None:
    scene.dead([{"id": "a-42"}], waits_for=("a-42",))
    said = scene.maestro("cleanup-orphans", "--force", "--json", env=QUICK)
    assert said.code == 0
    assert [one["done"] for one in said.json["orphans"] if one["kind"] == "port_lease"] == [True]
    assert leases(scene) == []


def test_the_gate_has_ports_of_its_own_and_services_can_be_added(run: Run, repo: Repository, tmp_path: Path) -> None:
    agent = f'printenv SEARCH_PORT POSTGRES_PORT >"{tmp_path}/agent"; {WRITES_ONE_FILE}'
    gate = f'printenv SEARCH_PORT POSTGRES_PORT DATABASE_URL >"{tmp_path}/gate"'
    said = run([{"id": "t-7"}], agent=agent, tests=gate, env={"MAESTRO_PORTS": '{"SEARCH_PORT": 40000}'})
    assert said.code == 0, said.err
    search, postgres = map(int, (tmp_path / "agent").read_text().split())
    assert search - 40000 == postgres - 10000
    gate_search, gate_postgres, url = (tmp_path / "gate").read_text().split()
    assert int(gate_search) - 40000 == int(gate_postgres) - 10000
    assert f":{gate_postgres}/" in url
    assert maestro("workspace", "ports", "--json", cwd=repo.path).json["leases"] == []


def test_gates_of_two_runs_share_no_database_and_no_stack(run: Run, tmp_path: Path) -> None:
    gate = f'echo "$POSTGRES_DB $COMPOSE_PROJECT_NAME" >"{tmp_path}/$MAESTRO_RUN_ID"'
    for number in (1, 2):
        said = run([{"id": f"t-{number}"}], "--run-id", f"run-{number}", tests=gate)
        assert said.code == 0, said.err
    [first, second] = [(tmp_path / f"run-{number}").read_text().split() for number in (1, 2)]
    assert len({*first, *second}) == 4


def test_a_folder_of_the_machine_that_others_may_write_is_refused(run: Run, repo: Repository) -> None:
    machine = Path(os.environ["MAESTRO_MACHINE_DIR"])
    machine.chmod(0o777)
    said = run([{"id": "t-7"}])
    assert said.code == 1
    assert said.json["error"]["message"].startswith(f"{machine}, which all runs on this machine share, may be written")
    assert not (repo.path / ".flow/maestro/runs").exists()


def test_ranges_that_meet_are_refused_before_anything_starts(run: Run, repo: Repository) -> None:
    said = run([{"id": "t-7"}], env={"MAESTRO_PORTS": '{"SEARCH_PORT": 10500}'})
    assert said.code == 2
    assert said.json["error"]["message"] == (
        "ports: POSTGRES_PORT (10000 to 10999) and SEARCH_PORT (10500 to 11499) share ports."
    )
    assert repo.git("branch", "--list", "integration/*") == ""
