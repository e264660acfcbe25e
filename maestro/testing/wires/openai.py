"""What the APIs of OpenAI have in common: where the model is named, and how a refusal looks."""

from __future__ import annotations

from typing import Any

from maestro.testing.wires.base import Body

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_exceeded",
}


class OpenAi:
    """The parts that do not differ."""

    def aside(self, path: str, body: Body) -> dict[str, Any] | None:
        """It knows none."""
        del path, body
        return None

    def model(self, path: str, body: Body) -> str:
        """Named in the body."""
        del path
        return str(body.get("model", ""))

    def refusal(self, status: int, message: str) -> dict[str, Any]:
        """A text with a type and a code."""
        kind = _ERRORS.get(status, "server_error")
        return {"error": {"message": message, "type": kind, "code": kind, "param": None}}
