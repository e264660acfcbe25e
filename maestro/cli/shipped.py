"""Files that ship with maestro and are no Python of the package: in a checkout where they are used, in an installed
package in the folder `data` beside this module (pyproject.toml puts them there)."""

from __future__ import annotations

from pathlib import Path

SCRIPT = ".flow/maestro/scripts/parallel_coordinator.py"
COMMANDS = ".claude/commands/flow"
HOOKS = "hooks/hooks.json"

_BESIDE = {SCRIPT: "parallel_coordinator.py", COMMANDS: "commands", HOOKS: "hooks.json"}


def shipped(place: str) -> Path:
    """Where the file or folder lies that has the given place in a checkout."""
    checkout = Path(__file__).parents[2] / place
    return checkout if checkout.exists() else Path(__file__).parent / "data" / _BESIDE[place]


def command_files() -> list[Path]:
    """The slash commands `/flow:…`, in the order of their names."""
    return sorted(shipped(COMMANDS).glob("*.md"))
