"""Options that several commands share. What the user did not give stays out, so that the configuration can speak."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from maestro.cli.app import App

F = TypeVar("F", bound=Callable[..., Any])

TRACKERS = ("auto", "beads", "taskmaster", "markdown", "epic", "taskfile", "todos")
SCHEDULES = ("auto", "stages", "levels", "dataflow")
WORKSPACES = ("worktree", "clone", "copy", "none")


def complete_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG001
    """Let the shell complete names of files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def complete_folder(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG001
    """Let the shell complete names of folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


_AT_LEAST_ONE = click.IntRange(min=1)
_SECONDS = click.FloatRange(min=0, min_open=True)

PLAN_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--tasks-file",
        {
            "metavar": "FILE",
            "help": "The backlog as JSON, JSONL, YAML or markdown; - is standard input.",
            "shell_complete": complete_file,
        },
    ),
    (
        "--todos",
        {
            "metavar": "FILE",
            "help": "A session's list of todos as JSON is the backlog; - is standard input.",
            "shell_complete": complete_file,
        },
    ),
    ("--tracker", {"type": click.Choice(TRACKERS), "help": "Where the backlog is kept (default: auto)."}),
    ("--group-id", {"multiple": True, "metavar": "X", "help": "Only this group; may be given several times."}),
    ("--epic", {"metavar": "ID", "help": "beads: only what is below this issue."}),
    (
        "--label",
        {"multiple": True, "metavar": "L", "help": "beads: only issues with this label; repeatable, all must fit."},
    ),
    ("--schedule", {"type": click.Choice(SCHEDULES), "help": "When a task may start (default: auto)."}),
    ("--allow-overlap", {"is_flag": True, "help": "Let tasks that write the same file run at once."}),
    ("--keep-going", {"is_flag": True, "help": "After a failure, block only what depends on it."}),
    ("--max-parallel", {"type": _AT_LEAST_ONE, "metavar": "N", "help": "At most N agents at once."}),
)

_USD = {"type": click.FloatRange(min=0, min_open=True), "metavar": "USD"}
_TOKENS = {"type": _AT_LEAST_ONE, "metavar": "N"}

BUDGET_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--budget", {**_USD, "help": "US dollars the run may cost: then nothing new starts."}),
    ("--budget-tokens", {**_TOKENS, "help": "Tokens the run may use."}),
    ("--budget-seconds", {"type": _SECONDS, "metavar": "SECONDS", "help": "Wall time the run may start tasks for."}),
    ("--day-budget", {**_USD, "help": "US dollars all runs here may cost since midnight."}),
    ("--day-budget-tokens", {**_TOKENS, "help": "Tokens all runs here may use since midnight."}),
    ("--attempt-budget", {**_USD, "help": "US dollars one attempt may cost: then it is stopped."}),
    ("--attempt-budget-tokens", {**_TOKENS, "help": "Tokens one attempt may use."}),
)
"""The budgets of A-7; a run that one of them stopped is resumed with a larger one."""

RUN_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    *PLAN_OPTIONS,
    ("--agent", {"metavar": "NAME", "help": "The agent: claude, command … (default: claude)."}),
    ("--agent-command", {"metavar": "CMD", "help": "Any command line as the agent, run by sh -c."}),
    ("--attempts", {"type": _AT_LEAST_ONE, "metavar": "N", "help": "Tries per task (default: 2)."}),
    ("--task-timeout", {"type": _SECONDS, "metavar": "SECONDS", "help": "Limit of one attempt (default: 7200)."}),
    *BUDGET_OPTIONS,
    ("--test-command", {"metavar": "CMD", "help": "The check before landing, run by sh -c (default: found)."}),
    ("--no-tests", {"is_flag": True, "help": "Land without a check."}),
    ("--test-timeout", {"type": _SECONDS, "metavar": "SECONDS", "help": "Limit of the check (default: 1800)."}),
    ("--integration-base-branch", {"metavar": "B", "help": "The branch to start from (default: main)."}),
    ("--land-on-base", {"is_flag": True, "help": "At the end, move that branch to the result."}),
    ("--workspace", {"type": click.Choice(WORKSPACES), "help": "Where an attempt works (default: worktree)."}),
    (
        "--workspace-root",
        {"metavar": "DIR", "help": "The folder that holds the workspaces.", "shell_complete": complete_folder},
    ),
    ("--write-back", {"is_flag": True, "help": "Keep progress in the task file itself."}),
)
"""The flags of C-1a, each with a key and a variable of the same name; `--todos` is short for two of them."""


_CHANGEABLE = frozenset({
    "--keep-going", "--max-parallel", "--agent", "--agent-command", "--attempts", "--task-timeout",
    "--test-command", "--no-tests", "--test-timeout",
})  # fmt: skip

RESUME_OPTIONS = tuple(option for option in RUN_OPTIONS if option[0] in _CHANGEABLE) + BUDGET_OPTIONS
"""What a run may be told differently when it goes on; its tasks, branches and workspaces are what they were."""


def resume_options(function: F) -> F:
    """The flags of a run that goes on; the command gets `flags`, those the user gave."""
    return _with_flags(function, RESUME_OPTIONS)


def plan_options(function: F) -> F:
    """The flags that choose and order tasks; the command gets `flags`, those the user gave."""
    return _with_flags(function, PLAN_OPTIONS)


def run_options(function: F) -> F:
    """All flags of C-1a, and `run_id`, which is no setting; the command gets `flags`, those the user gave."""
    return _with_run_id(_with_flags(function, RUN_OPTIONS))


def delegate_options(function: F) -> F:
    """The same where the agent is settled: another is understood, so that it can be refused in words, and not
    offered."""
    hidden = {"--agent", "--agent-command"}
    options = tuple((name, {**attributes, "hidden": name in hidden}) for name, attributes in RUN_OPTIONS)
    return _with_run_id(_with_flags(function, options))


def _with_run_id(function: F) -> F:
    return click.option("--run-id", metavar="ID", help="Name of the run (default: one from date and time).")(function)


def _with_flags(function: F, options: tuple[tuple[str, dict[str, Any]], ...]) -> F:
    names = [name.removeprefix("--").replace("-", "_") for name, _ in options]

    @functools.wraps(function)
    def collecting(*args: Any, **given: Any) -> Any:
        asked = {name: given.pop(name) for name in names}
        flags = {name: value for name, value in asked.items() if value not in (None, ())}
        return function(*args, flags=_with_todos(flags), **given)

    wrapped: Any = collecting
    for name, attributes in reversed(options):
        wrapped = click.option(name, **{"default": None, **attributes})(wrapped)
    result: F = wrapped
    return result


def _with_todos(flags: dict[str, Any]) -> dict[str, Any]:
    """`--todos FILE` is a file and what it holds, in one word (T-7)."""
    if "todos" not in flags:
        return flags
    if "tasks_file" in flags or flags.get("tracker", "todos") != "todos":
        raise click.UsageError("--todos and --tasks-file or another --tracker exclude each other")
    rest = {name: value for name, value in flags.items() if name != "todos"}
    return {**rest, "tasks_file": flags["todos"], "tracker": "todos"}


def output_options(function: F) -> F:
    """`--json` and `--quiet`, understood before and after the command's name."""
    function = click.option(
        "--quiet", "-q", is_flag=True, expose_value=False, callback=_set_quiet, help="Leave out words for people."
    )(function)
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Answer with one JSON object."
    )(function)


def _set_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _app(ctx).output.quiet = True


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _app(ctx).output.as_json = True


def _app(ctx: click.Context) -> App:
    app: App = ctx.find_object(App)  # type: ignore[assignment]  # the boundary always puts one there
    return app
