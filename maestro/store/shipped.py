"""Files that ship with maestro and are no Python of the package: the plugin for Claude Code, the script of C-2, and
what keeps the services of tasks apart (I-3 to I-5).

In a checkout they lie where they are used; an installed package has the same places in the folder `data` beside this
module (pyproject.toml puts them there). Either root is a plugin that `claude --plugin-dir` takes.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = ".flow/maestro/scripts/parallel_coordinator.py"
COMMANDS = ".claude/commands/flow"
HOOKS = "hooks/hooks.json"
OVERLAY = "docker-compose.zenflow.yml"
TEST_SCRIPT = "scripts/test_parallel_zenflow.sh"
TASK_TEMPLATE = ".zenflow/tasks/template"
_MANIFEST = ".claude-plugin/plugin.json"


def plugin_root() -> Path:
    """The folder that is the plugin `flow`."""
    checkout = Path(__file__).parents[2]
    return checkout if (checkout / _MANIFEST).is_file() else Path(__file__).parent / "data"


def shipped(place: str) -> Path:
    """Where the file or folder lies that has the given place in a checkout."""
    return plugin_root() / place


def command_files() -> list[Path]:
    """The slash commands `/flow:…`, in the order of their names."""
    return sorted(shipped(COMMANDS).glob("*.md"))


def task_template_files() -> list[Path]:
    """The files of the folder that a task's own is made from."""
    return sorted(path for path in shipped(TASK_TEMPLATE).iterdir() if path.is_file())
