from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.integration.discovery import FoundCommand, find_test_command

PYTEST = "python3 -m pytest -q"
SCRIPT = json.dumps({"scripts": {"test": "node --test"}})


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "command", "source"),
    [
        ({"pytest.ini": ""}, PYTEST, "pytest, from pytest.ini"),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, PYTEST, "pytest, from pyproject.toml"),
        ({"setup.cfg": "[tool:pytest]\naddopts = 100%\n"}, PYTEST, "pytest, from setup.cfg"),
        ({"tox.ini": "[pytest]\n"}, PYTEST, "pytest, from tox.ini"),
        ({"conftest.py": ""}, PYTEST, "pytest, from conftest.py"),
        ({"test_x.py": ""}, PYTEST, "pytest, from test_x.py"),
        ({"tests/unit/test_x.py": ""}, PYTEST, "pytest, from tests/"),
        ({"test/x_test.py": ""}, PYTEST, "pytest, from test/"),
        ({"package.json": SCRIPT}, "npm test", "scripts.test of package.json"),
        ({"package.json": SCRIPT, "pnpm-lock.yaml": ""}, "pnpm test", "scripts.test of package.json"),
        ({"package.json": SCRIPT, "yarn.lock": ""}, "yarn test", "scripts.test of package.json"),
        (
            {"package.json": json.dumps({"scripts": {"test": "x"}, "packageManager": "pnpm@9.1.0"})},
            "pnpm test",
            "scripts.test of package.json",
        ),
        ({"Cargo.toml": ""}, "cargo test", "Cargo.toml"),
        ({"go.mod": ""}, "go test ./...", "go.mod"),
        ({"Makefile": "all:\n\ttrue\ntest: all\n\ttrue\n"}, "make test", "target test of Makefile"),
        ({"makefile": "check:\n\ttrue\n"}, "make check", "target check of makefile"),
        ({"Makefile": "lint test :\n\ttrue\n"}, "make test", "target test of Makefile"),
        ({"pom.xml": ""}, "mvn -B test", "pom.xml"),
        ({"pom.xml": "", "mvnw": ""}, "./mvnw -B test", "pom.xml"),
        ({"build.gradle.kts": ""}, "gradle test", "build.gradle.kts"),
        ({"build.gradle": "", "gradlew": ""}, "./gradlew test", "build.gradle"),
    ],
)
def test_found(tmp_path: Path, files: dict[str, str], command: str, source: str) -> None:
    assert find_test_command(project(tmp_path, files)) == FoundCommand(command=command, source=source)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "pytest"},
        {"pyproject.toml": "[tool.black]\n", "src/a.py": ""},
        {"pyproject.toml": "not [toml"},
        {"pyproject.toml": "tool = 1\n"},
        {"setup.cfg": "no section\n"},
        {"package.json": json.dumps({"scripts": {"test": 'echo "Error: no test specified" && exit 1'}})},
        {"package.json": json.dumps({"scripts": {"build": "x"}})},
        {"package.json": json.dumps({"scripts": ["test"]})},
        {"package.json": "[]"},
        {"package.json": "{torn"},
        {"Makefile": "test := 1\ntests:\n\ttrue\n\ttest: not a rule\n.PHONY: test\n"},
        {"tests/data.txt": "", "tests/fixtures/a.py": ""},
        {"Makefile/test": "a folder"},
    ],
)
def test_nothing_to_be_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert find_test_command(project(tmp_path, files)) is None


def test_the_order_of_preference(tmp_path: Path) -> None:
    markers = [
        ("build.gradle", "", "gradle test"),
        ("pom.xml", "", "mvn -B test"),
        ("Makefile", "test:\n", "make test"),
        ("go.mod", "", "go test ./..."),
        ("Cargo.toml", "", "cargo test"),
        ("package.json", SCRIPT, "npm test"),
        ("pytest.ini", "", PYTEST),
    ]
    for name, text, command in markers:
        found = find_test_command(project(tmp_path, {name: text}))
        assert found is not None
        assert found.command == command
