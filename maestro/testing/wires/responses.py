"""The OpenAI Responses API, as `codex` speaks it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maestro.testing.wires.base import Body, Call, Turn
from maestro.testing.wires.offered import in_words_of
from maestro.testing.wires.openai import OpenAi


class Responses(OpenAi):
    """`POST …/responses`."""

    name = "responses"

    def serves(self, path: str) -> bool:
        """Clients put it below a base of their own."""
        return path.endswith("/responses")

    def conversation(self, body: Body) -> str:
        """Clients name the session as the key of the prompt cache."""
        return str(body.get("prompt_cache_key") or "")

    def turns(self, body: Body) -> Sequence[Turn]:
        """Items in a row from one side are its turn; calls of one answer stay one turn where outputs stand between."""
        given = body.get("input") or []
        if isinstance(given, str):
            return [Turn("user", given)]
        turns: list[Turn] = []
        answers: set[str] = set()
        for item in given:
            answer = _answer_of(item)
            if item.get("role") in ("developer", "system"):
                continue
            if answer is None:
                turns.append(Turn("user", _text(item.get("content"))))
            else:
                if not (answer in answers or (turns and turns[-1].role == "assistant")):
                    turns.append(Turn("assistant", ""))
                answers |= {answer} - {""}
        return turns

    def wants_stream(self, path: str, body: Body) -> bool:
        """Said in the body."""
        return bool(body.get("stream"))

    def answer(self, body: Body, text: str, calls: Sequence[Call]) -> dict[str, Any]:
        """A whole response."""
        answer = uuid.uuid4().hex[:16]
        offered = dict(_tools(body))
        output = [
            {**_call(call, offered), "id": f"fc_{answer}_{index}", "call_id": f"call_{answer}_{index}"}
            for index, call in enumerate(calls)
        ]
        said = {"type": "output_text", "text": text, "annotations": []}
        message = {"type": "message", "id": f"msg_{answer}", "role": "assistant", "status": "completed"}
        return {
            "id": f"resp_{answer}",
            "object": "response",
            "status": "completed",
            "model": body.get("model", "scripted"),
            "output": output or [{**message, "content": [said]}],
            "usage": {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 40},
                "output_tokens": 20,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 120,
            },
        }

    def stream(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """Numbered events, with the text and the arguments of calls as one delta each."""
        for number, event in enumerate(_events(answer)):
            yield f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode()


def _tools(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The client's tools with their schemas, those in folders and those that come as an item included."""
    waiting = [*(body.get("tools") or ())]
    if isinstance(body.get("input"), list):
        waiting += [tool for item in body["input"] for tool in item.get("tools") or ()]
    for tool in waiting:
        waiting += tool.get("tools") or ()
        if tool.get("name"):
            yield tool["name"], tool.get("parameters") or {}


def _call(call: Call, offered: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The tool call as an item; a client that takes programs instead of calls gets one of a line."""
    if "exec" in offered and "exec_command" not in offered and call.tool in ("write", "bash"):
        name, given = in_words_of(call, {"exec_command": {}})
        program = f"text(await tools.{name}({json.dumps(given)}));"
        return {"type": "custom_tool_call", "name": "exec", "input": program, "status": "completed"}
    name, given = in_words_of(call, offered)
    made = {"type": "function_call", "name": name, "arguments": json.dumps(given), "status": "completed"}
    folder, _, inner = name.rpartition("__")
    if folder and name not in offered and folder in offered:  # tools of MCP servers lie in a folder each
        made |= {"namespace": folder, "name": inner}
    return made


def _answer_of(item: Mapping[str, Any]) -> str | None:
    """None for what the user's side says; else the answer an item of the assistant belongs to, "" where not told."""
    kind = str(item.get("type") or "message")
    if kind == "message":
        return "" if item.get("role") == "assistant" else None
    if kind.endswith("_output"):
        return None
    parts = str(item.get("call_id") or "").split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "call" else ""


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if part.get("type") == "input_text")


def _events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    for index, item in enumerate(response["output"]):
        where = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            (part,) = item["content"]
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}}
            yield {
                "type": "response.content_part.added",
                **where,
                "content_index": 0,
                "part": {**part, "text": ""},
            }
            yield {"type": "response.output_text.delta", **where, "content_index": 0, "delta": part["text"]}
            yield {"type": "response.output_text.done", **where, "content_index": 0, "text": part["text"]}
            yield {"type": "response.content_part.done", **where, "content_index": 0, "part": part}
        else:
            given, kind = (
                ("input", "custom_tool_call_input") if "input" in item else ("arguments", "function_call_arguments")
            )
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, given: ""}}
            yield {"type": f"response.{kind}.delta", **where, "delta": item[given]}
            yield {"type": f"response.{kind}.done", **where, given: item[given]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": response}
