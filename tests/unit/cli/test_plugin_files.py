"""The plugin's files say what the code has: version, commands, hooks; each command line in them is one that exists."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

import maestro as package
from maestro.cli.hook import HOOKS as NAMES
from maestro.cli.main import COMMANDS as TABLE
from maestro.cli.main import maestro
from maestro.store.shipped import HOOKS, command_files, plugin_root, shipped

ROOT = plugin_root()
FILES = {path.stem: path.read_text() for path in command_files()}
LINES = [
    (name, line) for name, text in FILES.items() for line in re.findall(r"^ {4,}maestro (.*)$", text, re.MULTILINE)
]


def test_the_manifests_name_the_plugin_its_version_and_its_commands() -> None:
    plugin = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text())
    market = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text())
    assert (plugin["name"], plugin["version"]) == ("flow", package.__version__)
    assert (ROOT / plugin["commands"]).is_dir()
    assert [one["name"] for one in market["plugins"]] == ["flow"]
    assert set(FILES) == {"implement", "summary", "plan", "status", "cleanup"}


@pytest.mark.parametrize(("name", "line"), LINES)
def test_each_line_of_a_command_file_is_a_command_that_exists(name: str, line: str) -> None:
    words = line.split()
    command: click.Command | None = maestro
    context = click.Context(maestro)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
    assert command is not None, line
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_every_command_file_grants_the_lines_it_has() -> None:
    for name, line in LINES:
        granted = re.findall(r"Bash(?:\(maestro ([^:)]*):\*\))?", FILES[name].split("---")[1])
        assert any(line.startswith(prefix) for prefix in granted), f"{name}: {line}"


def test_every_hook_calls_one_that_exists_and_can_never_refuse_by_failing() -> None:
    hooks = json.loads(shipped(HOOKS).read_text())["hooks"]
    called = [hook["command"] for entries in hooks.values() for entry in entries for hook in entry["hooks"]]
    for command in called:
        found = re.fullmatch(r'"\$\{CLAUDE_PLUGIN_ROOT\}/bin/maestro" hook ([\w-]+) \|\| true', command)
        assert found, command
        assert found[1] in NAMES
    assert {command.split()[2] for command in called} == set(NAMES)
    assert "hook" in TABLE


def test_the_launcher_takes_the_installed_maestro_before_its_own(tmp_path: Path) -> None:
    installed = tmp_path / "maestro"
    installed.write_text('#!/bin/sh\necho "installed $*"\n')
    installed.chmod(0o755)
    launcher = ROOT / "bin" / "maestro"
    path = f"{launcher.parent}:{tmp_path}:/usr/bin:/bin"

    def run(path: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": path}
        return subprocess.run([launcher, "--version"], env=env, capture_output=True, text=True)

    assert run(path).stdout == "installed --version\n"
    alone = run(f"{launcher.parent}:/usr/bin:/bin")
    assert alone.stdout == f"maestro {package.__version__}\n" or "pip install" in alone.stderr


def test_launchers_of_two_copies_of_the_plugin_do_not_start_each_other_for_ever(tmp_path: Path) -> None:
    copies = [tmp_path / name for name in ("installed", "checkout")]
    for copy in copies:
        for folder in ("bin", ".claude-plugin"):
            shutil.copytree(ROOT / folder, copy / folder)
    env = {**os.environ, "PATH": ":".join([*(f"{copy}/bin" for copy in copies), "/usr/bin:/bin"])}
    done = subprocess.run([copies[0] / "bin" / "maestro"], env=env, capture_output=True, text=True, timeout=20)
    assert "installed/bin/../.flow" in done.stderr, "its own script is the last resort, and was not copied"


def test_the_page_has_every_command_and_the_bounds_of_the_code() -> None:
    from maestro.cli.hooks.staying import LIMIT, LIMIT_AT_WORK

    page = (ROOT / "docs" / "claude-code.md").read_text()
    assert all(f"`/flow:{name}" in page for name in FILES)
    assert LIMIT == 3
    assert f"Three times without anything having moved ({LIMIT_AT_WORK} while" in page
