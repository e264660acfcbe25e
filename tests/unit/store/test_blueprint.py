"""What a run was told to do comes back as it was."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from maestro.config.settings import Settings
from maestro.errors import StateError
from maestro.model.plan import PlanOptions
from maestro.model.task import Task
from maestro.planning.plan import make_plan
from maestro.store.blueprint import Blueprint, read_blueprint, write_blueprint


def a_blueprint(**settings: object) -> Blueprint:
    tasks = [
        Task(
            id="a", title="first", files=("odd-\udcff.txt",), context={"deep": [1, {"x": None}]}, estimate_minutes=2.5
        ),
        Task(id="b", description="[P:Group-X]", dependencies=("a",)),
    ]
    return Blueprint(
        run_id="r",
        token="12ab",
        settings=Settings.model_validate({"agent": "command", "agent_command": "true", **settings}),
        plan=make_plan(tasks, PlanOptions()),
        base="0" * 40,
        base_branch="main",
        root=Path("/w/r"),
        tracker_kind="taskfile",
        tracker_identity="taskfile:/x",
        done_before={"z": None},
    )


def test_it_comes_back(tmp_path: Path) -> None:
    blueprint = a_blueprint(copy=[".env"], workspace_root="/w", tasks_file="t-\udcff.json", keywords={"x": ["y"]})
    write_blueprint(tmp_path / "b.json", blueprint)
    assert read_blueprint(tmp_path / "b.json") == blueprint


def test_options_of_adapters_and_servers_are_not_kept(tmp_path: Path) -> None:
    secret = "sk-planted-secret"
    blueprint = a_blueprint(agents={"claude": {"x": secret}}, mcp_servers={"s": {"env": {"K": secret}}})
    write_blueprint(tmp_path / "b.json", blueprint)
    assert secret not in (tmp_path / "b.json").read_text()
    assert stat.S_IMODE((tmp_path / "b.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 7}', '{"version": 1}', '{"version": 1, "plan": 3}'])
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(StateError) as caught:
        read_blueprint(tmp_path / "b.json")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_run_without_one_is_of_an_older_maestro(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="older maestro"):
        read_blueprint(tmp_path / "b.json")


def test_an_unknown_setting_is_damage(tmp_path: Path) -> None:
    write_blueprint(tmp_path / "b.json", a_blueprint())
    values = json.loads((tmp_path / "b.json").read_text())
    values["settings"]["of_tomorrow"] = 1
    (tmp_path / "b.json").write_text(json.dumps(values))
    with pytest.raises(StateError, match="damaged"):
        read_blueprint(tmp_path / "b.json")
