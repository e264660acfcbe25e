"""init writes what is missing, once, and never over somebody's own."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from maestro.cli.config_template import CONFIG
from maestro.cli.init import SCRIPT, script_source
from maestro.config.load import KEYS, load_settings
from maestro.config.settings import Settings
from maestro.store.layout import Layout

UNSET = {"tasks_file", "max_parallel", "group_parallel", "agent_command", "refresh_command", "epic"} | {
    "git_credentials",
    "workspace_root",
    "integration_base_branch",
    "test_command",
}
"""Keys without a default; the file shows an example."""


def test_init_writes_and_says_so(cli: Any, layout: Layout) -> None:
    script = layout.repository / SCRIPT
    said = cli("init", "--dry-run")
    assert said.out == f"{layout.config}: would be written\n{script}: would be written\n"
    assert not layout.root.exists()
    said = cli("init")
    assert said.out == f"{layout.config}: written\n{script}: written\n"
    assert layout.config.read_text() == CONFIG
    assert script.read_bytes() == script_source().read_bytes()
    assert os.access(script, os.X_OK)


def test_again_changes_nothing_and_what_was_edited_is_kept(cli: Any, layout: Layout) -> None:
    cli("init")
    script = layout.repository / SCRIPT
    layout.config.write_text("attempts = 3\n")
    before = script.stat().st_mtime_ns
    said = cli("init", "--quiet")
    assert said.out == f"{layout.config}: was edited and is kept\n{script}: is there already\n"
    assert said.err == ""
    assert layout.config.read_text() == "attempts = 3\n"
    assert script.stat().st_mtime_ns == before
    assert cli("init", "--json").json() == {
        "dry_run": False,
        "files": [
            {"path": str(layout.config), "action": "keep"},
            {"path": str(script), "action": "unchanged"},
        ],
    }


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


def test_an_installed_package_holds_the_script_where_init_looks_for_it(
    cli: Any, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((script_source().parents[3] / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"][SCRIPT]
    installed = tmp_path / "site-packages" / shipped
    installed.parent.mkdir(parents=True)
    installed.write_bytes(b"# the script\n")
    monkeypatch.setattr("maestro.cli.init.__file__", str(installed.with_name("init.py")))
    assert cli("init").code == 0
    assert (layout.repository / SCRIPT).read_bytes() == b"# the script\n"
