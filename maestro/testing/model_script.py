"""The script language of the model server: what the "model" does, step by step, found in the prompt itself.

A prompt holds a fenced block, a JSON list of steps:

    ```maestro-script
    [{"write": {"path": "a.txt", "content": "x"}}, {"bash": "git add -A && git commit -qm x"}, {"say": "done"}]
    ```

Answers, each one assistant message:
    {"say": TEXT}                            text, and the turn ends
    {"write": {"path": P, "content": C}}     the file-writing tool; P relative to the agent's working directory
    {"bash": COMMAND}                        the shell tool
    {"tool": {"name": N, "input": {…}}}      any tool
    {"tools": [STEP, …]}                     several tool calls in one message
Before an answer:
    {"sleep": SECONDS}                       wait
    {"status": CODE, "times": N, "retry_after": SECONDS, "headers": {…}, "message": TEXT}   refuse with that status
    {"drop": true, "times": N}               break the connection in mid-stream
    {"hang": true, "times": N}               never answer
`times` is how often it happens at that place of one conversation, 1 when not given, 0 for always.

Which step comes next is read from the request: the newest user text that holds a script decides, and the number of
assistant messages after it is the number of answers given. So retries, resumed conversations, sub-agents and many
clients at once need no state; only `times` is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Step = Mapping[str, Any]

_BLOCK = re.compile(r"^ {0,3}(`{3,})maestro-script[^\n]*\n(.*?)^ {0,3}\1`*\s*$", re.DOTALL | re.MULTILINE)
_ANSWERS = frozenset({"say", "write", "bash", "tool", "tools"})
_FAULTS = frozenset({"status", "drop", "hang"})
_DIRECTORY = re.compile(r"[Ww]orking directory: ([^\n]+)")


class Position(NamedTuple):
    """Where a conversation stands: what may come before the next answer, and that answer (None: the script is over)."""

    script: str
    number: int  # answers given so far
    before: tuple[Step, ...]
    answer: Step | None


class ScriptError(Exception):
    """The script in a prompt cannot be used; the text goes to the client as a 400."""


def position(request: Mapping[str, Any], default: Callable[[str], Sequence[Step]]) -> Position:
    """Read the position from the body of a /v1/messages request. `default` makes the script of a prompt without one."""
    number, prompt = 0, ""
    for message in reversed(request.get("messages") or []):
        if message.get("role") == "assistant":
            number += 1
            continue
        text = _text(message)
        prompt = text or prompt
        if match := _BLOCK.search(text):
            return _at(match[2], _parse(match[2]), number)
    return _at(prompt, list(default(prompt)), number)


def tool_calls(answer: Step, directory: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and inputs of the tools an answer calls."""
    if "bash" in answer:
        return [("Bash", {"command": answer["bash"], "description": "scripted"})]
    if "write" in answer:
        path = str(answer["write"]["path"])
        absolute = path if path.startswith("/") else f"{directory}/{path}"
        return [("Write", {"file_path": absolute, "content": answer["write"].get("content", "")})]
    if "tool" in answer:
        return [(answer["tool"]["name"], dict(answer["tool"].get("input", {})))]
    return [call for step in answer.get("tools", ()) for call in tool_calls(step, directory)]


def working_directory(request: Mapping[str, Any]) -> str:
    """The agent's working directory, which its system prompt names; "." where it does not."""
    match = _DIRECTORY.search(_joined(request.get("system"))) or next(
        (found for message in request.get("messages") or [] if (found := _DIRECTORY.search(_text(message)))), None
    )
    return match[1].strip() if match else "."


def _at(script: str, steps: Sequence[Step], number: int) -> Position:
    answers = -1
    before: list[Step] = []
    for step in steps:
        if _ANSWERS & step.keys():
            answers += 1
            if answers == number:
                return Position(script, number, tuple(before), step)
            before = []
        else:
            before.append(step)
    # past the last answer, what stands at the end of the script comes before a plain "done"
    return Position(script, number, tuple(before) if number == answers + 1 else (), None)


def _parse(text: str) -> list[Step]:
    try:
        steps = json.loads(text)
    except ValueError as error:
        raise ScriptError(f"the maestro-script is not JSON: {error}") from error
    if not isinstance(steps, list):
        raise ScriptError("the maestro-script is not a list")
    for step in steps:
        if not isinstance(step, dict) or not (_ANSWERS | _FAULTS | {"sleep"}) & step.keys():
            raise ScriptError(f"the maestro-script has a step nobody knows: {json.dumps(step)}")
    return steps


def _text(message: Mapping[str, Any]) -> str:
    return _joined(message.get("content"))


def _joined(content: Any) -> str:
    """Text of a string or of a list of blocks; results of tools are not the user's words."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content or [] if block.get("type") == "text")
