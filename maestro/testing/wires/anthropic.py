"""The Anthropic Messages API, as `claude` speaks it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maestro.testing.wires.base import Body, Call, Turn

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_SESSION = re.compile(r'"session_id":\s*"([^"]+)"')
_DIRECTORY = re.compile(r"[Ww]orking directory: ([^\n]+)")


class Anthropic:
    """`POST /v1/messages` and `/v1/messages/count_tokens`."""

    name = "anthropic"

    def serves(self, path: str) -> bool:
        """Whatever begins with the one endpoint it has."""
        return path.startswith("/v1/messages")

    def aside(self, path: str, body: Body) -> dict[str, Any] | None:
        """Counts tokens, four bytes each."""
        return {"input_tokens": max(1, len(json.dumps(body)) // 4)} if path.endswith("/count_tokens") else None

    def model(self, path: str, body: Body) -> str:
        """Named in the body."""
        return str(body.get("model", ""))

    def conversation(self, body: Body) -> str:
        """`metadata` holds the session; beside it the device, whose id may change between two requests of a session:
        clients that start at the same time in a new HOME each make one, and the last that is written counts for all."""
        metadata = body.get("metadata")
        if not metadata:
            return ""
        session = _SESSION.search(str(metadata.get("user_id", "")))
        return session[1] if session else json.dumps(metadata, sort_keys=True)

    def turns(self, body: Body) -> Sequence[Turn]:
        """A message is a turn."""
        return [
            Turn("assistant" if message.get("role") == "assistant" else "user", _text(message.get("content")))
            for message in body.get("messages") or []
        ]

    def wants_stream(self, path: str, body: Body) -> bool:
        """Said in the body."""
        return bool(body.get("stream"))

    def answer(self, body: Body, text: str, calls: Sequence[Call]) -> dict[str, Any]:
        """A whole assistant message."""
        content: list[dict[str, Any]] = [
            {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": name, "input": given}
            for name, given in (_tool(call, _directory(body)) for call in calls)
        ]
        return {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "scripted"),
            "content": content or [{"type": "text", "text": text}],
            "stop_reason": "tool_use" if content else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 20},
        }

    def stream(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """Named events, with the text and the input of tools as one delta each."""
        for event in _events(answer):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    def refusal(self, status: int, message: str) -> dict[str, Any]:
        """Its kinds of error have names."""
        return {"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}}


def _tool(call: Call, directory: str) -> tuple[str, dict[str, Any]]:
    match call.tool:
        case "bash":
            return "Bash", {"command": call.arguments["command"], "description": "scripted"}
        case "write":
            path = str(call.arguments["path"])
            absolute = path if path.startswith("/") else f"{directory}/{path}"
            return "Write", {"file_path": absolute, "content": call.arguments["content"]}
    return call.tool, dict(call.arguments)


def _directory(body: Body) -> str:
    """The agent's working directory, which its system prompt names; "." where it does not."""
    texts = [_text(body.get("system")), *(_text(message.get("content")) for message in body.get("messages") or [])]
    match = next((found for text in texts if (found := _DIRECTORY.search(text))), None)
    return match[1].strip() if match else "."


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    """Text of a string or of a list of blocks; results of tools are not the user's words."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content or [] if block.get("type") == "text")


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    start = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        empty: dict[str, Any]
        delta: dict[str, Any]
        if block["type"] == "text":
            empty, delta = {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty, delta = {"input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": message["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}
