"""The OpenAI Chat Completions API, as `opencode`, `droid` and most gateways speak it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maestro.testing.wires.base import Body, Call, Turn
from maestro.testing.wires.offered import in_words_of
from maestro.testing.wires.openai import OpenAi


class Chat(OpenAi):
    """`POST …/chat/completions`."""

    name = "chat"

    def serves(self, path: str) -> bool:
        """Clients put it below a base of their own."""
        return path.endswith("/chat/completions")

    def conversation(self, body: Body) -> str:
        """Nothing that every client sends tells."""
        return str(body.get("prompt_cache_key") or body.get("user") or "")

    def turns(self, body: Body) -> Sequence[Turn]:
        """Each message is a turn but the system's; results of tools stand between turns of the assistant and are
        none of the user's words."""
        turns: list[Turn] = []
        for message in body.get("messages") or []:
            match message.get("role"):
                case "assistant":
                    turns.append(Turn("assistant", _text(message.get("content"))))
                case "user":
                    turns.append(Turn("user", _text(message.get("content"))))
        return turns

    def wants_stream(self, path: str, body: Body) -> bool:
        """Said in the body."""
        return bool(body.get("stream"))

    def answer(self, body: Body, text: str, calls: Sequence[Call]) -> dict[str, Any]:
        """One choice."""
        offered = {
            tool["function"]["name"]: tool["function"].get("parameters") or {}
            for tool in body.get("tools") or ()
            if tool.get("type") == "function"
        }
        made: list[dict[str, Any]] = []
        for call in calls:
            name, given = in_words_of(call, offered)
            function = {"name": name, "arguments": json.dumps(given)}
            made.append({"id": f"call_{uuid.uuid4().hex[:12]}", "type": "function", "function": function})
        message = {"role": "assistant", "content": None if made else text, **({"tool_calls": made} if made else {})}
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex[:16]}",
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model", "scripted"),
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}],
            "usage": {
                "prompt_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 40},
                "completion_tokens": 20,
                "total_tokens": 120,
            },
        }

    def stream(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """Chunks with the role, the text or each call, the reason of the end, the usage, and the closing mark."""
        (choice,) = answer["choices"]
        head = {**answer, "object": "chat.completion.chunk"}
        del head["usage"]
        message = choice["message"]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if message["content"]:
            deltas.append({"content": message["content"]})
        deltas += [{"tool_calls": [{"index": at, **call}]} for at, call in enumerate(message.get("tool_calls", ()))]
        for delta in deltas:
            yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
        yield _event({**head, "choices": [], "usage": answer["usage"]})
        yield b"data: [DONE]\n\n"


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if part.get("type") == "text")
