"""Limits and choices of a run, as values."""

# no `from __future__ import annotations`: see maestro.model.record

from collections.abc import Mapping
from typing import NamedTuple

from maestro.integration.gate import Gate
from maestro.integration.strategy import Strategy
from maestro.model.budget import Budgets
from maestro.resources.throttle import Limits


class Options(NamedTuple):
    """Limits and choices of a run; durations in seconds."""

    max_parallel: int
    max_parallel_reason: str
    budgets: Budgets
    attempts: int = 2
    task_timeout_seconds: float | None = 7200.0
    hold_seconds: float = 60.0  # an account's first rest, where the provider names no end
    silent_timeout_seconds: float | None = 1800.0
    exit_timeout_seconds: float = 60.0
    grace_seconds: float = 600.0
    setup_commands: tuple[str, ...] = ()
    setup_timeout_seconds: float = 900.0
    agent_limits: Mapping[str, int] = {}
    group_parallel: int | None = None
    keep_workspaces: bool = False
    keep_going: bool = False
    bearable: Limits = Limits()  # what the machine must still have for one more attempt
    attempt_memory_bytes: int | None = None
    suspect_seconds: float = 120.0
    gate: Gate | None = None  # None: the user said --no-tests
    strategy: Strategy = Strategy.MERGE
    max_batch: int = 8
    conflict_detection: bool = True
    sequential_above: float = 0.3  # share of failed landings
    land_on_base: bool = False
    refresh_argv: tuple[str, ...] | None = None  # None: no model is called that the user did not choose (E-2)
    refresh_timeout_seconds: float = 300.0
    refresh_max_chars: int = 8_000  # of its answer, for it goes into every prompt of the group
    refresh_every_group: bool = True  # False: one answer serves all groups of the run
