"""A plan as a picture in words: Graphviz DOT and Mermaid. Arrows lead from a task to what waits for it."""

from __future__ import annotations

from collections.abc import Iterator

from maestro.model.plan import Plan

_TITLE = 40  # characters of a title in a box


def render_dot(plan: Plan) -> str:
    """DOT: groups as clusters, the critical path bold, blocked tasks dashed, overlaps as dotted lines."""
    node = {task: f"t{number}" for number, task in enumerate(plan.tasks)}
    blocked, critical = {one.task for one in plan.blocked}, set(plan.critical_path)
    lines = ["digraph plan {", "  rankdir=LR;", '  node [shape=box, style="rounded"];']
    for number, (group, members) in enumerate(plan.groups.items()):
        inside = " ".join(f"{node[task]};" for task in members)
        lines.append(f"  subgraph cluster_{number} {{ label={_quoted(group)}; {inside} }}")
    for task, name in node.items():
        style = ', style="rounded,dashed"' if task in blocked else ', style="rounded,bold"' if task in critical else ""
        lines.append(f"  {name} [label={_quoted(_label(plan, task))}{style}];")
    for needed, task in _edges(plan):
        lines.append(f"  {node[needed]} -> {node[task]};")
    for overlap in plan.overlaps:
        one, other = (node[task] for task in overlap.tasks)
        label = _quoted(", ".join(overlap.files))
        lines.append(f"  {one} -> {other} [dir=none, style=dotted, constraint=false, label={label}];")
    return "\n".join([*lines, "}"]) + "\n"


def render_mermaid(plan: Plan) -> str:
    """A Mermaid flow chart with the same marks."""
    node = {task: f"t{number}" for number, task in enumerate(plan.tasks)}
    grouped = {task for members in plan.groups.values() for task in members}
    lines = ["flowchart LR"]
    for number, (group, members) in enumerate(plan.groups.items()):
        lines.append(f'  subgraph g{number}["{_entities(group)}"]')
        lines += [f"    {_box(plan, task, node[task])}" for task in members]
        lines.append("  end")
    lines += [f"  {_box(plan, task, name)}" for task, name in node.items() if task not in grouped]
    lines += [f"  {node[needed]} --> {node[task]}" for needed, task in _edges(plan)]
    for overlap in plan.overlaps:
        one, other = (node[task] for task in overlap.tasks)
        lines.append(f'  {one} -. "{_entities(", ".join(overlap.files))}" .- {other}')
    lines += ["  classDef critical stroke-width:3px", "  classDef blocked stroke-dasharray:4 4"]
    for kind, tasks in (("critical", plan.critical_path), ("blocked", [one.task for one in plan.blocked])):
        if tasks:
            lines.append(f"  class {','.join(node[task] for task in tasks)} {kind}")
    return "\n".join(lines) + "\n"


def _edges(plan: Plan) -> Iterator[tuple[str, str]]:
    for task, dependencies in plan.dependencies.items():
        for needed in dependencies:
            yield needed, task


def _label(plan: Plan, task: str) -> str:
    title = " ".join(plan.tasks[task].title.split())
    short = title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
    return f"{task}\n{short}" if short and short != task else task


def _box(plan: Plan, task: str, name: str) -> str:
    return f'{name}["{_entities(_label(plan, task))}"]'


def _quoted(text: str) -> str:
    """A DOT string: backslash and quote escaped, line ends as its own escape, other control characters dropped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(one for one in escaped if one >= " ") + '"'


def _entities(text: str) -> str:
    """Mermaid text: everything it could read as syntax becomes an entity."""
    return "".join(
        "<br/>" if one == "\n" else one if one.isalnum() or one in " -_./,…" else f"#{ord(one)};" for one in text
    )
