"""What each tool takes: checked values, and the JSON schema that a client is shown of them.

A field that is left out, or null, was not given: then the configuration of the repository speaks (C-7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from maestro.config.settings import Tracker, WorkspaceKind
from maestro.errors import BadInput
from maestro.model.note import NOTE_LENGTH
from maestro.model.record import Record

WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 50.0
"""Well under the minute after which many clients give a call up."""


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic would take true for 1
        raise ValueError("a number is needed, not true or false")
    return value


Count = Annotated[int, Field(ge=1), BeforeValidator(_no_truth)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_truth)]
Money = Seconds
Timeout = Annotated[float, Field(ge=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False), BeforeValidator(_no_truth)]
Name = Annotated[str, Field(min_length=1, max_length=300)]
Path = Annotated[str, Field(min_length=1, max_length=4096)]
Command = Annotated[str, Field(min_length=1, max_length=100_000)]
Names = Annotated[tuple[Name, ...], Field(max_length=1000)]
Schedule = Literal["auto", "stages", "levels", "dataflow"]
Scope = Literal["run", "repo", "machine"]
Status = Literal["done", "failed", "blocked", "no_change"]
NotGiven = SkipJsonSchema[None]


class Input(Record):
    """What every tool takes."""

    repository: Path | NotGiven = Field(
        None, description="A directory in the git repository. Default: where the server was started."
    )


class PlanInput(Input):
    """The flags of `maestro plan`, by their keys."""

    tasks_file: Path | NotGiven = Field(None, description="The backlog as JSON, JSONL, YAML or markdown.")
    todos: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=10_000)] | NotGiven = Field(
        None,
        description="The backlog itself, in place of a file: todos (content, status) or tasks (id, title, description, "
        "dependencies, files, priority, group).",
    )
    tracker: Tracker | NotGiven = Field(None, description="Where the backlog is kept. Default: found.")
    group_id: Names | NotGiven = Field(None, description="Only these parallel groups.")
    epic: Name | NotGiven = Field(None, description="beads: only what is below this issue.")
    label: Names | NotGiven = Field(None, description="beads: only issues that have all of these labels.")
    schedule: Schedule | NotGiven = Field(
        None,
        description="When a task may start: stages (marker groups one after the other), levels (of the dependency "
        "graph), dataflow (as soon as what it depends on has landed). Default: auto, by the markers.",
    )
    allow_overlap: bool | NotGiven = Field(None, description="Let tasks that write the same file run at once.")
    keep_going: bool | NotGiven = Field(None, description="After a failure, block only what depends on it.")
    max_parallel: Count | NotGiven = Field(None, description="At most so many agents at once.")

    @model_validator(mode="after")
    def _one_backlog(self) -> PlanInput:
        if self.tasks_file == "-":
            raise ValueError("tasks_file cannot be standard input here: give the tasks as todos")
        if self.todos is not None and (self.tasks_file is not None or self.tracker not in (None, "todos")):
            raise ValueError("todos are a backlog of their own: give neither tasks_file nor tracker with them")
        return self

    def flags(self) -> dict[str, Any]:
        """What was given, as keys and values of the configuration."""
        beside = {"repository", "todos", "run_id"}
        given = self.model_dump(exclude=beside, exclude_none=True)
        return given | ({"tasks_file": "-"} if self.todos is not None else {})


class RunInput(PlanInput):
    """The flags of `maestro run`, by their keys."""

    agent: Name | NotGiven = Field(None, description="Who does the tasks: claude, codex, command … Default: claude.")
    agent_command: Command | NotGiven = Field(
        None, description="Any command line as the agent, run by sh -c in the workspace."
    )
    attempts: Count | NotGiven = Field(None, description="Tries per task. Default: 2.")
    task_timeout: Seconds | NotGiven = Field(None, description="Seconds that one attempt may take. Default: 7200.")
    budget: Money | NotGiven = Field(None, description="US dollars the run may cost: then nothing new starts.")
    budget_tokens: Count | NotGiven = Field(None, description="Tokens the run may use.")
    budget_seconds: Seconds | NotGiven = Field(None, description="Wall time the run may start tasks for.")
    day_budget: Money | NotGiven = Field(None, description="US dollars all runs here may cost since midnight.")
    day_budget_tokens: Count | NotGiven = Field(None, description="Tokens all runs here may use since midnight.")
    attempt_budget: Money | NotGiven = Field(None, description="US dollars one attempt may cost.")
    attempt_budget_tokens: Count | NotGiven = Field(None, description="Tokens one attempt may use.")
    test_command: Command | NotGiven = Field(
        None, description="The check of the combined result before landing, run by sh -c. Default: found."
    )
    no_tests: bool | NotGiven = Field(None, description="Land without a check.")
    test_timeout: Seconds | NotGiven = Field(None, description="Seconds that the check may take. Default: 1800.")
    integration_base_branch: Name | NotGiven = Field(None, description="The branch to start from. Default: main.")
    land_on_base: bool | NotGiven = Field(None, description="At the end, move that branch to the result.")
    workspace: WorkspaceKind | NotGiven = Field(None, description="Where an attempt works. Default: worktree.")
    workspace_root: Path | NotGiven = Field(None, description="The folder that holds the workspaces.")
    write_back: bool | NotGiven = Field(None, description="Keep progress in the task file itself.")
    run_id: Name | NotGiven = Field(None, description="Name of the run. Default: one from date and time.")


class StatusInput(Input):
    """The flags of `maestro status`."""

    run_id: Name | NotGiven = Field(None, description="This run. Default: the newest ten in brief.")
    group_id: Name | NotGiven = Field(None, description="This parallel group.")


class WaitInput(Input):
    """The flags of `maestro wait`."""

    run_id: Name | NotGiven = Field(None, description="This run.")
    group_id: Name | NotGiven = Field(None, description="This parallel group.")
    timeout: Timeout = Field(
        WAIT_SECONDS, description="Seconds to wait at most; then the answer has timed_out true: call again."
    )


class NoteInput(Input):
    """The flags of `maestro note`."""

    text: Annotated[str, Field(min_length=1, max_length=NOTE_LENGTH)] = Field(description="What others should know.")
    to_task: Name | NotGiven = Field(None, description="For this task. Default: for all that start later.")
    from_task: Name | NotGiven = Field(None, description="The task that says so. Default: nobody's, a person's.")
    run_id: Name | NotGiven = Field(None, description="Which run. Default: the only one that is under way.")


class LockInput(Input):
    """The flags of `maestro lock`."""

    name: Name = Field(description="The resource, such as tests.")
    command: Command | NotGiven = Field(
        None, description="Run this by sh -c when the resource is free. Default: only say who holds it and who waits."
    )
    call: Name | NotGiven = Field(None, description="Go on waiting for a command: the `call` of an earlier answer.")
    scope: Scope | NotGiven = Field(None, description="Among whom. Default: as configured, else repo.")
    limit: Seconds | NotGiven = Field(None, description="Stop the command after so many seconds. Default: 900.")
    wait: Seconds | NotGiven = Field(
        None, description="Wait for the resource so many seconds at most: then exit code 124."
    )
    timeout: Timeout = Field(
        WAIT_SECONDS, description="Seconds this call may take; then timed_out is true: call again with `call`."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> LockInput:
        if self.call is not None and self.command is not None:
            raise ValueError("command starts one and call waits for one that was started: give one of them")
        if self.command is None and (self.limit is not None or self.wait is not None):
            raise ValueError("limit and wait are for a command: give one")
        return self


class ReportInput(Input):
    """The flags of `maestro report`."""

    task: Name | NotGiven = Field(None, description="Whose report it is. Default: the task of the calling agent.")
    status: Status = Field(
        description="How it went: done, failed, blocked (a person is needed) or no_change (nothing had to change)."
    )
    summary: Annotated[str, Field(max_length=100_000)] = Field("", description="What was done, or why not.")
    confidence: Annotated[float, Field(ge=0, le=1)] | NotGiven = Field(None, description="How sure the agent is.")
    notes: Annotated[tuple[str, ...], Field(max_length=100)] = Field((), description="What the next one should know.")
    discovered: Annotated[tuple[dict[str, Any], ...], Field(max_length=100)] = Field(
        (), description="Work found and left alone: objects with title, and perhaps description, kind and priority."
    )
    run_id: Name | NotGiven = Field(None, description="Which run. Default: the one that waits for this report.")
    attempt: Count | NotGiven = Field(None, description="Which attempt. Default: the newest.")


def one_of(run_id: str | None, group_id: str | None, *, needed: bool) -> None:
    """BadInput where both are given, or none and one is needed."""
    if run_id is not None and group_id is not None:
        raise BadInput("run_id and group_id exclude each other")
    if needed and run_id is None and group_id is None:
        raise BadInput("nothing to wait for is named", hint="give run_id or group_id")


def read_input(takes: type[Input], arguments: Mapping[str, Any]) -> Input:
    """The arguments of a call, checked; BadInput says which is wrong and what was expected."""
    try:
        return takes.model_validate(dict(arguments))
    except ValidationError as error:
        raise BadInput(_in_words(error, takes), hint="see the input schema of the tool") from error


def _in_words(error: ValidationError, takes: type[Input]) -> str:
    first = error.errors()[0]
    # between a field and an index stand names of types, which mean nothing to a caller
    where = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in takes.model_fields)
    match first["type"]:
        case "extra_forbidden":
            return f"there is no argument {'.'.join(map(str, first['loc']))}"
        case "missing":
            return f"the argument {where} is missing"
        case "tuple_type":
            return f"{where}: input should be a list"
        case "dict_type":
            return f"{where}: input should be an object"
    said = first["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    return f"{where}: {said}" if where else said


def schema_of(takes: type[Input]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, without what says nothing to a reader."""
    schema = takes.model_json_schema()
    for field in schema["properties"].values():
        field.pop("title", None)
        if field.get("default", "") is None:
            del field["default"]
    return {key: value for key, value in schema.items() if key not in ("title", "description")}
