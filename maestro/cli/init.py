"""`maestro init`: a configuration file with every key explained, the script for C-2, the slash commands of C-3; and
what keeps the services of tasks apart (I-3 to I-5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import StateError
from maestro.store.shipped import COMMANDS, HOOKS, SCRIPT, command_files, shipped

if TYPE_CHECKING:
    from maestro.cli.zenflow_files import ZenflowFiles

SESSION_SETTINGS = ".claude/settings.json"

WORDS = {
    "write": "written",
    "unchanged": "is there already",
    "keep": "was edited and is kept",
    "merge": "given the hooks, all else in it kept",
}
INTENDED = {"write": "would be written", "merge": "would be given the hooks, all else in it kept"}


@dataclass(frozen=True)
class Wanted:
    """A file that should be there."""

    path: Path
    content: bytes
    mode: int | None  # None: what it has, or what the umask leaves
    is_merged: bool = False  # the content is what is there and more, so it may be written over it

    def action(self) -> str:
        """`write`, `merge`, `unchanged`, or `keep` where somebody made it their own."""
        there = _read(self.path)
        if there is None:
            return "write"
        if there == self.content:
            return "unchanged"
        return "merge" if self.is_merged else "keep"


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("--hooks", is_flag=True, help=f"Add the hooks to {SESSION_SETTINGS} too; the plugin brings them itself.")
@click.option("--zenflow", is_flag=True, help="Add what keeps the services of tasks apart: ports, compose, tests.")
@output_options
@click.pass_obj
def command(app: App, dry_run: bool, hooks: bool, zenflow: bool) -> None:
    """Write a configuration file with every key explained, the script for other tools, and commands for Claude Code.

    A file that is there already is never changed; with --hooks, settings of Claude Code gain entries and lose none.
    With --zenflow, an overlay for docker compose, a script for pytest and the template of an .env.task come along.
    """
    from maestro.store.atomic import write_atomically

    done, services = [], _services(app) if zenflow else None
    for wanted in wanted_files(app.repository(), hooks=hooks, services=services):
        action = wanted.action()
        if action in INTENDED and not dry_run:
            write_atomically(wanted.path, wanted.content, wanted.mode)
        done.append({"path": str(wanted.path), "action": action})
    if app.output.as_json:
        shared = {"compose_file": services.compose_file, "shared": list(services.collisions)} if services else {}
        app.output.json({"dry_run": dry_run, "files": done, **shared})
        return
    words = {**WORDS, **(INTENDED if dry_run else {})}
    app.output.text(*(f"{one['path']}: {words[one['action']]}" for one in done))
    for one in services.collisions if services else ():
        app.output.warn(f"{one}, which the stacks of two tasks cannot share.")
    if services and services.collisions:
        app.output.note("Let it say variables of an .env.task instead, such as ${POSTGRES_PORT:-5432}.")
    app.output.note("`maestro doctor` checks whether a run can start.")


def wanted_files(repository: Path, *, hooks: bool = False, services: ZenflowFiles | None = None) -> list[Wanted]:
    """What init writes into a repository."""
    from maestro.cli.config_template import CONFIG
    from maestro.store.layout import Layout

    wanted = [
        Wanted(Layout(repository).config, CONFIG.encode(), 0o644),
        Wanted(repository / SCRIPT, shipped(SCRIPT).read_bytes(), 0o755),
        *(Wanted(repository / COMMANDS / one.name, one.read_bytes(), 0o644) for one in command_files()),
    ]
    if services:
        wanted += [Wanted(repository / place, content, mode) for place, (content, mode) in services.files.items()]
    return [*wanted, _settings_with_hooks(repository)] if hooks else wanted


def _services(app: App) -> ZenflowFiles:
    from maestro.cli.zenflow_files import zenflow_files
    from maestro.planning.ports import services_of

    repository = app.repository()
    return zenflow_files(repository, services_of(app.load(repository=repository).settings.ports))


def _settings_with_hooks(repository: Path) -> Wanted:
    from maestro.cli.session_hooks import merged

    path = repository / SESSION_SETTINGS
    there = (_read(path) or b"").decode("utf-8", "surrogateescape")
    content = merged(there, shipped(HOOKS).read_text(encoding="utf-8"))
    return Wanted(path, content.encode("utf-8", "surrogateescape"), None, is_merged=True)


def _read(path: Path) -> bytes | None:
    """What the file holds; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
