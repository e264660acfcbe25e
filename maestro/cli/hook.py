"""`maestro hook`: what the plugin's hooks call (C-3). The words of Claude Code come in as JSON, an answer goes out.

A hook must never be in the way: what it cannot understand, and any error of its own, lets the session go on. Exit
code 2 would be taken for a refusal, so a hook never ends with it.
"""

from __future__ import annotations

import importlib
import json
import sys

import click

from maestro.cli.app import App
from maestro.cli.options import output_options

HOOKS = {"pre-tool-use": "before_tool", "subagent-stop": "after_subagent", "stop": "at_stop"}
"""Name → module of maestro.cli.hooks; only one is imported, for a hook runs at each tool call of a session."""


@click.command()
@click.argument("name", type=click.Choice(list(HOOKS)))
@output_options
@click.pass_obj
def command(app: App, name: str) -> int:
    """Answer a hook of Claude Code; for the plugin `flow`, which calls it."""
    try:
        payload = json.loads(sys.stdin.buffer.read())
        module = importlib.import_module(f"maestro.cli.hooks.{HOOKS[name]}")
        answer = module.answer(payload, app.environ) if isinstance(payload, dict) else None
    except Exception as error:
        app.output.warn(f"the hook {name} did nothing: {type(error).__name__}: {error}")
        return 1
    if answer is not None:
        app.output.json(answer)
    return 0
