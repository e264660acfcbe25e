"""Any command line as an agent (`--agent-command`).

The command is run by `sh -c` in the workspace. `{prompt_file}`, `{workspace}` and `{task_id}` stand for their values,
quoted for the shell wherever they stand (outside quotes or inside), so that no task id can become shell code; all
other braces are the shell's. A command that does not name `{prompt_file}` gets the prompt on standard input.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
from collections.abc import Mapping, Sequence

from maestro.agents.base import Availability, Claim, Heard, Invocation, Job, Told, Verdict
from maestro.errors import BadInput
from maestro.model.record import Record
from maestro.proc.capture import capture

_PLACEHOLDERS = {
    "{prompt_file}": "MAESTRO_PROMPT_FILE",
    "{workspace}": "MAESTRO_WORKSPACE_DIR",
    "{task_id}": "MAESTRO_TASK_ID",
}
_TOKEN = re.compile(r"\\.|'|\"|\{(?:prompt_file|workspace|task_id)\}", re.DOTALL)
_PLAIN_WORD = re.compile(r"\s*([A-Za-z0-9_.+-]+|/[A-Za-z0-9_./+-]+)(?=\s|$)")


class CommandOptions(Record):
    """`command` is a shell command line; all commands of one `account` wait together on its limits."""

    command: str
    account: str = "command"


def _is_found(word: str, env: Mapping[str, str]) -> bool:
    """Whether a shell finds it: a program, as nearly always, for which no shell need be asked, or a word of its own."""
    if shutil.which(word, path=env.get("PATH", "")) is not None:
        return True
    return capture(["/bin/sh", "-c", 'command -v -- "$1"', "sh", word], env=env).code == 0


class CommandAgent:
    """Runs the user's command; its exit code is all it says."""

    name = "command"
    streams = False
    resumes = False
    tells: frozenset[Told] = frozenset()
    bounds: frozenset[Told] = frozenset()

    def __init__(self, options: CommandOptions) -> None:
        if not options.command.strip():
            raise BadInput("the agent command is empty", hint="give one with --agent-command")
        self.account = options.account
        self._command = options.command
        self._script = substitute(options.command)

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Looks for the first word, where it is a plain one; what the shell must work out is left to the shell."""
        word = _PLAIN_WORD.match(self._command)
        if word and not _is_found(word[1], env):
            return Availability(available=False, detail=f"command not found: {word[1]}", hint="see --agent-command")
        return Availability(available=True, detail=self._command)

    def env_names(self) -> tuple[str, ...]:
        """None beyond those every agent gets."""
        return ()

    def invocation(self, job: Job) -> Invocation:
        """`sh -c`; the values are in the environment and the script holds references to them."""
        return Invocation(
            argv=("/bin/sh", "-c", self._script),
            env={
                "MAESTRO_PROMPT_FILE": str(job.prompt_file),
                "MAESTRO_WORKSPACE_DIR": str(job.workspace),
                "MAESTRO_TASK_ID": job.task_id,
            },
            stdin_file=None if "{prompt_file}" in self._command else job.prompt_file,
        )

    def reader(self) -> CommandReader:
        """A reader that only counts."""
        return CommandReader()


class CommandReader:
    """Output of a command is for people; nothing in it is taken for an event."""

    ended = False
    heard = Heard.NOTHING

    def __init__(self) -> None:
        self.bytes_read = 0

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Counts."""
        self.bytes_read += len(chunk)
        return ()

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """Exit code 0 claims done, everything else failed."""
        if exit_code == 0:
            return Verdict(claim=Claim.DONE)
        return Verdict(
            claim=Claim.FAILED, reason=explain_exit(exit_code, stderr_tail), retryable=exit_code not in (126, 127)
        )


def substitute(command: str) -> str:
    """The shell script in which each placeholder is a reference to a variable, with the quoting its place needs."""
    quote = ""

    def replace(match: re.Match[str]) -> str:
        nonlocal quote
        token = match[0]
        if token in _PLACEHOLDERS:
            reference = f"${{{_PLACEHOLDERS[token]}}}"
            return {"": f'"{reference}"', '"': reference, "'": f"'\"{reference}\"'"}[quote]
        if token in ("'", '"'):
            quote = {"": token, token: ""}.get(quote, quote)
        elif quote == "'":  # a backslash is itself in there, and may stand before the closing quote
            return "\\" + _TOKEN.sub(replace, token[1:])
        return token

    return _TOKEN.sub(replace, command)


def explain_exit(exit_code: int | None, stderr_tail: str) -> str:
    """A clause for people about a bad exit code."""
    if exit_code is None:
        return "killed before an exit status could be recorded"
    last = next((line.strip() for line in reversed(stderr_tail.splitlines()) if line.strip()), "")[:300]
    if exit_code == 127:
        return f"command not found: {last}" if last else "command not found (exit code 127)"
    reason = f"exit code {exit_code}"
    if exit_code > 128:
        with contextlib.suppress(ValueError):
            reason += f" ({signal.Signals(exit_code - 128).name})"
    return f"{reason}: {last}" if last else reason
