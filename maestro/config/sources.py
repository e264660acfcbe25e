"""Reads each place that settings come from into (key → value, where it stands); checks nothing else."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from maestro.config.toml_lines import line_of
from maestro.errors import BadInput

NOT_SETTINGS = frozenset(
    {
        "MAESTRO_REPOSITORY",
        "MAESTRO_RUN_ID",
        "MAESTRO_TASK_ID",
        "MAESTRO_ATTEMPT",
        "MAESTRO_WORKSPACE_DIR",
        "MAESTRO_PROMPT_FILE",
        "MAESTRO_REPORT_FILE",
        "MAESTRO_FENCING_TOKEN",
        "MAESTRO_MACHINE_DIR",
    }
)
"""Variables that maestro gives to agents; an agent may call maestro, so they are neither read nor warned about."""

LINE_LISTS = frozenset({"setup"})
"""Lists of shell commands: in a variable they are separated by newlines, because commands hold commas."""
LISTS = frozenset({"group_id", "env_allow", "copy", "symlink", "keep", "sandbox_read", "sandbox_write"})
TABLES = frozenset({"agents", "keys", "keywords", "agent_limits", "mcp_servers", "resources", "caches", "ports"})


class Given(NamedTuple):
    """One value somebody gave, and where: `file` (or the variable's or flag's name) and line."""

    key: str  # snake_case
    written: str  # as it was written
    value: Any
    file: str
    line: int | None = None
    base: Path | None = None  # what relative paths are relative to

    @property
    def where(self) -> str:
        """`path/config.toml:3`, `MAESTRO_AGENT` or `--agent`."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


def snake(key: str) -> str:
    """`max-parallel` and `max_parallel` are the same key."""
    return key.replace("-", "_")


def from_toml(file: Path, *, table: tuple[str, ...] = (), base: Path | None = None) -> list[Given]:
    """Keys of a TOML file, below `table`; BadInput when it cannot be read or parsed."""
    text = read_text(file)
    try:
        found: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not valid TOML: {str(error)[:1].lower()}{str(error)[1:]}") from error
    for name in table:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    if not isinstance(found, dict):
        raise BadInput(f"{file}: [{'.'.join(table)}] must be a table")
    return [
        Given(snake(key), key, value, str(file), line_of(text, (*table, key)), base) for key, value in found.items()
    ]


def from_pyproject(file: Path, *, base: Path) -> list[Given]:
    """Keys of [tool.maestro]. A pyproject.toml that does not speak of maestro is not even parsed."""
    if not file.is_file() or "maestro" not in read_text(file):
        return []
    return from_toml(file, table=("tool", "maestro"), base=base)


def from_cto_config(file: Path) -> list[Given]:
    """`play.parallelExecution` of a cto-config.json; everything else there is for other tools."""
    if not file.is_file():
        return []
    text = read_text(file)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{file} is not valid JSON: {error}") from error
    play = found.get("play") if isinstance(found, dict) else None
    if not isinstance(play, dict) or "parallelExecution" not in play:
        return []
    numbers = [n for n, line in enumerate(text.splitlines(), 1) if '"parallelExecution"' in line]
    line = numbers[0] if numbers else None
    return [Given("parallel_execution", "play.parallelExecution", play["parallelExecution"], str(file), line)]


def from_environment(environ: Mapping[str, str], base: Path) -> list[Given]:
    """MAESTRO_* variables, in the order of their names; an empty one is as good as unset."""
    return [
        Given(key, name, _from_text(key, name, value), name, None, base)
        for name, value in sorted(environ.items())
        if name.startswith("MAESTRO_") and value and not _is_internal(name)
        for key in [name.removeprefix("MAESTRO_").lower()]
    ]


def from_flags(flags: Mapping[str, Any], base: Path) -> list[Given]:
    """Flags the user gave; None means not given."""
    return [
        Given(snake(key), flag, value, flag, None, base)
        for key, value in flags.items()
        if value is not None
        for flag in ["--" + key.replace("_", "-")]
    ]


def read_text(file: Path) -> str:
    """The file as text; BadInput names it when that cannot be done."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8 text") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _is_internal(name: str) -> bool:
    ours = name in {"MAESTRO_TEST_COMMAND", "MAESTRO_TEST_TIMEOUT"}
    held = name.startswith(("MAESTRO_LOCK_", "MAESTRO_FENCING_TOKEN_"))  # locks that it works under
    return name in NOT_SETTINGS or held or (name.startswith("MAESTRO_TEST_") and not ours)


def _from_text(key: str, name: str, value: str) -> Any:
    """Lists and tables can be written in a variable too: as JSON, lists also with commas (or newlines)."""
    if key in TABLES or (key in LISTS | LINE_LISTS and value.lstrip().startswith("[")):
        try:
            return json.loads(value)
        except ValueError as error:
            raise BadInput(f"{name} is not valid JSON: {error}") from error
    if key in LINE_LISTS:
        return [line.strip() for line in value.splitlines() if line.strip()]
    if key in LISTS:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value
