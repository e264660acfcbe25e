"""Settings from every source, weakest first: each value is checked where it was given, the strongest wins (C-7).

cto-config.json < .flow/maestro/config.toml (or --config FILE) < [tool.maestro] < MAESTRO_* < flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maestro.config.settings import Settings
from maestro.config.sources import Given, from_cto_config, from_environment, from_flags, from_pyproject, from_toml
from maestro.errors import BadInput
from maestro.model.record import Record

DEFAULT = "default"

KEYS = {field.alias or name: name for name, field in Settings.model_fields.items()}
"""Key as the user writes it → field of Settings."""

EITHER = (("test_command", "no_tests"), ("tasks_file", "tracker"), ("agent_command", "agent"))
"""Pairs of which the one from the stronger source puts the weaker one out."""


class ConfigWarning(Record):
    """Something in the configuration that has no effect."""

    message: str
    file: str
    line: int | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class Loaded(Record):
    """The settings, what was odd about them, and for every key where its value came from."""

    settings: Settings
    warnings: tuple[ConfigWarning, ...] = ()
    origins: dict[str, str]


def load_settings(
    repository: Path | None,
    config_file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    directory: Path | None = None,
) -> Loaded:
    """All sources as one value.

    `config_file` replaces `.flow/maestro/config.toml` and must exist. Relative paths in files are relative to the
    repository, those of variables and flags to `directory` (the current one by default).
    Raises BadInput that names the file, the line, the key and what was expected.
    """
    here = directory or Path.cwd()
    layers = [*_file_layers(repository, config_file), from_environment(environ, here), from_flags(flags, here)]
    chosen: dict[str, tuple[int, Given, Any]] = {}
    warnings: list[ConfigWarning] = []
    for strength, layer in enumerate(layers):
        seen: dict[str, Given] = {}
        for given in layer:
            if given.key not in KEYS:
                warnings.append(_unknown(given))
            elif given.key in seen:
                raise BadInput(f"{given.where}: {given.key} is given twice, as {seen[given.key].written} before")
            else:
                seen[given.key] = given
                chosen[given.key] = (strength, given, _checked(given))
    _drop_weaker(chosen)
    values = {key: value for key, (_, _, value) in chosen.items()}
    origins = dict.fromkeys(KEYS, DEFAULT) | {key: given.where for key, (_, given, _) in chosen.items()}
    _one_at_a_time(chosen, values, origins)
    if "agent_command" in values and "agent" not in values:
        values["agent"], origins["agent"] = "command", origins["agent_command"]
    return Loaded(settings=Settings.model_validate(values), warnings=tuple(warnings), origins=origins)


def _file_layers(repository: Path | None, config_file: Path | None) -> list[list[Given]]:
    cto = from_cto_config(repository / "cto-config.json") if repository else []
    base = repository or (config_file.resolve().parent if config_file else None)
    config: list[Given] = []
    if config_file is not None:
        config = from_toml(config_file, base=base)
    elif repository is not None and (default := repository / ".flow" / "maestro" / "config.toml").exists():
        config = from_toml(default, base=base)
    project = from_pyproject(repository / "pyproject.toml", base=repository) if repository else []
    return [cto, config, project]


def _unknown(given: Given) -> ConfigWarning:
    import difflib  # to refuse something, and then alone

    near = difflib.get_close_matches(given.key, KEYS, n=1)
    better = f", did you mean {near[0]}?" if near else ""
    is_file = given.line is not None or given.file != given.written
    subject = f"unknown key {given.written}" if is_file else "this is not a setting of maestro"
    return ConfigWarning(message=subject + better, file=given.file, line=given.line)


def _checked(given: Given) -> Any:
    """The value with its final type; BadInput says where it stands and what was expected."""
    try:
        checked = Settings.model_validate({given.key: given.value})
    except ValidationError as error:
        is_flag = given.written.startswith("--")
        raise BadInput(
            f"{_subject(given)} must be {_expected(error)}, not {given.value!r:.80}",
            hint=f"see {given.written} in the --help"
            if is_flag
            else "`maestro init` writes a file with every key explained",
        ) from error
    value = getattr(checked, KEYS[given.key])
    if isinstance(value, tuple):
        return tuple(_resolved(one, given.base) for one in value)
    return _resolved(value, given.base)


def _resolved(value: Any, base: Path | None) -> Any:
    """A path as an absolute one; anything else as it is."""
    if not isinstance(value, Path) or value == Path("-"):
        return value
    value = value.expanduser()
    return value if base is None else base / value


def _subject(given: Given) -> str:
    """The key or flag, with its place where that says more."""
    return given.written if given.where == given.written else f"{given.where}: {given.written}"


def _expected(error: ValidationError) -> str:
    """What would have been right, in words."""
    first = error.errors()[0]
    context = first.get("ctx", {})
    match first["type"]:
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "a whole number"
        case "float_parsing" | "float_type" | "value_error" | "finite_number":
            return "a number"
        case "bool_parsing" | "bool_type":
            return "true or false"
        case "greater_than_equal":
            return f"at least {context['ge']:g}"
        case "greater_than":
            return f"more than {context['gt']:g}"
        case "literal_error" | "enum":
            return f"one of {str(context['expected']).replace(' or ', ', ')}".replace("'", "")
        case "string_too_short":
            return "a text that is not empty"
        case other:
            return _EXPECTED.get(other, "a text")


_A_RESOURCE = "a table of numbers, or of tables such as { slots = 2 }"
_EXPECTED = {
    "tuple_type": "a list of texts",
    "list_type": "a list of texts",
    "dict_type": "a table",
    "path_type": "a path",
    "string_pattern_mismatch": "a table whose names are letters, digits, dots, hyphens and underscores",
    "model_type": _A_RESOURCE,
    "extra_forbidden": _A_RESOURCE,
}


def _drop_weaker(chosen: dict[str, tuple[int, Given, Any]]) -> None:
    """`--no-tests` puts out a test command of the file, `--test-command` a `no_tests` of it, and so on."""
    for one, other in EITHER:
        if one not in chosen or other not in chosen:
            continue
        left, right = chosen[one], chosen[other]
        if left[0] > right[0]:
            del chosen[other]
        elif right[0] > left[0]:
            if right[2] is False or right[2] in ("auto", "command"):
                continue  # says no more than the default, or asks for the very thing
            del chosen[one]
        elif (one == "test_command" and right[2]) or (one == "agent_command" and right[2] != "command"):
            raise BadInput(
                f"{_subject(left[1])} and {_subject(right[1])} exclude each other",
                hint="give one of them",
            )


def _one_at_a_time(chosen: dict[str, tuple[int, Given, Any]], values: dict[str, Any], origins: dict[str, str]) -> None:
    """`parallel-execution: false` means one at a time, unless a stronger source says how many."""
    if values.get("parallel_execution") is not False:
        return
    if "max_parallel" in chosen and chosen["max_parallel"][0] > chosen["parallel_execution"][0]:
        return
    values["max_parallel"], origins["max_parallel"] = 1, origins["parallel_execution"]
