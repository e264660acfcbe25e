"""Every setting, with its type, limits and default. Durations are seconds unless the name says otherwise."""

# no `from __future__ import annotations`: see maestro.model.record

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from maestro.model.budget import Budgets, Kind
from maestro.model.gate import TESTS
from maestro.model.plan import ScheduleKind
from maestro.model.record import Record

Tracker = Literal["auto", "beads", "taskmaster", "markdown", "epic", "taskfile", "todos"]
WorkspaceKind = Literal["worktree", "clone", "copy", "none"]
Strategy = Literal["merge", "squash", "rebase"]
Home = Literal["user", "private"] | Path
Tool = Literal["pip", "npm", "cargo", "uv"]
Sharing = Literal["shared", "private"]
Sandbox = Literal["none", "bubblewrap"]


def _not_a_bool(value: Any) -> Any:
    # pydantic takes true for 1, so `max_parallel = true` would quietly mean one at a time
    if isinstance(value, bool):
        raise ValueError("a number")
    return value


def _one_text_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _one_limit_is_for_all(value: Any) -> Any:
    return {"*": value} if isinstance(value, int) and not isinstance(value, bool) else value


Count = Annotated[int, BeforeValidator(_not_a_bool), Field(ge=1)]
Seconds = Annotated[float, BeforeValidator(_not_a_bool), Field(gt=0, allow_inf_nan=False)]
Wait = Annotated[float, BeforeValidator(_not_a_bool), Field(ge=0, allow_inf_nan=False)]
Money = Annotated[float, BeforeValidator(_not_a_bool), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_not_a_bool), Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_text_is_a_list)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_one_text_is_a_list)]
Limits = Annotated[dict[str, Count], BeforeValidator(_one_limit_is_for_all)]


class NamedResource(Record):
    """How many may hold a named resource at once, among whom, and for how long (I-7)."""

    slots: Count = 1
    scope: Literal["run", "repo", "machine"] = "repo"
    limit: Seconds = 900.0  # of a command under `maestro lock`; an attempt and a gate have limits of their own


