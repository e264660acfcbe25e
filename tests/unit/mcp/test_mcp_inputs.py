"""What the tools take is what the command line takes, and its schema tells a client all it needs."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.cli.options import PLAN_OPTIONS, RUN_OPTIONS
from maestro.config.load import KEYS
from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.mcp.inputs import Input, PlanInput, RunInput, read_input, schema_of
from maestro.mcp.tools import TOOLS


def keys(options: tuple[tuple[str, dict[str, Any]], ...]) -> set[str]:
    return {name.removeprefix("--").replace("-", "_") for name, _ in options}


def test_plan_and_run_take_every_flag_and_nothing_else() -> None:
    assert set(PlanInput.model_fields) == keys(PLAN_OPTIONS) | {"repository", "todos"}
    assert set(RunInput.model_fields) == keys(RUN_OPTIONS) | {"repository", "todos", "run_id"}
    assert keys(RUN_OPTIONS) - {"todos"} <= set(KEYS)


@pytest.mark.parametrize("name", TOOLS)
def test_a_schema_is_plain_and_explains_every_argument(name: str) -> None:
    schema = TOOLS[name].schema
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert "$defs" not in schema
    for argument, field in schema["properties"].items():
        assert field["description"].endswith("."), argument
        assert field["type"] in ("string", "integer", "number", "boolean", "array"), argument
        if field["type"] == "string":
            assert "maxLength" in field or "enum" in field, argument
        if field["type"] == "array":
            assert "maxItems" in field, argument


def test_what_has_no_default_is_required() -> None:
    required = {name: tool.schema.get("required", []) for name, tool in TOOLS.items()}
    assert {name: fields for name, fields in required.items() if fields} == {
        "note": ["text"],
        "lock": ["name"],
        "report": ["status"],
    }


def test_what_was_not_given_leaves_the_word_to_the_configuration() -> None:
    given = read_input(
        RunInput, {"max_parallel": 2, "tracker": None, "no_tests": True, "run_id": "r", "repository": "."}
    )
    assert isinstance(given, RunInput)
    assert given.flags() == {"max_parallel": 2, "no_tests": True}
    todos = read_input(PlanInput, {"todos": [{"content": "x"}]})
    assert isinstance(todos, PlanInput)
    assert todos.flags() == {"tasks_file": "-"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_parallel": True}, "max_parallel: a number is needed, not true or false"),
        ({"max_parallel": 0}, "max_parallel: input should be greater than or equal to 1"),
        ({"task_timeout": float("inf")}, "task_timeout: input should be a finite number"),
        ({"task_timeout": 0}, "task_timeout: input should be greater than 0"),
        ({"colour": 1}, "there is no argument colour"),
        ({"tasks_file": "-"}, "tasks_file cannot be standard input here: give the tasks as todos"),
        ({"todos": [{"content": "x"}], "tasks_file": "x"}, "todos are a backlog of their own"),
        ({"todos": [1]}, "todos.0: input should be an object"),
        ({"group_id": "x"}, "group_id: input should be a list"),
        ({"group_id": ["x", ""]}, "group_id.1: string should have at least 1 character"),
        ({"tracker": "jira"}, "tracker: input should be 'auto', 'beads',"),
        ({"agent_command": ""}, "agent_command: string should have at least 1 character"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_input(RunInput, arguments)
    assert refused.value.message.startswith(words)
    assert refused.value.hint


def test_limits_hold_what_the_settings_hold() -> None:
    schema = schema_of(RunInput)["properties"]
    assert schema["attempts"]["minimum"] == 1
    assert schema["test_timeout"]["exclusiveMinimum"] == 0
    assert schema["workspace"]["enum"] == list(Settings.model_fields["workspace"].annotation.__args__)  # type: ignore[union-attr]
    assert schema_of(TOOLS["wait"].takes)["properties"]["timeout"]["maximum"] < 60
    assert issubclass(RunInput, Input)
