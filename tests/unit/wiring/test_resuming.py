"""Which run is resumed, and with which settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro.config.load import load_settings
from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.model.plan import PlanOptions
from maestro.model.task import Task
from maestro.planning.plan import make_plan
from maestro.store.blueprint import Blueprint, write_blueprint
from maestro.store.claims import claim
from maestro.store.layout import Layout
from maestro.wiring.deadruns import beside_dead_runs, is_unfinished
from maestro.wiring.resuming import choose_run, settings_to_go_on_with


def blueprint_of(run_id: str, **settings: Any) -> Blueprint:
    return Blueprint(
        run_id=run_id,
        token="12ab",
        settings=Settings.model_validate({"agent": "command", "agent_command": "true", **settings}),
        plan=make_plan([Task(id="a"), Task(id="b")], PlanOptions()),
        base="0" * 40,
        base_branch="main",
        root=Path("/w"),
        tracker_kind="taskfile",
        tracker_identity="taskfile:t",
    )


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def leave(layout: Layout, run_id: str, status: str | None) -> None:
    """A run that nobody works on: it died, or ended with a status."""
    write_blueprint(layout.blueprint(run_id), blueprint_of(run_id))
    if status is not None:
        layout.summary(run_id).write_text(json.dumps({"run_id": run_id, "status": status}))


def flags_of(**flags: Any) -> Settings:
    return load_settings(None, None, {}, flags).settings


@pytest.mark.parametrize(
    ("status", "unfinished"),
    [(None, True), ("interrupted", True), ("blocked", True), ("completed", False), ("failed", False)],
)
def test_what_is_unfinished(layout: Layout, status: str | None, unfinished: bool) -> None:
    leave(layout, "r", status)
    assert is_unfinished(layout, "r") is unfinished


def test_the_only_unfinished_run_is_meant(layout: Layout) -> None:
    leave(layout, "done", "completed")
    leave(layout, "died", None)
    assert choose_run(layout, None) == "died"


def test_with_two_of_them_one_must_be_named(layout: Layout) -> None:
    leave(layout, "one", None)
    leave(layout, "two", "blocked")
    with pytest.raises(BadInput, match="2 runs here are unfinished: one, two"):
        choose_run(layout, None)
    assert choose_run(layout, "two") == "two"


def test_none_to_go_on_with_is_said(layout: Layout) -> None:
    with pytest.raises(BadInput, match="no run here is unfinished"):
        choose_run(layout, None)
    with pytest.raises(BadInput, match="there is no run nope"):
        choose_run(layout, "nope")


def test_a_run_goes_on_with_the_settings_of_its_start_but_for_what_is_said() -> None:
    blueprint = blueprint_of("r", max_parallel=2, attempts=5)
    flags = {"max_parallel": 7}
    settings, changed = settings_to_go_on_with(blueprint, flags_of(**flags), flags)
    assert (settings.max_parallel, settings.attempts, settings.agent_command) == (7, 5, "true")
    assert changed == {"max_parallel": "7"}


@pytest.mark.parametrize(
    ("began", "flags", "ends"),
    [
        ({"no_tests": True}, {"test_command": "make"}, (False, "make")),
        ({"test_command": "make"}, {"no_tests": True}, (True, None)),
        ({"test_command": "make"}, {"test_command": "make check"}, (False, "make check")),
    ],
)
def test_what_excludes_each_other_is_put_out(
    began: dict[str, Any], flags: dict[str, Any], ends: tuple[bool, str | None]
) -> None:
    settings, _ = settings_to_go_on_with(blueprint_of("r", **began), flags_of(**flags), flags)
    assert (settings.no_tests, settings.test_command) == ends


def test_what_may_hold_secrets_is_taken_as_it_is_now() -> None:
    now = Settings.model_validate({"agents": {"claude": {"model": "new"}}, "attempts": 9})
    settings, changed = settings_to_go_on_with(blueprint_of("r", agents={"claude": {"model": "old"}}), now, {})
    assert (settings.agents, settings.attempts) == ({"claude": {"model": "new"}}, 2)
    assert changed == {}


def test_a_dead_run_over_the_same_tasks_is_spoken_of(layout: Layout) -> None:
    leave(layout, "died", None)
    (remark,) = beside_dead_runs(layout, "taskfile:t", ["a"])
    assert "`maestro resume --run-id died` would go on with it" in remark
    assert beside_dead_runs(layout, "taskfile:t", ["z"]) == ()
    assert beside_dead_runs(layout, "taskfile:other", ["a"]) == ()


def test_a_run_that_lives_is_not_dead(layout: Layout) -> None:
    leave(layout, "r", None)
    held = claim(layout.locks, run_id="r", since="now", backlog="taskfile:t", tasks=["a"], groups=[])
    try:
        assert beside_dead_runs(layout, "taskfile:t", ["a"]) == ()
        assert not is_unfinished(layout, "r")
    finally:
        held.release()
