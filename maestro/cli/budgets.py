"""What a run has used, in words."""

from __future__ import annotations

from typing import Any


def budget_lines(metrics: dict[str, Any]) -> list[str]:
    """A line for each budget that was set, from the metrics of a result; none without budgets."""
    if not metrics.get("budget"):
        return []
    from maestro.model.budget import Kind, Standing

    lines = []
    for key, figures in metrics["budget"].items():
        standing = Standing(kind=Kind(key), limit=figures["limit"], spent=figures["spent"])
        over = f", {standing.excess()} over it by what was running" if standing.overshoot else ""
        lines.append(f"Budget of {standing.kind.whose}: {standing.clause()}{over}")
    return lines


def spent_line(metrics: dict[str, Any]) -> list[str]:
    """What a run has cost by the figures of its agents; nothing where none of them said."""
    parts = []
    if (cost := metrics.get("cost_usd")) is not None:
        parts.append(f"{cost:.2f} USD" if cost >= 1 else f"{cost:.4f} USD")
    if (tokens := metrics.get("tokens")) is not None:
        parts.append(f"{tokens:,} tokens")
    return [f"Used: {', '.join(parts)}"] if parts else []
