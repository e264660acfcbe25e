"""A plan as the object of `maestro plan --json` (C-1a)."""

from __future__ import annotations

from typing import Any

from maestro.model.plan import Plan


def plan_object(plan: Plan) -> dict[str, Any]:
    """Exactly the keys that scripts rely on, of plain JSON types."""
    return {
        "schedule": plan.schedule.value,
        "total_tasks": plan.total_tasks,
        "levels": [list(level) for level in plan.levels],
        "max_parallel": plan.max_parallel,
        "theoretical_speedup": round(plan.theoretical_speedup, 2),
        "critical_path": list(plan.critical_path),
        "groups": {group: list(members) for group, members in plan.groups.items()},
        "overlaps": [{"tasks": list(one.tasks), "files": list(one.files)} for one in plan.overlaps],
        "blocked": [{"task": one.task, "reason": one.reason} for one in plan.blocked],
        "problems": [
            {"kind": one.kind.value, "tasks": list(one.tasks), "message": one.message} for one in plan.problems
        ],
    }
