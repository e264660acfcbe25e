"""A scripted model that plays a session of Claude Code with maestro's commands, and the subagents it launches.

The session does what the command file tells it: the command lines are taken from there, the launches from what
`maestro delegate` answered. A subagent does what its prompt tells it: it takes its workspace and its last command from
there. How it behaves is said by a word in the description of its task:

    plain      writes a file, commits it, reports
    forgets    writes and commits, and never reports
    idle       does nothing and says it is done, however often it is sent back
    lazy       the same, until it is sent back
    dies       writes a file, then its model answers no more
    strays     writes into the user's checkout first, and follows what it is told then
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from maestro.testing.model_script import Step

Body = dict[str, Any]
MOVES = "plain forgets idle lazy dies strays"


class PlayedSession:
    """The default of a model server. `types`: the subagents that the session offers.

    `hasty` ends its turn when the first subagents have come back; `stubborn` whenever it is told to go on, too.
    `background` launches subagents that it does not wait for.
    """

    def __init__(self, types: str = "general-purpose,Explore") -> None:
        self.types = types
        self.hasty = self.stubborn = self.background = False
        self.launches: list[list[str]] = []  # descriptions, by message
        self.kept: list[str] = []  # what hooks said when it wanted to end its turn

    def __call__(self, prompt: str, body: Body) -> Sequence[Step]:
        past: list[Step] = [{"say": ""}] * sum(message["role"] == "assistant" for message in body["messages"])
        if re.search(r"^maestro-task: ", prompt, re.MULTILINE):
            return subagent(prompt, body, past)
        if "<command-name>/flow:implement</command-name>" in prompt:
            return [*past, self._next(prompt, body)]
        if re.search(r"<command-name>/flow:(plan|status|cleanup)</command-name>", prompt):
            calls = last_calls(body)
            return [*past, {"say": calls[-1][1]} if calls else {"bash": self._line(prompt, "")}]
        return [*past, {"say": f"what is {prompt[:200]}"}]

    def _next(self, prompt: str, body: Body) -> Step:
        calls = last_calls(body)
        if not past_calls(body):
            return {"bash": self._line(prompt, "run" if "--headless" in prompt_arguments(prompt) else "delegate start")}
        if ended := [text for text in own_words(body) if text.startswith("It ended: ")]:
            return {"say": ended[0]}  # woken once more, by a subagent that worked in the background
        if kept := [text for text in last_words(body) if "Stop hook feedback" in text]:
            self.kept += kept
        if self.stubborn or (self.hasty and not self.kept and calls and calls[0][0] == "Agent"):
            return {"say": "Good enough."}
        answers = [result for name, result in calls if name == "Bash"]
        if not answers:  # subagents have come back, or a hook does not let the session end
            return {"bash": self._line(prompt, "delegate next", run_id(body))}
        _, brace, rest = answers[-1].partition("{")  # a failure begins with its exit code
        if not brace:  # that was `maestro wait`
            return {"say": f"It ended: {answers[-1]}"}
        stands, _ = json.JSONDecoder().raw_decode(brace + rest)
        if "error" in stands:
            return {"say": stands["error"]["message"]}
        if stands.get("launch"):
            self.launches.append([one["description"] for one in stands["launch"]])
            keys = ("subagent_type", "description", "prompt")
            more = {"run_in_background": True} if self.background else {}
            return {
                "tools": [
                    {"tool": {"name": "Agent", "input": {**{key: one[key] for key in keys}, **more}}}
                    for one in stands["launch"]
                ]
            }
        if stands["status"] == "running" and "launch" in stands:
            return {"bash": self._line(prompt, "delegate next", stands["run_id"])}
        return {"bash": self._line(prompt, "wait", stands["run_id"])}

    def _line(self, prompt: str, command: str, run: str = "") -> str:
        """The line of the command file that has the command, with its words in capitals filled in."""
        line = re.findall(rf"^ {{4,}}(maestro {command}.*)$", prompt, re.MULTILINE)[0]
        options = prompt_arguments(prompt).replace("--headless", "")
        filled = {"OPTIONS": options, "TYPES": self.types, "RUN_ID": run}
        return re.sub("OPTIONS|TYPES|RUN_ID", lambda word: filled[word[0]], line)


def prompt_arguments(prompt: str) -> str:
    """The words after the slash command."""
    found = re.search(r"<command-args>(.*?)</command-args>", prompt, re.DOTALL)
    return found[1] if found else ""


def own_words(body: Body) -> list[str]:
    """What the session said so far."""
    said = [block for message in body["messages"] if message["role"] == "assistant" for block in _blocks(message)]
    return [str(block["text"]) for block in said if block.get("type") == "text"]


def last_words(body: Body) -> list[str]:
    """What the user's side said last."""
    last = body["messages"][-1]
    content = last.get("content") or ""
    return [content] if isinstance(content, str) else [str(block.get("text", "")) for block in content]


