"""Keys behind a gateway: an attempt gets an address and a token, and no agent ever sees a key (A-6)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from maestro.clock import Clock
from maestro.errors import MaestroError
from maestro.gateway.contract import HeldKey, Report, Told
from maestro.gateway.launch import Running, ask, end_all, find, launch, reap
from maestro.gateway.tokens import fingerprint, new_secret, token_of
from maestro.model.events import Event, GatewayStarted, Warned
from maestro.proc.family import ProcessId, start_time
from maestro.proc.roles import GATEWAY
from maestro.resources.keysource import KeySource
from maestro.resources.providers import Provider
from maestro.store.atomic import write_atomically

log = logging.getLogger(__name__)

RESTARTS = 5
"""One that dies more often will not live."""

_NO_PROXY = ("no_proxy", "NO_PROXY")
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


class GatewayKeys(KeySource):
    """The gateway of one provider: started with the run or taken over, watched, and ended with the run."""

    def __init__(
        self,
        provider: Provider,
        keys: Sequence[HeldKey],
        *,
        upstream: str,
        variables: Sequence[str],
        withheld: Collection[str],
        family: str,
        folder: Path,
        environ: Mapping[str, str],
        clock: Clock,
        record: Callable[[Event], Awaitable[object]],
        window_seconds: float = 60.0,
    ) -> None:
        """`family`: what the markers of the run's processes begin with; `folder`: for what the gateway says."""
        own = os.getpid()
        self._told = Told(
            provider=provider.name,
            upstream=upstream,
            key_header=provider.key_header,
            held=tuple(keys),
            marker=f"{family}{GATEWAY}/{provider.name}",
            family=family,
            coordinator=(own, start_time(own) or 0.0),
            window_seconds=window_seconds,
        )
        self._provider = provider
        self._variables = tuple(variables)
        self._withheld = frozenset(withheld)
        self._folder = folder
        self._environ = environ
        self._clock = clock
        self._record = record
        self._before: GatewayStarted | None = None
        self._running: Running | None = None
        self._watch: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()  # so that none comes up behind the back of `close`
        self._limited_until: datetime | None = None

    def environment(self, attempt_id: str) -> Mapping[str, str]:
        """The address, a token in place of the key, and no proxy on the way to this machine."""
        assert self._running is not None, "a gateway gives out nothing before it is started"
        token = token_of(self._running.secret, attempt_id)
        given = {**dict.fromkeys(self._variables, token), self._provider.url_variable: self._url(self._running)}
        if any(self._environ.get(name) for name in _PROXIES):
            around = next((self._environ[name] for name in _NO_PROXY if self._environ.get(name)), None)
            given |= dict.fromkeys(_NO_PROXY, ",".join(filter(None, (around, "127.0.0.1"))))
        return given

    def base_url(self) -> str | None:
        """The address alone."""
        return None if self._running is None else self._url(self._running)

    def _url(self, running: Running) -> str:
        return f"http://127.0.0.1:{running.port}{urlsplit(self._told.upstream).path.rstrip('/')}"

    def withheld(self) -> Collection[str]:
        """The variables of all keys, and of logins that would win over the token."""
        return self._withheld

    def secrets(self) -> Collection[str]:
        """The keys."""
        return [key.value for key in self._told.held]

    def ended(self, attempt_id: str, limited_until: datetime | None) -> None:  # noqa: ARG002 - whose is all one
        """A limit that came through the gateway was one of all keys."""
        if limited_until is not None:
            self._limited_until = max(self._limited_until or limited_until, limited_until)

    def rests_until(self) -> datetime | None:
        """Until the limit that came through ends."""
        until = self._limited_until
        return until if until is not None and until > self._clock.now() else None

    def restore(self, events: Iterable[Event]) -> None:
        """Find the gateway that an earlier coordinator started."""
        for event in events:
            if isinstance(event, GatewayStarted) and event.provider == self._provider.name:
                self._before = event

    async def start(self) -> None:
        """Take over the gateway that lives, or start one: on the same port, for agents that go on know no other."""
        if self._running is not None:
            return
        before = self._before
        found = None
        if before is not None:
            found = await asyncio.to_thread(find, before.pid, before.pid_started, before.port, self._told.marker)
            if found is not None and await self._is_ours(found):
                self._running = found
        if self._running is None:
            await asyncio.to_thread(end_all, self._told.marker)  # one with other keys, or that nobody wrote down
            secret = found.secret if found is not None else new_secret()
            await self._launch(secret, before.port if before is not None else 0)
        self._watch = asyncio.create_task(self._look_after(), name=f"gateway of {self._provider.name}")

    async def _is_ours(self, found: Running) -> bool:
        report = await asyncio.to_thread(ask, found, ProcessId(*self._told.coordinator))
        return report is not None and report.fingerprint == fingerprint(found.secret, tuple(self.secrets()))

    async def _launch(self, secret: str, port: int) -> None:
        """Start one; where the port was taken by somebody else meanwhile, on another."""
        told = self._told.model_copy(update={"in_place_of_another": port != 0})
        logs = self._folder / f"{self._provider.name}.log"
        try:
            running = await asyncio.to_thread(
                launch, told.model_copy(update={"port": port}), secret, self._environ, logs
            )
        except MaestroError:
            if port == 0:
                raise
            running = await asyncio.to_thread(launch, told, secret, self._environ, logs)
        self._running = running
        await self._record(
            GatewayStarted(
                at=self._clock.now(),
                provider=self._provider.name,
                port=running.port,
                pid=running.process.pid,
                pid_started=running.process.started,
            )
        )

    async def _look_after(self) -> None:
        """Start it again when it dies under the run: same port, same secret, so that agents merely try again."""
        name, folder = self._provider.name, self._folder
        for left in reversed(range(RESTARTS + 1)):
            assert self._running is not None
            dead = self._running
            await _end_of(dead.process)
            reap(dead.process.pid)
            ended = f"the gateway for {name} ended while it was needed"
            try:
                if not left:
                    await self._warn(f"{ended}, {RESTARTS + 1} times now: agents cannot reach {name} any more")
                    return
                async with self._starting:
                    await self._warn(f"{ended}, and is started again")
                    await self._launch(dead.secret, dead.port)
            except MaestroError as error:
                log.warning("no gateway for %s: %s", name, error.message)
                with contextlib.suppress(MaestroError):
                    await self._warn(f"{ended}, and cannot be started again: {error.message}; see {folder}/{name}.log")
                return

    async def _warn(self, message: str) -> None:
        log.warning(message)
        await self._record(Warned(at=self._clock.now(), message=message))

    async def report(self) -> Report | None:
        """What was asked for through it so far; None where it does not answer."""
        return None if self._running is None else await asyncio.to_thread(ask, self._running)

    def forsake(self) -> None:
        """Leave it to itself, and to a coordinator that resumes the run."""
        if self._watch is not None:
            self._watch.cancel()
        self._running = None

    async def close(self) -> None:
        """Write down what was asked for through it, and end it."""
        if self._watch is not None:
            async with self._starting:
                self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._running is None:
            return
        if (report := await self.report()) is not None:
            with contextlib.suppress(MaestroError):
                data = report.model_dump_json(indent=2, exclude={"fingerprint", "waiting"}).encode() + b"\n"
                await asyncio.to_thread(write_atomically, self._folder / f"{self._provider.name}.json", data)
        await asyncio.to_thread(end_all, self._told.marker)
        reap(self._running.process.pid)
        self._running = None


async def _end_of(process: ProcessId) -> None:
    """Until the process is gone: an event of the kernel."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        if start_time(process.pid) == process.started:
            await gone.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
