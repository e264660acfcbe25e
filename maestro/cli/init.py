"""`maestro init`: a configuration file with every key explained, and the script for C-2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import StateError

SCRIPT = ".flow/maestro/scripts/parallel_coordinator.py"


@dataclass(frozen=True)
class Wanted:
    """A file that should be there."""

    path: Path
    content: bytes
    mode: int

    def action(self) -> str:
        """`write`, `unchanged`, or `keep` where somebody made it their own."""
        if not self.path.exists():
            return "write"
        try:
            return "unchanged" if self.path.read_bytes() == self.content else "keep"
        except OSError as error:
            raise StateError(f"{self.path} cannot be read: {error.strerror}") from error


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@output_options
@click.pass_obj
def command(app: App, dry_run: bool) -> None:
    """Write a configuration file with every key explained, and the script for other tools.

    A file that is there already is never changed.
    """
    from maestro.store.atomic import write_atomically

    done = []
    for wanted in wanted_files(app.repository()):
        action = wanted.action()
        if action == "write" and not dry_run:
            write_atomically(wanted.path, wanted.content, wanted.mode)
        done.append({"path": str(wanted.path), "action": action})
    if app.output.as_json:
        app.output.json({"dry_run": dry_run, "files": done})
        return
    words = {
        "write": "would be written" if dry_run else "written",
        "unchanged": "is there already",
        "keep": "was edited and is kept",
    }
    app.output.text(*(f"{one['path']}: {words[one['action']]}" for one in done))
    app.output.note("`maestro doctor` checks whether a run can start.")


def wanted_files(repository: Path) -> list[Wanted]:
    """What init writes into a repository."""
    from maestro.cli.config_template import CONFIG
    from maestro.store.layout import Layout

    return [
        Wanted(Layout(repository).config, CONFIG.encode(), 0o644),
        Wanted(repository / SCRIPT, script_source().read_bytes(), 0o755),
    ]


def script_source() -> Path:
    """The one source of the script: in a checkout where it lies, in an installed package beside this module."""
    checkout = Path(__file__).parents[2] / SCRIPT
    return checkout if checkout.is_file() else Path(__file__).with_name("parallel_coordinator.py")