def subagent(prompt: str, body: Body, past: list[Step]) -> Sequence[Step]:
    """The steps of a subagent so far, and the next one."""
    mark = re.search(r"^maestro-task: (\S+) (.+) (\d+)$", prompt, re.MULTILINE)
    workspace = re.search(r"Work only in `([^`]+)`", prompt)
    report = re.search(r"^(.* report --run-id .*)$", prompt, re.MULTILINE)
    behaves = re.search(rf"behaves: ({MOVES.replace(' ', '|')})", prompt)
    assert mark, prompt
    assert workspace, prompt
    assert report, prompt
    name, where, how = mark[2], workspace[1], behaves[1] if behaves else "plain"
    write: Step = {"write": {"path": f"{where}/{name}.txt", "content": f"{name}\n"}}
    commit: Step = {"bash": f"cd '{where}' && git add -A && git commit -qm 'Add {name}'"}
    tell: Step = {"bash": report[1].replace("what you did", f"made {name}")}
    if how == "strays":
        users = re.search(r"Do not touch `([^`]+)`", prompt)
        assert users
        stray: Step = {"write": {"path": f"{users[1]}/{name}.txt", "content": f"{name}\n"}}
        told = re.search(r"write to (\S+) instead", last_calls(body)[-1][1]) if len(past) == 1 else None
        follow: Step = {"write": {"path": told[1] if told else "/nowhere", "content": f"{name}\n"}}
        return [stray, follow, commit, tell, {"say": f"Made {name}."}]
    if how == "dies":
        return [write, {"status": 400, "times": 0, "message": "odd"}, {"say": "never"}]
    if how in ("idle", "lazy"):
        sent_back = [{"say": "All done!"}] * len(past) if how == "idle" else [write, commit, tell]
        return [{"say": "All done!"}, *sent_back, {"say": "All done!"}]
    return [write, commit, *([tell] if how == "plain" else []), {"say": f"Made {name}."}]


def past_calls(body: Body) -> list[Body]:
    """All tool calls of the conversation."""
    return [block for message in body["messages"] for block in _blocks(message) if block.get("type") == "tool_use"]


def last_calls(body: Body) -> list[tuple[str, str]]:
    """Name and result of the tools that the last answer called; nothing where it called none."""
    last = next((message for message in reversed(body["messages"]) if message["role"] == "assistant"), None)
    names = {block["id"]: block["name"] for block in _blocks(last or {}) if block.get("type") == "tool_use"}
    return [(names[one["tool_use_id"]], _text(one)) for one in _results(body) if one["tool_use_id"] in names]


def run_id(body: Body) -> str:
    """The run, as the first answer of `maestro delegate` names it."""
    return str(next(json.loads(_text(one))["run_id"] for one in _results(body) if '"run_id"' in _text(one)))


def _results(body: Body) -> Iterator[Body]:
    for message in body["messages"]:
        yield from (block for block in _blocks(message) if block.get("type") == "tool_result")


def _blocks(message: Body) -> list[Body]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _text(result: Body) -> str:
    content = result.get("content")
    return content if isinstance(content, str) else "\n".join(str(block.get("text", "")) for block in content or [])
