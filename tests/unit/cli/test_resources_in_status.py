"""`maestro status`, and the doctor, say who holds a named resource and who waits for it (I-7)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maestro.model.events import ResourceQueued
from maestro.resources.locks.acquire import acquire
from maestro.resources.locks.base import Resource, Scope, Who
from maestro.resources.locks.place import folder_of
from maestro.resources.locks.queue import Turn
from maestro.store.layout import Layout
from maestro.testing.story import at, started


@contextmanager
def held_and_wanted(layout: Layout, name: str, scope: Scope = Scope.REPO, run: str | None = "r1") -> Iterator[None]:
    resource = Resource(name, scope=scope)
    folder = folder_of(scope, layout.repository, run, os.environ)
    held = asyncio.run(acquire(folder, resource, Who(task="a", run=run)))
    turn = Turn(folder, resource, Who(what="pytest"), os.environ)
    try:
        turn.advance()
        yield
    finally:
        turn.leave()
        held.release()


def test_nothing_is_said_and_made_where_nobody_holds_anything(cli: Any, layout: Layout) -> None:
    assert cli("status").out == "No run yet.\n"
    assert not layout.locks.exists()


def test_who_holds_what_and_who_waits(cli: Any, layout: Layout) -> None:
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.config.write_text("[resources]\ndocker = 2\n")
    with held_and_wanted(layout, "docker"):
        (one,) = cli("status", "--json").json()["resources"]
        assert (one["name"], one["scope"], one["capacity"]) == ("docker", "repo", 2)
        assert [(holder["task"], holder["run"], holder["pid"]) for holder in one["holders"]] == [
            ("a", "r1", os.getpid())
        ]
        assert [waiter["pid"] for waiter in one["queue"]] == [os.getpid()]
        (line,) = [line for line in cli("status").out.splitlines() if line.startswith("Resource")]
        assert line.startswith("Resource docker: held by task a of run r1 since ")
        assert line.endswith(f"; waiting: process {os.getpid()}")
    assert "resources" not in cli("status", "--json").json()


def test_a_configuration_in_no_good_state_hides_nothing(cli: Any, layout: Layout) -> None:
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.config.write_text("max_parallel = 0\n")
    with held_and_wanted(layout, "docker"):
        assert [one["name"] for one in cli("status", "--json").json()["resources"]] == ["docker"]


def test_of_the_machine_only_what_is_configured_here(cli: Any, layout: Layout) -> None:
    layout.root.mkdir(parents=True, exist_ok=True)
    with held_and_wanted(layout, "gpu", Scope.MACHINE):
        assert "resources" not in cli("status", "--json").json()
        layout.config.write_text('[resources]\ngpu = { scope = "machine" }\n')
        assert [one["scope"] for one in cli("status", "--json").json()["resources"]] == ["machine"]


def test_a_run_that_waits_says_for_what(
    cli: Any, layout: Layout, write_run: Callable[..., Path], alive: Callable[[str], None]
) -> None:
    held_by = ("task x of run q since 12:00:00Z",)
    waits = [ResourceQueued(at=at(1), resource="docker", task="a", holders=held_by, ahead=1)]
    waits.append(ResourceQueued(at=at(2), resource="tests", holders=held_by))
    write_run("r1", [started(), *waits])
    assert "waits" not in cli("status", "--run-id", "r1", "--json").json()
    alive("r1")
    with held_and_wanted(layout, "gpu", Scope.RUN):
        said = cli("status", "--run-id", "r1", "--json").json()
        out = cli("status", "--run-id", "r1").out
    assert [(one["task"], one["resource"], one["words"]) for one in said["waits"]] == [
        ("a", "docker", "waits for docker, held by task x of run q since 12:00:00Z; one waits before it"),
        (None, "tests", "waits for tests, held by task x of run q since 12:00:00Z"),
    ]
    assert [(one["name"], one["run_id"]) for one in said["resources"]] == [("gpu", "r1")]
    assert "The gate waits for tests, held by task x of run q" in out
    assert "Resource gpu: held by task a of run r1" in out
    assert "a  pending  0 attempts    waits for docker, held by" in out


def test_the_doctor_says_which_there_are_and_who_has_one(cli: Any, layout: Layout) -> None:
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.config.write_text("[resources]\ndocker = 2\n")
    with held_and_wanted(layout, "docker"):
        found = [one["detail"] for one in cli("doctor", "--json").json()["checks"] if one["name"] == "resources"]
    assert found[0] == "tests (1 slot, repo), docker (2 slots, repo)"
    assert found[1].startswith("Resource docker: held by task a of run r1 since ")
