"""init writes what is missing, once, and never over somebody's own."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from maestro.cli.config_template import CONFIG
from maestro.cli.init import SESSION_SETTINGS
from maestro.config.load import KEYS, load_settings
from maestro.config.settings import Settings
from maestro.model.budget import Kind
from maestro.store.layout import Layout
from maestro.store.shipped import COMMANDS, HOOKS, SCRIPT, plugin_root, shipped

UNSET = (
    {"tasks_file", "max_parallel", "group_parallel", "agent_command", "refresh_command", "epic"}
    | {"refresh_every_group", "attempt_memory_mb"}
    | {kind.value for kind in Kind}
    | {"keep_saved_days", "keep_runs_days"}
    | {
        "git_credentials",
        "workspace_root",
        "integration_base_branch",
        "test_command",
    }
)
"""Keys without a default; the file shows an example."""


FLOW = ("cleanup", "implement", "plan", "status", "summary")


@pytest.fixture
def written(layout: Layout) -> list[Path]:
    """The files, in the order in which init names them."""
    commands = [layout.repository / COMMANDS / f"{name}.md" for name in FLOW]
    return [layout.config, layout.repository / SCRIPT, *commands]


def test_init_writes_and_says_so(cli: Any, layout: Layout, written: list[Path]) -> None:
    said = cli("init", "--dry-run")
    assert said.out == "".join(f"{path}: would be written\n" for path in written)
    assert not layout.root.exists()
    said = cli("init")
    assert said.out == "".join(f"{path}: written\n" for path in written)
    assert layout.config.read_text() == CONFIG
    assert written[1].read_bytes() == shipped(SCRIPT).read_bytes()
    assert os.access(written[1], os.X_OK)
    for path in written[2:]:
        assert path.read_bytes() == (shipped(COMMANDS) / path.name).read_bytes()
    assert not (layout.repository / SESSION_SETTINGS).exists()


def test_again_changes_nothing_and_what_was_edited_is_kept(cli: Any, layout: Layout, written: list[Path]) -> None:
    cli("init")
    edited = {layout.config: "attempts = 3\n", written[2]: "Clean up as we do.\n"}
    for path, text in edited.items():
        path.write_text(text)
    before = [path.stat().st_mtime_ns for path in written]
    said = cli("init", "--quiet")
    words = ["was edited and is kept" if path in edited else "is there already" for path in written]
    assert said.out == "".join(f"{path}: {word}\n" for path, word in zip(written, words, strict=True))
    assert said.err == ""
    assert [path.stat().st_mtime_ns for path in written] == before
    assert cli("init", "--json").json() == {
        "dry_run": False,
        "files": [{"path": str(path), "action": "keep" if path in edited else "unchanged"} for path in written],
    }


def test_hooks_are_added_to_settings_that_keep_all_they_hold(cli: Any, layout: Layout) -> None:
    path = layout.repository / SESSION_SETTINGS
    path.parent.mkdir()
    theirs = {"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh"}]}
    before = {"permissions": {"allow": ["Bash(make:*)"]}, "hooks": {"PreToolUse": [theirs]}, "own": "ü"}
    path.write_text(json.dumps(before))
    path.chmod(0o600)
    assert f"{path}: would be given the hooks" in cli("init", "--hooks", "--dry-run").out
    assert json.loads(path.read_text()) == before
    assert f"{path}: given the hooks" in cli("init", "--hooks").out
    after = json.loads(path.read_text())
    hooks = after.pop("hooks")
    assert after == {"permissions": before["permissions"], "own": "ü"}
    assert hooks["PreToolUse"][0] == theirs
    assert hooks["PreToolUse"][1]["hooks"][0]["command"] == "maestro hook pre-tool-use || true"
    assert set(hooks) == set(json.loads(shipped(HOOKS).read_text())["hooks"])
    assert "CLAUDE_PLUGIN_ROOT" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{path}: is there already" in cli("init", "--hooks").out


def test_hooks_make_a_settings_file_where_there_is_none(cli: Any, layout: Layout) -> None:
    path = layout.repository / SESSION_SETTINGS
    assert f"{path}: written" in cli("init", "--hooks").out
    assert set(json.loads(path.read_text())) == {"hooks"}


@pytest.mark.parametrize("odd", ["{not json", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}'])
def test_settings_that_cannot_be_understood_are_refused_and_kept(cli: Any, layout: Layout, odd: str) -> None:
    path = layout.repository / SESSION_SETTINGS
    path.parent.mkdir()
    path.write_text(odd)
    said = cli("init", "--hooks")
    assert said.code == 2
    assert SESSION_SETTINGS in said.err
    assert path.read_text() == odd
    assert not layout.config.exists(), "nothing is half done"


def test_the_file_as_written_changes_no_setting(layout: Layout) -> None:
    layout.root.mkdir(parents=True)
    layout.config.write_text(CONFIG)
    loaded = load_settings(layout.repository, None, {}, {})
    assert loaded.settings == Settings()
    assert loaded.warnings == ()


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_shown_with_its_default(key: str) -> None:
    lines = [line for line in CONFIG.splitlines() if line.startswith(f"# {key} = ")]
    assert len(lines) == 1
    value = tomllib.loads(lines[0][2:])[key]
    default = getattr(Settings(), KEYS[key])
    if key in UNSET:
        assert default is None
        assert "no default" in lines[0]
    else:
        assert Settings.model_validate({key: value}) == Settings()
    assert len(lines[0]) <= 120


def test_an_installed_package_holds_the_files_where_init_looks_for_them(
    cli: Any, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((plugin_root() / "pyproject.toml").read_text())
    places = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for place, in_the_wheel in places.items():
        target = tmp_path / "site-packages" / in_the_wheel
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (plugin_root() / place).is_dir() else shutil.copy
        copy(plugin_root() / place, target)
    named = cli("init", "--hooks", "--dry-run", "--json").json()
    monkeypatch.setattr("maestro.store.shipped.__file__", str(tmp_path / "site-packages/maestro/store/shipped.py"))
    assert plugin_root() == tmp_path / "site-packages" / "maestro" / "store" / "data"
    assert cli("init", "--hooks", "--dry-run", "--json").json() == named
    assert cli("init", "--hooks").code == 0
    assert (layout.repository / COMMANDS / "plan.md").is_file()
    assert (plugin_root() / "bin" / "maestro").is_file()
