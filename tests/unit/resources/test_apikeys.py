"""Keys from variables and commands: what is taken, what is refused, and that no value is ever said."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.resources import apikeys
from maestro.resources.apikeys import read_keys

A, B = "sk-ant-api03-aaaaaaaa", "sk-ant-api03-bbbbbbbb"
JWT = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "none"}, {"s": 1}, {}))


def refused(*names: str, command: str | None = None, **environ: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_keys("anthropic", names, command, environ)
    return caught.value


def test_variables_come_before_what_the_command_prints() -> None:
    keys = read_keys("openai", ["K"], f"echo; echo '  {B}  '", {"K": f" {A}\n"})
    assert [(key.value, key.origin) for key in keys] == [(A, "K"), (B, "line 1 of the command")]
    assert A not in repr(keys)


def test_the_command_sees_the_environment() -> None:
    assert [key.value for key in read_keys("openai", [], 'echo "$ELSEWHERE"', {"ELSEWHERE": A})] == [A]


def test_missing_variables_are_named() -> None:
    error = refused("A", "B", "C", A=A, C="  ")
    assert error.message == "[keys.anthropic]: B, C are not set"
    assert "export B=" in error.hint
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "value",
    ["sk-ant-oat01-abcdefgh", "sk-ant-ort01-abcdefgh", JWT, "ya29.abcdefghij", "sess-abcdefgh", '{"a":"bcdefgh"}'],
)
def test_logins_are_refused_and_not_shown(value: str) -> None:
    error = refused("K", K=value)
    assert "not an API key" in error.message
    assert value not in f"{error.message} {error.hint}"


@pytest.mark.parametrize("value", ["short", "two words here", "schlüssel-123"])
def test_what_is_no_key_is_refused_and_not_shown(value: str) -> None:
    error = refused("K", K=value)
    assert error.message == "[keys.anthropic]: K does not hold an API key"


def test_a_key_in_place_of_a_name_is_refused_and_not_shown() -> None:
    error = refused(A)
    assert A not in f"{error.message} {error.hint}"
    assert "not the name of a variable" in error.message


def test_one_key_under_two_names_is_one_key() -> None:
    assert "K and L hold the same key" in refused("K", "L", K=A, L=A).message


def test_a_pool_without_keys() -> None:
    assert "names no key" in refused().message


@pytest.mark.parametrize(
    ("command", "said"),
    [("true", "printed no key"), (f"echo {A}; exit 3", "ended with exit code 3"), ("echo {", "the file of a login")],
)
def test_commands_that_fail(command: str, said: str) -> None:
    error = refused(command=command)
    assert said in error.message
    assert A not in f"{error.message} {error.hint}"


def test_a_command_that_hangs_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(apikeys, "COMMAND_SECONDS", 0.2)
    assert "did not end within 0.2 s" in refused(command=f"echo {A}; sleep 60 & wait").message


def test_a_command_that_prints_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apikeys, "COMMAND_SECONDS", 20.0)
    error = refused(command=f"yes {A}")
    assert "printed more than keys are long" in error.message
    assert A not in error.message + error.hint
