"""An agent for tests that tells what it uses: its command prints `{"cost": 0.1, "tokens": 100}` lines as it works."""

from __future__ import annotations

from collections.abc import Sequence

from maestro.agents.base import Claim, Heard, Told, Verdict
from maestro.agents.command import CommandAgent, CommandOptions, explain_exit
from maestro.agents.jsonlines import JsonLines, as_number
from maestro.model.outcome import Usage


class PricedReader:
    """Sums what the lines say."""

    ended: bool = False
    heard = Heard.NOTHING

    def __init__(self) -> None:
        self._lines = JsonLines()
        self._usage = Usage()

    def feed(self, chunk: bytes) -> Sequence[str]:
        for event in self._lines.feed(chunk):
            self._usage = Usage(
                cost_usd=(self._usage.cost_usd or 0.0) + as_number(event["cost"]) if "cost" in event else None,
                input_tokens=(self._usage.input_tokens or 0) + int(as_number(event.get("tokens"))),
            )
        return ()

    def usage(self) -> Usage:
        return self._usage

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        if exit_code == 0:
            return Verdict(claim=Claim.DONE, usage=self._usage)
        return Verdict(claim=Claim.FAILED, reason=explain_exit(exit_code, stderr_tail), usage=self._usage)


class PricedAgent(CommandAgent):
    """A command that tells."""

    streams = True  # type: ignore[assignment]
    tells = frozenset(Told)
    bounds = frozenset(Told)

    def __init__(self, command: str) -> None:
        super().__init__(CommandOptions(command=command))

    def reader(self) -> PricedReader:  # type: ignore[override]
        return PricedReader()
