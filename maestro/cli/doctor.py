"""`maestro doctor`: everything that can go wrong before a run, looked at now."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options, run_options
from maestro.cli.output import colour

if TYPE_CHECKING:
    from maestro.cli.examine import Finding

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command()
@run_options
@output_options
@click.pass_obj
def command(app: App, flags: dict[str, Any], run_id: str | None) -> int:  # noqa: ARG001 - of C-1a
    """Check everything that can go wrong before a run; takes the flags of that run.

    Exit code 1 where a run would be refused or fail.
    """
    from maestro.cli.examine import Health, examine

    findings = list(examine(app, flags))
    healthy = all(finding.health is not Health.PROBLEM for finding in findings)
    if app.output.as_json:
        app.output.json({"healthy": healthy, "checks": [_as_json(finding) for finding in findings]})
        return 0 if healthy else 1
    for finding in findings:
        sign, hue = SIGNS[finding.health]
        app.output.text(f"{colour(sign, hue, sys.stdout)} {finding.name}: {finding.detail}")
        if finding.hint:
            app.output.text(f"    {finding.hint}")
    app.output.text("Ready." if healthy else "Not ready.")
    return 0 if healthy else 1


def _as_json(finding: Finding) -> dict[str, Any]:
    shown = asdict(finding)
    return shown if finding.facts is not None else {key: shown[key] for key in shown if key != "facts"}
