"""Named resources in runs (I-7): attempts start when they have what they need, gates hold `tests`, nobody is stuck."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.engine import reserving
from maestro.engine.messages import Interrupted
from maestro.model.events import (
    AttemptEnded,
    AttemptStarting,
    Event,
    GateStarted,
    ResourceQueued,
    ResourceTaken,
)
from maestro.model.states import RunStatus
from maestro.model.task import Task
from maestro.resources.base import Lock
from maestro.resources.locks.acquire import acquire
from maestro.resources.locks.base import LockStatus, Resource, Who
from maestro.resources.locks.place import folder_of
from maestro.resources.locks.status import status
from maestro.testing.repository import Repository
from tests.integration.engine_runs import WRITES, EngineRun, states

# one line at its beginning and one at its end; that two are never inside is read from it
TELLS = 'echo "+$MAESTRO_TASK_ID" >> "$TOLD"; sleep 0.2; {work}; echo "-$MAESTRO_TASK_ID" >> "$TOLD"'

# the same, but the first one in does not leave before somebody else came in: for what is to be seen at once
MEETS = TELLS.replace(
    "sleep 0.2", 'n=0; until [ "$(grep -c . "$TOLD")" -gt 1 ] || [ $((n+=1)) -gt 200 ]; do sleep 0.1; done'
)


class Outsider:
    """Somebody else who holds a resource, in a thread of its own loop: `release` when the run has come to wait."""

    def __init__(self, repo: Repository, name: str) -> None:
        self.folder = folder_of(Resource(name).scope, repo.path, None, os.environ)
        self.resource = Resource(name)
        self._held = asyncio.run(acquire(self.folder, self.resource, Who(task="outside", run="other")))

    def release(self) -> None:
        self._held.release()

    def status(self) -> LockStatus:
        return status(self.folder, self.resource)


def engine_run(repo: Repository, tmp_path: Path, tasks: list[Task], **settings: Any) -> EngineRun:
    return EngineRun(repo, tasks, tmp_path / "ws", **settings)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "told"
    monkeypatch.setenv("TOLD", str(path))
    return path


def most_at_once(told: Path, tasks: set[str]) -> int:
    inside, most = 0, 0
    for line in told.read_text().splitlines():
        if line[1:] in tasks:
            inside += 1 if line[0] == "+" else -1
            most = max(most, inside)
    return most


def on(kind: type[Event], act: Callable[[], object], **fields: Any) -> Callable[[Event], None]:
    """Act at the first event of the kind with these fields."""
    done: list[bool] = []

    def react(event: Event) -> None:
        if not done and isinstance(event, kind) and all(getattr(event, key) == fields[key] for key in fields):
            done.append(True)
            act()

    return react


def test_no_two_tasks_hold_one_slot_and_others_do_not_wait(repo: Repository, tmp_path: Path, told: Path) -> None:
    tasks = [Task(id=f"d{number}", resources=("docker",)) for number in range(4)]
    tasks += [Task(id=f"free{number}") for number in range(3)]
    run = engine_run(
        repo, tmp_path, tasks, agent=MEETS.format(work=WRITES), max_parallel=2, env_allow=["TOLD"],
        resources={"docker": 1},
    )  # fmt: skip
    assert set(states(run.go()).values()) == {"landed"}
    assert most_at_once(told, {f"d{number}" for number in range(4)}) == 1
    assert most_at_once(told, {task.id for task in tasks}) == 2, "whoever waits takes no slot"
    events = run.seen.events
    starts = [event.task for event in events if isinstance(event, AttemptStarting)]
    assert "free0" in starts[:2]
    assert [one for one in starts if one.startswith("d")] == ["d0", "d1", "d2", "d3"], "first come, first served"
    waits = [event.task for event in events if isinstance(event, ResourceQueued)]
    assert waits[0] == "d1"
    metrics = run.context.metrics()
    assert metrics["resource_waits"]["docker"]["taken"] == 4
    assert metrics["resource_waits"]["docker"]["seconds"] > 0


def test_two_slots_are_for_two(repo: Repository, tmp_path: Path, told: Path) -> None:
    tasks = [Task(id=f"g{number}", labels=("resource:gpu",)) for number in range(5)]
    agent = MEETS.format(work=WRITES)
    run = engine_run(
        repo, tmp_path, tasks, agent=agent, env_allow=["TOLD"], resources={"gpu": {"slots": 2, "scope": "machine"}}
    )
    assert set(states(run.go()).values()) == {"landed"}
    assert most_at_once(told, {task.id for task in tasks}) == 2


def test_tasks_that_need_the_same_two_things_never_lock_each_other_out(
    repo: Repository, tmp_path: Path, told: Path
) -> None:
    names = ("docker", "gpu", "licence")
    tasks = [Task(id=f"t{n}", resources=tuple(names[(n + k) % 3] for k in range(2 + n % 2))) for n in range(9)]
    run = engine_run(
        repo, tmp_path, tasks, agent=TELLS.format(work=WRITES), env_allow=["TOLD"], resources=dict.fromkeys(names, 1)
    )
    assert set(states(run.go(60)).values()) == {"landed"}
    for name in names:
        assert most_at_once(told, {task.id for task in tasks if name in task.resources}) == 1


def test_a_task_waits_for_whoever_holds_it_and_says_who(repo: Repository, tmp_path: Path) -> None:
    outsider = Outsider(repo, "docker")
    run = engine_run(repo, tmp_path, [Task(id="a", resources=("docker",))], resources={"docker": 1})
    queues: list[int] = []

    def let_go() -> None:
        queues.append(len(outsider.status().queue))
        outsider.release()

    run.seen.react = on(ResourceQueued, let_go)
    assert states(run.go()) == {"a": "landed"}
    queued, taken = (
        next(event for event in run.seen.events if isinstance(event, kind)) for kind in (ResourceQueued, ResourceTaken)
    )
    assert isinstance(queued, ResourceQueued)
    assert isinstance(taken, ResourceTaken)
    assert queued.holders[0].startswith("task outside of run other since ")
    assert (queued.task, queued.resource, queued.ahead) == ("a", "docker", 0)
    assert taken.waited_seconds > 0
    assert queues == [1]
    assert outsider.status() == LockStatus(name="docker", capacity=1), "nobody holds it, nobody waits"


def test_the_agent_has_the_tokens_of_what_its_task_holds(repo: Repository, tmp_path: Path) -> None:
    agent = 'env | grep ^MAESTRO_FENCING_TOKEN | sort > tokens.txt; git add -A; git commit -qm "tokens"'
    tasks = [Task(id="a", resources=("gpu-0", "docker"))]
    run = engine_run(repo, tmp_path, tasks, agent=agent, resources={"docker": 1, "gpu-0": 1})
    assert states(run.go()) == {"a": "landed"}
    tokens = {event.resource: event.fencing for event in run.seen.events if isinstance(event, ResourceTaken)}
    assert repo.git("show", "integration/r:tokens.txt").splitlines() == [
        f"MAESTRO_FENCING_TOKEN={max(tokens.values())}",
        f"MAESTRO_FENCING_TOKEN_DOCKER={tokens['docker']}",
        f"MAESTRO_FENCING_TOKEN_GPU_0={tokens['gpu-0']}",
    ]


def test_a_run_that_is_stopped_waits_no_longer_and_leaves_no_place_in_the_queue(
    repo: Repository, tmp_path: Path
) -> None:
    outsider = Outsider(repo, "docker")
    tasks = [Task(id="a", resources=("docker", "gpu")), Task(id="b", resources=("docker",))]
    run = engine_run(repo, tmp_path, tasks, resources={"docker": 1, "gpu": 1})

    def interrupt() -> None:
        assert run.engine is not None
        run.engine.tell(Interrupted(1, "you asked for it"))

    run.seen.react = on(ResourceQueued, interrupt, task="b")
    ended = run.go()
    assert ended.status is RunStatus.INTERRUPTED
    assert states(ended) == {"a": "pending", "b": "pending"}
    assert ended.queued == {}
    assert outsider.status().queue == ()
    outsider.release()
    assert outsider.status().holders == ()


def test_what_lies_idle_gives_way_to_an_agent_that_the_task_waits_for(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only slot of the run is an agent's, who needs a lock that a task holds which waits for that very slot."""
    monkeypatch.setattr(reserving, "GIVE_WAY_SECONDS", 0.05)
    outsider = Outsider(repo, "docker")
    release, agent_done = tmp_path / "release", tmp_path / "agent-done"
    agent = (
        f'if [ "$MAESTRO_TASK_ID" = agent ]; then touch {release}; '
        f"while [ ! -e {agent_done} ]; do sleep 0.02; done; fi; {WRITES}"
    )
    tasks = [Task(id="holder", resources=("docker",), priority=0), Task(id="agent", priority=1)]
    run = engine_run(repo, tmp_path, tasks, agent=agent, max_parallel=1, resources={"docker": 1})

    async def ask_for_the_lock() -> None:
        lock: Lock = await acquire(outsider.folder, outsider.resource, Who(task="agent", run="r"))
        lock.release()
        agent_done.touch()

    asking: list[asyncio.Task[None]] = []

    def react(event: Event) -> None:
        if isinstance(event, AttemptStarting) and event.task == "agent":
            outsider.release()  # the holder has it now, and finds the run's slot taken
        if isinstance(event, ResourceTaken) and not asking:
            asking.append(asyncio.ensure_future(ask_for_the_lock()))

    run.seen.react = react
    assert states(run.go()) == {"holder": "landed", "agent": "landed"}
    starts = [event.task for event in run.seen.events if isinstance(event, AttemptStarting)]
    assert starts == ["agent", "holder"]
    taken = [event for event in run.seen.events if isinstance(event, ResourceTaken)]
    assert [event.task for event in taken] == ["holder", "holder"], "it gave way, and came to its turn again"


