"""The end of a session's process becomes a message, once."""

from __future__ import annotations

import asyncio
import subprocess

from maestro.engine.messages import SessionOver
from maestro.engine.session import SESSION_OVER, session_to
from maestro.proc.family import ProcessId, identify


def told_of(session: ProcessId | None, then: subprocess.Popen[bytes] | None = None) -> list[SessionOver]:
    """What is told while `then` is killed inside."""
    told: list[SessionOver] = []

    async def watch() -> None:
        heard = asyncio.Event()

        def tell(message: SessionOver) -> None:
            told.append(message)
            heard.set()

        with session_to(tell, session):
            if then is not None:
                await asyncio.sleep(0)
                assert not told
                then.kill()
                await asyncio.wait_for(heard.wait(), 10)
            await asyncio.sleep(0.05)

    asyncio.run(watch())
    return told


def test_its_end_is_told_once() -> None:
    with subprocess.Popen(["sleep", "60"]) as popen:
        assert told_of(identify(popen.pid), popen) == [SessionOver(SESSION_OVER)]


def test_one_that_has_ended_before_is_told_at_once() -> None:
    with subprocess.Popen(["sleep", "60"]) as popen:
        session = identify(popen.pid)
        popen.kill()
    assert told_of(session) == [SessionOver(SESSION_OVER)]


def test_another_process_with_its_pid_is_not_it() -> None:
    with subprocess.Popen(["sleep", "60"]) as popen:
        known = identify(popen.pid)
        assert known is not None
        assert told_of(known._replace(started=known.started - 1)) == [SessionOver(SESSION_OVER)]
        popen.kill()


def test_no_session_no_watch() -> None:
    assert told_of(None) == []
