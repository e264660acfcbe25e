"""What a wire is: how one provider's API is read and spoken by the model server.

A script is found and followed the same way whatever the API (`maestro.testing.model_script`); a wire only says how a
request's conversation reads, and how an answer, a refusal and a stream look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

Body = Mapping[str, Any]


class Turn(NamedTuple):
    """One side's turn: one answer of the assistant is one turn, however many items it has in the request.

    Results of tools are turns of the user without words.
    """

    role: Literal["user", "assistant"]
    text: str


class Call(NamedTuple):
    """A tool call in an answer, in the provider-neutral names that scripts use (`write`, `bash`, or the tool's own)."""

    tool: str
    arguments: Mapping[str, Any]


class Wire(Protocol):
    """One provider's API. Paths are given without their query."""

    name: str

    def serves(self, path: str) -> bool:
        """Whether requests to this path are of this API."""
        ...

    def aside(self, path: str, body: Body) -> dict[str, Any] | None:
        """The answer to a request that is no turn of a conversation (counting tokens, naming a session), else None.

        No script is looked for, no key asked and nothing recorded.
        """
        ...

    def model(self, path: str, body: Body) -> str:
        """The name of the model that is asked."""
        ...

    def conversation(self, body: Body) -> str:
        """What tells this conversation from others with the same script; empty where nothing does."""
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
        """The same answer as chunks of server-sent events, whole lines each.

        The first two chunks must leave it unfinished: a connection that is to break, breaks after them.
        """
        ...

    def refusal(self, status: int, message: str) -> dict[str, Any]:
        """The body of an error."""
        ...