def _slots_alone(value: Any) -> Any:
    return {"slots": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _tests_too(value: Any) -> Any:
    """It is there whatever others are configured."""
    return {TESTS: 1, **value} if isinstance(value, dict) else value


ResourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$", max_length=60)]
Resources = Annotated[
    dict[ResourceName, Annotated[NamedResource, BeforeValidator(_slots_alone)]], BeforeValidator(_tests_too)
]


class Settings(Record):
    """What a run is told from outside (C-7). Relative paths were resolved while loading."""

    # the backlog
    tasks_file: Path | None = None  # Path("-"): standard input
    tracker: Tracker = "auto"
    group_id: Texts = ()  # empty: the whole backlog
    epic: Text | None = None  # beads: only what is below this issue
    label: Texts = ()  # beads: only issues with all of these labels
    write_back: bool = False  # progress of a task file is kept in the file itself (T-3)

    # the schedule
    schedule: ScheduleKind = ScheduleKind.AUTO
    allow_overlap: bool = False
    keep_going: bool = False
    parallel_execution: bool = True  # false: one at a time
    max_parallel: Count | None = None  # None: cores, memory and disk decide (E-4)
    agent_limits: Limits = Field(default_factory=dict)  # agent, or "*", → how many of its attempts at once
    group_parallel: Count | None = None  # tasks of one group at once
    resources: Resources = Field(default_factory=lambda: {TESTS: NamedResource()})  # name → slots, scope, limit (I-7)
    min_free_disk_mb: Annotated[int, BeforeValidator(_not_a_bool), Field(ge=0)] = 512
    min_free_memory_mb: Annotated[int, BeforeValidator(_not_a_bool), Field(ge=0)] = 512
    min_free_files: Annotated[int, BeforeValidator(_not_a_bool), Field(ge=0)] = 64  # that this process may still open
    max_load: Wait = 16.0  # per core

    # the agents
    agent: Text = "claude"
    agent_command: Text | None = None  # run by `sh -c`
    agents: dict[str, dict[str, Any]] = Field(default_factory=dict)  # options of each adapter, by its name
    keywords: dict[str, Texts] = Field(default_factory=dict)  # agent → words (P-9), in order; empty: the built-in table
    env_allow: Texts = ()  # variables agents get beyond the allow-list (I-6)
    home: Home = "user"  # HOME of agents and tests; of one agent: `home` among its options
    caches: dict[Tool, Sharing] = Field(default_factory=dict)  # of a tool not named: shared, or as HOME is the user's
    sandbox: Sandbox = "none"
    sandbox_read: Paths = ()  # what is hidden in a sandbox else: files and folders
    sandbox_write: Paths = ()
    # provider → its pool of API keys; not `keys`, by which dict() would take the settings for a mapping
    key_pools: dict[str, dict[str, Any]] = Field(default_factory=dict, alias="keys")
    attempts: Count = 2
    task_timeout: Seconds = 7200.0  # the whole attempt
    silent_timeout: Seconds = 1800.0  # no event at all
    exit_timeout: Seconds = 60.0  # the end was said, the process stays
    suspect_after: Seconds = 120.0  # without output and processor time: said, and nothing done
    attempt_memory_mb: Count | None = None  # all processes of one attempt together
    hold_seconds: Seconds = 60.0  # an account's first rest at a limit whose end nobody names
    grace_seconds: Wait = 600.0  # after the first ^C
    stop_interrupt_seconds: Wait = 10.0  # between INT and TERM
    stop_terminate_seconds: Wait = 5.0  # between TERM and KILL
    refresh_command: Text | None = None  # context before each group (E-2)
    refresh_timeout: Seconds = 300.0
    refresh_max_chars: Count = 8_000
    refresh_every_group: bool | None = None  # None: a refresh_command yes, /flow:summary once in a run

    # budgets (A-7): US dollars as the agents' own figures say it, tokens of input and output, seconds of wall time
    budget: Money | None = None  # of the run
    budget_tokens: Count | None = None
    budget_seconds: Seconds | None = None
    day_budget: Money | None = None  # all runs of this repository since midnight
    day_budget_tokens: Count | None = None
    attempt_budget: Money | None = None  # one attempt; its wall time is task_timeout
    attempt_budget_tokens: Count | None = None

    # the workspaces
    workspace: WorkspaceKind = "worktree"
    workspace_root: Path | None = None  # None: a folder of its own outside the repository
    keep_workspaces: bool = False  # landed ones too
    keep_saved_days: Count | None = None  # refs of work that did not land; None: for ever
    keep_runs_days: Count | None = None  # folders of runs that landed all; None: for ever
    setup: Texts = ()  # commands, run by `sh -c`
    setup_timeout: Seconds = 900.0
    copy_files: Texts = Field(default=(), alias="copy")  # `copy` is a method of every pydantic model
    symlink: Texts = ()
    keep: Texts = ()  # what stays in a workspace that the next task gets (W-5)
    mcp_servers: dict[str, dict[str, Any]] = Field(default_factory=dict)  # `mcpServers` of client-config.json
    git_credentials: Path | None = None  # a file as git's credential store keeps it; agents get a copy (0600)

    ports: dict[str, Count] = Field(default_factory=dict)  # variable → first of its 1,000 ports, beside those of I-1

    # landing
    integration_base_branch: Text | None = None  # None: main where there is one, else the branch checked out
    land_on_base: bool = False
    integration_pr_enabled: bool = False
    strategy: Strategy = "merge"
    conflict_detection: bool = True
    max_batch: Count = 8  # finished tasks judged by one gate
    sequential_above: Share = 0.3  # of landings failing: from there on one task at a time (E-9)
    test_command: Text | None = None  # run by `sh -c`; None: found (M-4)
    no_tests: bool = False
    test_timeout: Seconds = 1800.0

    def budgets(self) -> Budgets:
        """The budgets that are set."""
        given = {kind: getattr(self, kind.value) for kind in Kind}
        return {kind: float(limit) for kind, limit in given.items() if limit is not None}

    def agent_limit(self, agent: str) -> int | None:
        """How many attempts of this agent may run at once; None: no limit of its own."""
        return self.agent_limits.get(agent, self.agent_limits.get("*"))
