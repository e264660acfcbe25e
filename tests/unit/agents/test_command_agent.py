from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from maestro.agents.base import Claim, Job
from maestro.agents.command import CommandAgent, CommandOptions
from maestro.errors import BadInput
from maestro.testing.processes import python

SHOW = " ".join(f"'{word}'" for word in python("import sys; print(sys.argv[1:])"))


def run(command: str, folder: Path, task_id: str = "T1") -> str:
    """What the command prints when it is run as the engine would."""
    prompt_file = folder / "a prompt.md"
    prompt_file.write_text("the prompt")
    job = Job(
        task_id=task_id,
        prompt="the prompt",
        prompt_file=prompt_file,
        workspace=folder,
        state_dir=folder,
        client_config=folder / "c.json",
    )
    asked = CommandAgent(CommandOptions(command=command)).invocation(job)
    stdin = asked.stdin_file.read_bytes() if asked.stdin_file else b""
    return subprocess.run(
        asked.argv, input=stdin, env={**os.environ, **asked.env}, cwd=folder, check=True, capture_output=True
    ).stdout.decode()


HOSTILE = 'a/b c:d\'; echo "$(echo pwned)" `echo pwned` \\ \n *'


@pytest.mark.parametrize("task_id", ["T1", HOSTILE, "", "-x", "ü"])
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("{task_id}", "{}"),
        ('"{task_id}"', "{}"),
        ("'{task_id}'", "{}"),
        ('"a {task_id} b"', "a {} b"),
        ("'a {task_id} b'", "a {} b"),
        ("x{task_id}y", "x{}y"),
        ('"it\'s {task_id}"', "it's {}"),
        ("'\\'{task_id}'\\'", "\\{}\\"),
        ("\\'{task_id}\\'", "'{}'"),
        ('"\\"{task_id}\\""', '"{}"'),
    ],
)
def test_a_placeholder_is_one_word_wherever_it_stands(
    tmp_path: Path, command: str, expected: str, task_id: str
) -> None:
    assert run(f"{SHOW} {command}", tmp_path, task_id) == f"{[expected.format(task_id)]}\n"


def test_even_where_the_quoting_is_misread_a_value_never_becomes_code(tmp_path: Path) -> None:
    for command in ('echo "$(echo {task_id})"', "cat <<E\ndon't {task_id}\nE", "# don't\necho {task_id}"):
        run(command, tmp_path, "$(touch pwned) `touch pwned`; touch pwned")
    assert not (tmp_path / "pwned").exists()


def test_all_placeholders_have_their_values(tmp_path: Path) -> None:
    said = run(SHOW + " {prompt_file} {workspace} {task_id}", tmp_path)
    assert said == f"{[str(tmp_path / 'a prompt.md'), str(tmp_path), 'T1']}\n"


def test_other_braces_are_left_to_the_shell(tmp_path: Path) -> None:
    assert run("X=y; echo ${X} {a,b} { {unknown} ${X:-{}}", tmp_path) == "y {a,b} { {unknown} y}\n"


def test_the_prompt_comes_on_standard_input_unless_its_file_is_named(tmp_path: Path) -> None:
    assert run("cat", tmp_path) == "the prompt"
    assert run("cat; cat {prompt_file}; echo .", tmp_path) == "the prompt.\n"


@pytest.mark.parametrize(
    ("code", "stderr", "claim", "reason", "retryable"),
    [
        (0, "rate limit", Claim.DONE, "", True),
        (1, "", Claim.FAILED, "exit code 1", True),
        (3, "Traceback\n  ValueError: no\n\n", Claim.FAILED, "exit code 3: ValueError: no", True),
        (127, "sh: 1: foo: not found\n", Claim.FAILED, "command not found: sh: 1: foo: not found", False),
        (127, "", Claim.FAILED, "command not found (exit code 127)", False),
        (126, "", Claim.FAILED, "exit code 126", False),
        (137, "", Claim.FAILED, "exit code 137 (SIGKILL)", True),
        (143, "bye", Claim.FAILED, "exit code 143 (SIGTERM): bye", True),
        (255, "", Claim.FAILED, "exit code 255", True),
        (1, "429 usage limit reached", Claim.FAILED, "exit code 1: 429 usage limit reached", True),
        (None, "", Claim.FAILED, "killed before an exit status could be recorded", True),
    ],
)
def test_verdicts(code: int | None, stderr: str, claim: Claim, reason: str, retryable: bool) -> None:
    reader = CommandAgent(CommandOptions(command="x")).reader()
    assert reader.feed(b'{"type":"result"}\n') == ()
    verdict = reader.verdict(code, stderr)
    assert (verdict.claim, verdict.reason, verdict.retryable) == (claim, reason, retryable)
    assert not reader.ended


@pytest.mark.parametrize(
    ("command", "available"),
    [
        ("no-such-command-here --x", False),
        ("/no/such/file {prompt_file}", False),
        ("sh -c true", True),
        ("/bin/sh -c true", True),
        ("cd x && make", True),
        ("if true; then :; fi", True),
        ("X=1 no-such-command-here", True),  # only the shell knows
        ("./agent.sh", True),  # relative to the workspace
        ("$AGENT", True),
    ],
)
def test_availability(command: str, available: bool) -> None:
    found = CommandAgent(CommandOptions(command=command)).availability(dict(os.environ))
    assert found.available is available
    if not available:
        assert found.detail == f"command not found: {command.split(maxsplit=1)[0]}"
        assert found.hint


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(BadInput, match="empty"):
        CommandAgent(CommandOptions(command="  "))
