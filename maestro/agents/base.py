"""What every agent adapter is: a command line to run and a reader of what it prints.

Adapters start nothing and judge nothing by themselves: the engine runs the request, feeds the output to the
reader, and asks for the verdict, which is then held against the evidence in the workspace (A-3).
"""

# no `from __future__ import annotations`: see maestro.model.record

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import Field

from maestro.model.outcome import Usage
from maestro.model.record import Record


class Job(Record):
    """One attempt, as an adapter needs it."""

    task_id: str
    prompt: str
    prompt_file: Path  # holds `prompt`
    workspace: Path  # the repository inside the workspace: the working directory
    state_dir: Path  # .agent-state, for session files of the adapter
    client_config: Path  # client-config.json
    budget_usd: float | None = None  # for a CLI that stops itself at one
    base_url: str | None = None  # the provider's place for this attempt, where the CLI takes it as an argument only
    resume_session: str | None = None  # conversation to go on with, where the CLI can
    subagent: str | None = None
    # for an adapter that hands the attempt on instead of starting a CLI
    run_id: str = ""
    name: str = ""  # the task's safe name
    attempt: int = 1
    attempt_id: str = ""
    title: str = ""
    wanted_subagent: str | None = None  # what the task asks for; `subagent` is what it gets
    why: str = ""  # how that was chosen
    report_file: Path | None = None


class Invocation(Record):
    """A command line. `env` is added to the allow-listed environment."""

    argv: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    stdin_file: Path | None = None


class Availability(Record):
    """Whether the agent can be used here, and what was found."""

    available: bool
    detail: str  # version and path, or what is missing
    hint: str = ""


class Login(Record):
    """Whether a key or a login can be seen from here. Never holds a secret."""

    found: bool
    detail: str  # "ANTHROPIC_API_KEY is set"
    hint: str = ""


class Claim(StrEnum):
    """What the agent's output and exit say; none of it is proof."""

    DONE = "done"
    FAILED = "failed"  # a final event that says error, or a bad exit code
    DENIED = "denied"  # it ended well, but permissions denied its tools
    LIMIT = "limit"  # usage limit, overload, spending limit
    SILENT = "silent"  # it ended without a final event where its protocol has one
    BUDGET = "budget"  # it stopped itself at the budget it was given


class Verdict(Record):
    """The adapter's reading of one ended attempt."""

    claim: Claim
    reason: str = ""  # a clause for people
    summary: str = ""  # the agent's last words
    reset_at: datetime | None = None
    usage: Usage = Usage()
    retryable: bool = True  # False: the same again cannot help (bad key, unknown model)
    no_session: bool = False  # the conversation that it was to go on with is not to be had


class Heard(StrEnum):
    """What the output of a running agent tells of its requests."""

    NOTHING = "nothing"
    ANSWER = "answer"  # the last one was answered
    LIMIT = "limit"  # the last one met a limit, and the client itself tries again


class Reader(Protocol):
    """Reads one attempt's standard output as it grows. Never raises on odd bytes."""

    ended: bool  # the final event was seen: the clock "end but no exit" starts
    heard: Heard  # NOTHING for ever where its output does not tell

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes for people (a retry, a denial), usually none."""
        ...

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """After the end of the process; `exit_code` None when it left none."""
        ...


class Told(StrEnum):
    """What the output of an agent tells of what it has used."""

    COST = "cost"  # US dollars, by its own table of prices
    TOKENS = "tokens"


@runtime_checkable
class TellsUsage(Protocol):
    """A reader that knows what was used while the agent is still at work; the others learn it at the end."""

    def usage(self) -> Usage: ...


class Agent(Protocol):
    """One agent CLI."""

    name: str
    account: str  # whose limits it shares: all attempts of one account wait together
    streams: bool  # prints events while it works, so that silence means something
    resumes: bool  # can go on with an earlier conversation (`Job.resume_session`) in the same workspace
    tells: frozenset[Told]  # at the end of an attempt, when it ends by itself
    bounds: frozenset[Told]  # what one attempt can be held to: told as it works, or kept by the CLI (`budget_usd`)

    def availability(self, env: Mapping[str, str]) -> Availability: ...

    def env_names(self) -> tuple[str, ...]:
        """Names and prefixes ending in `*` of parent variables it needs (I-6)."""
        ...

    def invocation(self, job: Job) -> Invocation: ...

    def reader(self) -> Reader: ...


@runtime_checkable
class KnowsLogin(Protocol):
    """An agent that can say whether it is logged in; the others need no login, or cannot say."""

    def login(self, env: Mapping[str, str]) -> Login:
        """From variables and files alone: no request, no model. `env` is the environment of maestro itself."""
        ...
