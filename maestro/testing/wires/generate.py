"""The Gemini API (generateContent), as `gemini` speaks it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maestro.testing.wires.base import Body, Call, Turn
from maestro.testing.wires.offered import in_words_of

_PATH = re.compile(r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):(?P<method>\w+)$")
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class Generate:
    """`POST /v1beta/models/MODEL:generateContent`, `:streamGenerateContent` and `:countTokens`."""

    name = "generate"

    def serves(self, path: str) -> bool:
        """The method stands behind the model."""
        return _PATH.search(path) is not None

    def aside(self, path: str, body: Body) -> dict[str, Any] | None:
        """Counts tokens, four bytes each."""
        return {"totalTokens": max(1, len(json.dumps(body)) // 4)} if path.endswith(":countTokens") else None

    def model(self, path: str, body: Body) -> str:
        """Named in the path."""
        match = _PATH.search(path)
        return match["model"] if match else ""

    def conversation(self, body: Body) -> str:
        """Nothing tells."""
        return ""

    def turns(self, body: Body) -> Sequence[Turn]:
        """A content is a turn; contents of the model in a row are one."""
        turns: list[Turn] = []
        for content in body.get("contents") or []:
            if content.get("role") != "model":
                turns.append(Turn("user", _text(content)))
            elif not turns or turns[-1].role == "user":
                turns.append(Turn("assistant", _text(content)))
        return turns

    def wants_stream(self, path: str, body: Body) -> bool:
        """Said in the path."""
        return path.endswith(":streamGenerateContent")

    def answer(self, body: Body, text: str, calls: Sequence[Call]) -> dict[str, Any]:
        """One candidate."""
        offered = {
            one["name"]: one.get("parametersJsonSchema") or one.get("parameters") or {}
            for tool in body.get("tools") or ()
            for one in tool.get("functionDeclarations") or ()
        }
        parts: list[dict[str, Any]] = []
        for call in calls:
            name, given = in_words_of(call, offered)
            parts.append({"functionCall": {"id": uuid.uuid4().hex[:12], "name": name, "args": given}})
        return {
            "candidates": [
                {
                    "content": {"role": "model", "parts": parts or [{"text": text}]},
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 40,
                "candidatesTokenCount": 20,
                "totalTokenCount": 120,
            },
            "modelVersion": "scripted",
            "responseId": uuid.uuid4().hex,
        }

    def stream(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """The beginning, the parts one by one, and the end with the usage."""
        (candidate,) = answer["candidates"]
        usage = answer["usageMetadata"]
        for parts in ([], *([part] for part in candidate["content"]["parts"])):
            content = {"role": "model", "parts": parts}
            yield _event({**answer, "candidates": [{"content": content, "index": 0}], "usageMetadata": {}})
        end = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}
        yield _event({**answer, "candidates": [end], "usageMetadata": usage})

    def refusal(self, status: int, message: str) -> dict[str, Any]:
        """Its kinds of error have names."""
        return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}}


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\r\n\r\n".encode()


def _text(content: Mapping[str, Any]) -> str:
    return "\n".join(part.get("text", "") for part in content.get("parts") or [])
