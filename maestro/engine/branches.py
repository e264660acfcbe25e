"""Names of the branches that a run lands on (M-2)."""

from __future__ import annotations

from maestro.model.plan import Plan, ScheduleKind


def integration_branch(run_id: str, level: int | None) -> str:
    """`integration/<run>`, with the schedule `levels` one branch for each level (M-2)."""
    return f"integration/{run_id}" if level is None else f"integration/level-{level}-{run_id}"


def integration_branches(run_id: str, plan: Plan) -> list[str]:
    """All branches that a run of the plan may land on, in order; at least one."""
    if plan.schedule is not ScheduleKind.LEVELS:
        return [integration_branch(run_id, None)]
    return [integration_branch(run_id, level) for level in range(max(len(plan.stages), 1))]
