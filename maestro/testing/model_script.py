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
    each of them with "usage": {…}           laid over the `usage` of the answer, in the words of the client's API
Before an answer:
    {"sleep": SECONDS}                       wait
    {"status": CODE, "times": N, "retry_after": SECONDS, "headers": {…}, "message": TEXT}   refuse with that status;
                                             "body": {…} instead of the message is the whole answer
    {"drop": true, "times": N}               break the connection in mid-stream
    {"hang": true, "times": N}               never answer
`times` is how often it happens at that place of one conversation, 1 when not given, 0 for always.

Which step comes next is read from the request: the newest user text that holds a script decides, and the number of
the assistant's turns after it is the number of answers given. So retries, resumed conversations, sub-agents and many
clients at once need no state; only `times` is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from maestro.testing.wires.base import Call, Turn

Step = Mapping[str, Any]

_BLOCK = re.compile(r"^ {0,3}(`{3,})maestro-script[^\n]*\n(.*?)^ {0,3}\1`*\s*$", re.DOTALL | re.MULTILINE)
_ANSWERS = frozenset({"say", "write", "bash", "tool", "tools"})
_FAULTS = frozenset({"status", "drop", "hang"})


class Position(NamedTuple):
    """Where a conversation stands: what may come before the next answer, and that answer (None: the script is over)."""

    script: str
    number: int  # answers given so far
    before: tuple[Step, ...]
    answer: Step | None


class ScriptError(Exception):
    """The script in a prompt cannot be used; the text goes to the client as a 400."""


def position(turns: Sequence[Turn], default: Callable[[str], Sequence[Step]]) -> Position:
    """Read the position from a conversation. `default` makes the script of a prompt without one."""
    number, prompt = 0, ""
    for turn in reversed(turns):
        if turn.role == "assistant":
            number += 1
            continue
        prompt = turn.text or prompt
        if match := _BLOCK.search(turn.text):
            return _at(match[2], _parse(match[2]), number)
    return _at(prompt, list(default(prompt)), number)


def tool_calls(answer: Step) -> list[Call]:
    """The tools an answer calls."""
    if "bash" in answer:
        return [Call("bash", {"command": answer["bash"]})]
    if "write" in answer:
        return [Call("write", {"path": str(answer["write"]["path"]), "content": answer["write"].get("content", "")})]
    if "tool" in answer:
        return [Call(answer["tool"]["name"], dict(answer["tool"].get("input", {})))]
    return [call for step in answer.get("tools", ()) for call in tool_calls(step)]


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
