"""How many tasks of a plan start at once, before any has landed."""

from __future__ import annotations

from maestro.model.plan import Plan


def first_starts(plan: Plan, most: int) -> int:
    """At most `most`, and rather too few than too many: one that waits for a resource or shares a file is not counted
    where it might have to wait. Looks at no more tasks than it has to."""
    blocked = {one.task for one in plan.blocked}
    held: set[str] = set()
    count = 0
    for task in plan.stages[0] if plan.stages else plan.tasks:
        if count >= most:
            break
        files = plan.files.get(task, ())
        waits = plan.dependencies.get(task) or plan.resources.get(task) or task in blocked
        if waits or (not plan.allow_overlap and not held.isdisjoint(files)):
            continue
        held.update(files)
        count += 1
    return count
