"""What a wire is: how one provider's API is read and spoken by the model server.

A script is found and followed the same way whatever the API (`maestro.testing.model_script`); a wire only says how a
request's conversation reads, and how an answer, a refusal and a stream look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

Body = Mapping[str, Any]


class Turn(NamedTuple):
    """One side's turn: consecutive items of the assistant are one turn, results of tools are no words of the user."""

    role: Literal["user", "assistant"]
    text: str


class Call(NamedTuple):
    """A tool call in an answer, in the provider-neutral names that scripts use (`write`, `bash`, or the tool's own)."""

    tool: str
    arguments: Mapping[str, Any]


class Wire(Protocol):
    """One provider's API."""

    name: str

    def serves(self, path: str) -> bool:
        """Whether requests to this path (without its query) are of this API."""
        ...

    def turns(self, body: Body) -> Sequence[Turn]:
        """The conversation so far, oldest first."""
        ...

    def wants_stream(self, path: str, body: Body) -> bool:
        """Whether the answer is asked for as server-sent events."""
        ...

    def answer(self, body: Body, text: str, calls: Sequence[Call]) -> dict[str, Any]:
        """The whole answer as one JSON object: `text` where there are no `calls`.

        `write` has arguments `path` (absolute, or relative to the agent's directory) and `content`; `bash` has
        `command`. The wire turns them into the tool that the client of this request offers.
        """
        ...

    def stream(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """The same answer as chunks of server-sent events, whole lines each."""
        ...

    def refusal(self, status: int, message: str) -> dict[str, Any]:
        """The body of an error."""
        ...
