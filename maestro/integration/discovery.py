"""Finds a project's test command where the user gave none (M-4).

First hit wins, in this order: pytest, npm/pnpm/yarn, cargo, go, make, maven, gradle. A runner that reports
single tests stands before one that only ends with a code (make); within a language the project's own
configuration decides. Only the root of the repository is looked at.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from maestro.model.record import Record

NPM_DEFAULT = "no test specified"
"""In the `test` script that `npm init` writes: a script, but no test."""

_LOOKED_AT = 5000
"""Files looked at under tests/ before giving up on finding a Python test there."""


class FoundCommand(Record):
    """A command for `sh -c`, and why it was chosen."""

    command: str
    source: str  # a clause for people, e.g. "pytest, from pyproject.toml"


def find_test_command(root: Path) -> FoundCommand | None:
    """The test command of the project in `root`, None where there is none to be seen."""
    finders: tuple[Callable[[Path], FoundCommand | None], ...] = (
        _pytest, _node, _cargo, _go, _make, _maven, _gradle,
    )  # fmt: skip
    return next(filter(None, (finder(root) for finder in finders)), None)


def _pytest(root: Path) -> FoundCommand | None:
    reason = _pytest_configuration(root) or _pytest_files(root)
    # as a module, so that the repository itself can be imported, and the python on PATH decides
    return FoundCommand(command="python3 -m pytest -q", source=f"pytest, from {reason}") if reason else None


def _pytest_configuration(root: Path) -> str | None:
    for name in ("pytest.ini", ".pytest.ini", "conftest.py"):
        if (root / name).is_file():
            return name
    try:
        tool = tomllib.loads(_read(root / "pyproject.toml")).get("tool", {})
        if isinstance(tool, dict) and "pytest" in tool:
            return "pyproject.toml"
    except tomllib.TOMLDecodeError:
        pass  # that is for pytest to complain about, if it is used at all
    import configparser  # where nothing else has said so

    for name, section in (("setup.cfg", "tool:pytest"), ("tox.ini", "pytest")):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(_read(root / name))
        except configparser.Error:
            continue
        if parser.has_section(section):
            return name
    return None


def _pytest_files(root: Path) -> str | None:
    for folder, files in (("", root.glob("*.py")), *((f"{name}/", _below(root / name)) for name in ("tests", "test"))):
        for file in islice(files, _LOOKED_AT):
            if re.fullmatch(r"test_.*\.py|.*_test\.py", file.name):
                return folder or file.name
    return None


def _below(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.py") if folder.is_dir() else iter(())


def _node(root: Path) -> FoundCommand | None:
    try:
        package = json.loads(_read(root / "package.json") or "null")
    except ValueError:
        return None
    if not isinstance(package, dict):
        return None
    scripts = package.get("scripts")
    script = scripts.get("test") if isinstance(scripts, dict) else None
    if not isinstance(script, str) or not script.strip() or NPM_DEFAULT in script:
        return None
    named = str(package.get("packageManager", "")).partition("@")[0]
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
    locked = next((tool for lock, tool in locks.items() if (root / lock).is_file()), "npm")
    tool = named if named in ("npm", "pnpm", "yarn") else locked
    return FoundCommand(command=f"{tool} test", source="scripts.test of package.json")


def _cargo(root: Path) -> FoundCommand | None:
    return _if_file(root, "Cargo.toml", "cargo test")


def _go(root: Path) -> FoundCommand | None:
    return _if_file(root, "go.mod", "go test ./...")


def _make(root: Path) -> FoundCommand | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):  # the order in which make looks
        text = _read(root / name)
        for target in ("test", "check"):
            # a rule, not an assignment (`test := …`), alone or among others on the line
            if re.search(rf"^(?:[^\s:#=]+ +)*{target}(?: +[^\s:#=]+)* *::?(?!=)", text, re.MULTILINE):
                return FoundCommand(command=f"make {target}", source=f"target {target} of {name}")
        if text:
            return None
    return None


def _maven(root: Path) -> FoundCommand | None:
    return _if_file(root, "pom.xml", "./mvnw -B test" if (root / "mvnw").is_file() else "mvn -B test")


def _gradle(root: Path) -> FoundCommand | None:
    command = "./gradlew test" if (root / "gradlew").is_file() else "gradle test"
    return _if_file(root, "build.gradle", command) or _if_file(root, "build.gradle.kts", command)


def _if_file(root: Path, name: str, command: str) -> FoundCommand | None:
    return FoundCommand(command=command, source=name) if (root / name).is_file() else None


def _read(path: Path) -> str:
    """The text of a file; empty where there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""