def test_what_waits_for_more_gives_way_to_an_agent_that_has_it(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`both` has docker and waits for gpu; the agent that has gpu runs a command under docker."""
    monkeypatch.setattr(reserving, "GIVE_WAY_SECONDS", 0.05)
    agent_done, folder = tmp_path / "agent-done", folder_of(Resource("docker").scope, repo.path, None, os.environ)
    agent = (
        f'if [ "$MAESTRO_TASK_ID" = agent ]; then n=0; while [ ! -e {agent_done} ]; do '
        f"[ $((n+=1)) -lt 1000 ] || exit 1; sleep 0.02; done; fi; {WRITES}"
    )
    tasks = [Task(id="agent", resources=("gpu",), priority=0), Task(id="both", resources=("docker", "gpu"), priority=1)]
    run = engine_run(repo, tmp_path, tasks, agent=agent, max_parallel=2, resources={"docker": 1, "gpu": 1})

    async def ask_for_the_lock() -> None:
        lock: Lock = await acquire(folder, Resource("docker"), Who(task="agent", run="r"))
        lock.release()
        agent_done.touch()

    asking: list[asyncio.Task[None]] = []

    def ask() -> None:
        asking.append(asyncio.ensure_future(ask_for_the_lock()))

    run.seen.react = on(ResourceQueued, ask, task="both", resource="gpu")
    assert states(run.go()) == {"agent": "landed", "both": "landed"}
    assert [one.resource for one in run.seen.events if isinstance(one, ResourceTaken) and one.task == "both"] == [
        "docker",
        "docker",
        "gpu",
    ]
    assert run.context.recorder.run.queued == {}
    assert status(folder, Resource("docker")) == LockStatus("docker", 1)


def test_what_waits_for_more_keeps_what_it_has_from_tasks_that_wait_too(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come after it; or it would begin again and again."""
    monkeypatch.setattr(reserving, "GIVE_WAY_SECONDS", 0.05)
    agent = f'if [ "$MAESTRO_TASK_ID" = agent ]; then sleep 1; fi; {WRITES}'
    tasks = [
        Task(id="agent", resources=("gpu",), priority=0),
        Task(id="both", resources=("docker", "gpu"), priority=1),
        Task(id="later", resources=("docker",), priority=2),
    ]
    run = engine_run(repo, tmp_path, tasks, agent=agent, max_parallel=3, resources={"docker": 1, "gpu": 1})
    assert set(states(run.go()).values()) == {"landed"}
    taken = [(one.task, one.resource) for one in run.seen.events if isinstance(one, ResourceTaken)]
    assert [one for one in taken if one[0] != "agent"] == [("both", "docker"), ("both", "gpu"), ("later", "docker")]


LIMIT = 4.0
"""Of a gate: a busy machine needs a second to start a shell."""


def test_a_gate_holds_tests_and_its_wait_is_no_part_of_its_time(repo: Repository, tmp_path: Path) -> None:
    outsider = Outsider(repo, "tests")
    run = engine_run(repo, tmp_path, [Task(id="a")], test_command="echo '1 passed'", test_timeout=LIMIT)
    loop_calls: list[float] = []

    def let_go_late() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(LIMIT + 0.5, outsider.release)
        loop_calls.append(loop.time())

    run.seen.react = on(ResourceQueued, let_go_late, task=None)
    assert states(run.go()) == {"a": "landed"}
    assert loop_calls
    (taken,) = [event for event in run.seen.events if isinstance(event, ResourceTaken)]
    assert taken.waited_seconds >= LIMIT
    metrics = run.context.metrics()
    assert metrics["resource_waits"]["tests"]["taken"] == 1
    assert metrics["gate_seconds"] < LIMIT + 0.5, "the wait is no part of the gate's time"
    assert outsider.status().holders == ()


def test_nothing_is_said_of_a_gate_that_need_not_wait(repo: Repository, tmp_path: Path) -> None:
    holders = tmp_path / "holders"
    folder = folder_of(Resource("tests").scope, repo.path, None, os.environ)
    run = engine_run(
        repo, tmp_path, [Task(id="a")], test_command=f"ls {folder}/tests/holders > {holders}; echo '1 passed'"
    )
    assert states(run.go()) == {"a": "landed"}
    assert holders.read_text().strip(), "the gate ran while somebody held tests"
    assert not [event for event in run.seen.events if isinstance(event, ResourceQueued | ResourceTaken)]


def test_a_gate_that_waits_is_stopped_with_its_run(repo: Repository, tmp_path: Path) -> None:
    outsider = Outsider(repo, "tests")
    run = engine_run(repo, tmp_path, [Task(id="a")], test_command="echo '1 passed'")

    def interrupt() -> None:
        assert run.engine is not None
        run.engine.tell(Interrupted(2, "you asked for it"))

    run.seen.react = on(ResourceQueued, interrupt, task=None)
    assert run.go().status is RunStatus.INTERRUPTED
    assert [event for event in run.seen.events if isinstance(event, GateStarted)]
    assert outsider.status().queue == ()
    outsider.release()


def test_a_resource_is_given_back_where_its_attempt_fails(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="bad", resources=("docker",), priority=0), Task(id="good", resources=("docker",))]
    agent = f'[ "$MAESTRO_TASK_ID" = good ] || exit 3; {WRITES}'
    run = engine_run(repo, tmp_path, tasks, agent=agent, attempts=2, resources={"docker": 1})
    assert states(run.go()) == {"bad": "failed", "good": "landed"}
    assert len([event for event in run.seen.events if isinstance(event, AttemptEnded)]) == 3


def test_a_task_whose_resource_cannot_be_had_is_blocked_and_the_others_go_on(repo: Repository, tmp_path: Path) -> None:
    folder = folder_of(Resource("docker").scope, repo.path, None, os.environ)
    (folder / "docker").write_text("a file is in the way")
    tasks = [Task(id="a", resources=("docker",)), Task(id="after", dependencies=("a",)), Task(id="b")]
    run = engine_run(repo, tmp_path, tasks, resources={"docker": 1})
    ended = run.go()
    assert states(ended) == {"a": "blocked", "after": "blocked", "b": "landed"}
    assert "its resource docker cannot be had: " in ended.tasks["a"].reason
