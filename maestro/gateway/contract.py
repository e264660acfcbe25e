"""What a gateway is told on its standard input, and what it says of itself."""

from __future__ import annotations

from pydantic import Field

from maestro.model.record import Record

CONTROL_PATH = "/-/maestro-gateway"
SECRET = "MAESTRO_GATEWAY_SECRET"  # the name of a variable
"""Its secret: in its environment, so that a coordinator which resumes the run finds it there, and on no disk."""

BOUND_SECONDS = 240.0
"""So long a request waits for a key before it is refused: the clients give up a silent connection after 5 minutes."""

IDLE_SECONDS = 600.0
CHECK_SECONDS = 30.0


class HeldKey(Record):
    """One key, as the gateway has it."""

    value: str = Field(repr=False)
    origin: str
    per_minute: int | None = None


class Told(Record):
    """All a gateway needs, but its secret. Holds the keys: goes through a pipe, never into a file or an argument."""

    provider: str
    upstream: str
    key_header: str
    held: tuple[HeldKey, ...]
    port: int = 0  # 0: any free one
    marker: str  # its own
    family: str  # what the markers of all processes of the run begin with
    coordinator: tuple[int, float]  # pid and kernel start time
    in_place_of_another: bool = False  # which may have used up the keys just before
    window_seconds: float = 60.0
    bound_seconds: float = BOUND_SECONDS
    idle_seconds: float = IDLE_SECONDS
    check_seconds: float = CHECK_SECONDS


class Spent(Record):
    """What one attempt has asked for."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Report(Record):
    """How it stands."""

    provider: str
    fingerprint: str  # of its keys
    by_key: dict[str, int]  # origin → requests
    attempts: dict[str, Spent]
    waiting: int = 0
