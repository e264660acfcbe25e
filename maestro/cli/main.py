"""The `maestro` command: global options, and a table of commands that are imported only when they are called."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import click

from maestro import __version__
from maestro.cli import collecting
from maestro.cli.app import App
from maestro.cli.boundary import guarded
from maestro.cli.lazy import LazyGroup
from maestro.cli.options import complete_file, complete_folder, output_options

COMMANDS = {
    "plan": "Show what would run when, and at the same time as what; changes nothing.",
    "run": "Run the backlog: agents in workspaces of their own, finished work landed and checked.",
    "resume": "Go on with a run that died, was interrupted, or waits for a person.",
    "delegate": "Let the subagents of your own session do the tasks.",
    "report": "Say how a task went; an agent's last act.",
    "detect": "List the parallel groups of a backlog.",
    "execute": "Run one parallel group.",
    "list": "List the groups that ran here, and how they stand.",
    "status": "Show how runs or a group stand.",
    "wait": "Wait until a run or a group has ended.",
    "logs": "Show what the agent of a task printed.",
    "history": "Show all runs: how long they took, what landed, what it cost.",
    "note": "Leave a note that later prompts of a run show.",
    "notes": "Show the notes of a run.",
    "lock": "Run a command while a named resource is yours, such as the tests.",
    "mcp": "Serve maestro to an MCP client, such as Claude Code.",
    "rollback": "Put the integration branch and the tracker back to a checkpoint.",
    "workspace": "Show what the workspaces of tasks have to themselves, such as ports.",
    "clean": "Remove workspaces; what is not landed is saved first.",
    "cleanup-orphans": "Show what runs that died left behind, and do away with it.",
    "doctor": "Check everything that can go wrong before a run.",
    "init": "Write a configuration file with every key explained.",
    "demo": "See it work: a small repository, eight tasks, no key and no network.",
    "hook": "Answer a hook of Claude Code; the plugin calls it.",
    "completion": "Print the completion script of a shell.",
}
"""Command → its line in `maestro --help`; the module `maestro.cli.<command>` holds it under the name `command`."""

UNLISTED = frozenset({"hook"})
"""Not in `maestro --help`: nobody types them."""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    unlisted=UNLISTED,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="maestro", message="%(prog)s %(version)s")
@click.option(
    "-C",
    "directory",
    metavar="DIR",
    help="Work as if started in DIR.",
    shell_complete=complete_folder,
)
@click.option(
    "--config",
    metavar="FILE",
    help="Use FILE instead of .flow/maestro/config.toml.",
    shell_complete=complete_file,
)
@output_options
@click.pass_obj
def maestro(app: App, directory: str | None, config: str | None) -> None:
    """Run a backlog of coding tasks with many agents at once, and land the finished work, checked."""
    if directory is not None:
        app.directory = Path(directory)
    app.config_file = Path(config) if config else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (that of the process by default); the exit code."""
    if argv is not None:
        return guarded(maestro, argv)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # by who started us: no child's exit code would be known
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    collecting.spare()
    code = guarded(maestro)
    collecting.never_again()
    return code
