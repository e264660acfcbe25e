"""`python -m maestro.gateway`: what a run starts. Keys come on standard input; the port is the one line it prints."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress

from pydantic import ValidationError

from maestro.gateway.contract import SECRET, Told
from maestro.gateway.lifetime import Coordinator, until_deserted
from maestro.gateway.server import Gateway

log = logging.getLogger("maestro.gateway")


async def serve(told: Told, secret: str) -> None:
    """Until it is told to end, or nobody is left."""
    loop = asyncio.get_running_loop()
    coordinator = Coordinator(*told.coordinator)
    deserted = asyncio.create_task(until_deserted(told, coordinator))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, deserted.cancel)
    async with Gateway(told, secret, coordinator).serving() as port:
        log.info("%d key(s) of %s on port %d", len(told.held), told.provider, port)
        _say(port)
        with suppress(asyncio.CancelledError):
            await deserted
        log.info("ended%s", "" if deserted.cancelled() else ": no process of the run is left")


def _say(port: int) -> None:
    """The one line; then the pipe is let go, for whoever reads it may not live as long."""
    os.write(1, f"{port}\n".encode())
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def main() -> None:
    """Read what to do, and do it."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        told = Told.model_validate_json(sys.stdin.buffer.read())
    except ValidationError:  # its words would hold some of what was told
        log.error("what the coordinator says broke off")
        raise SystemExit(1) from None
    asyncio.run(serve(told, os.environ[SECRET]))


if __name__ == "__main__":
    main()
