"""The gateway itself: takes agents' requests, gives each a key, and streams the provider's answers through.

A body is read whole before it is sent, since it may have to be sent again with another key. An answer never waits: each
piece is passed on as it comes, and when the agent goes away, the connection to the provider is closed.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from maestro.gateway.contract import CONTROL_PATH, Report, Told
from maestro.gateway.lifetime import Coordinator
from maestro.gateway.limits import is_about_the_key, may_be_about_credit, rest_after_answer, rest_after_refusal
from maestro.gateway.passing import METHODS, target, to_client, to_provider, token_in
from maestro.gateway.tokens import CONTROL, attempt_of, fingerprint
from maestro.gateway.turnstile import Lease, TooLong, Turnstile
from maestro.gateway.usage import Meter, Tally
from maestro.resources.keypool import KeyPool

log = logging.getLogger(__name__)

LARGEST_BODY = 256 << 20
CONNECT_SECONDS = 30.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Gateway:
    """One provider's keys behind one port."""

    def __init__(self, told: Told, secret: str, coordinator: Coordinator) -> None:
        self._told = told
        self._secret = secret
        self._coordinator = coordinator
        pool = KeyPool([key.per_minute for key in told.held], window_seconds=told.window_seconds)
        if told.in_place_of_another:
            pool.assume_used_up(time.monotonic())
        self._pool = pool
        self._turnstile = Turnstile(pool, bound_seconds=told.bound_seconds)
        self._refusals = [0] * len(told.held)  # in a row
        self._tally = Tally()
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serve on loopback within the context; the port."""
        host = urlsplit(self._told.upstream).hostname or ""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[self._departures()],
            trust_env=host not in _LOOPBACK,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app,
            auto_decompress=False,  # what is packed stays so
            handler_cancellation=True,  # an agent that goes away ends its request
            access_log=None,  # addresses may hold what is nobody's business
            keepalive_timeout=3600,  # an agent's tools take their time, and its next request must meet no closed door
            shutdown_timeout=0.5,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self._told.port, backlog=1024)
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
            await self._session.close()

    def report(self) -> Report:
        """How it stands."""
        return Report(
            provider=self._told.provider,
            fingerprint=fingerprint(self._secret, tuple(key.value for key in self._told.held)),
            by_key={key.origin: count for key, count in zip(self._told.held, self._pool.totals(), strict=True)},
            attempts=self._tally.attempts(),
            waiting=self._turnstile.waiting,
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        caller = attempt_of(self._secret, token_in(request.headers, request.query))
        if caller is None:
            return _refusal(401, "authentication_error", "this gateway serves the agents of one run of maestro only")
        if request.path == CONTROL_PATH:
            return await self._control(request, caller)
        if request.method not in METHODS:
            return _refusal(405, "invalid_request_error", "no API is asked so")
        address = target(self._told.upstream, request.raw_path)
        if address is None:
            return _refusal(404, "not_found_error", "there is nothing here")
        return await self._forward(request, caller, address, await request.read())

    async def _control(self, request: web.Request, caller: str) -> web.Response:
        """The coordinator looks, and says that it is here."""
        if caller != CONTROL:
            return _refusal(403, "permission_error", "this is for the coordinator")
        if request.method == "POST":
            asked = await request.json()
            self._coordinator.is_now(int(asked["pid"]), float(asked["started"]))
        return web.json_response(self.report().model_dump())

    async def _forward(self, request: web.Request, caller: str, address: str, body: bytes) -> web.StreamResponse:
        """With one key after the other, until one is not refused for a limit of its own."""
        place = self._turnstile.place()
        refused: web.Response | None = None
        while True:
            try:
                lease = await self._turnstile.enter(place)
            except TooLong as error:
                if refused is None:
                    refused = _refusal(429, "rate_limit_error", "all keys of this run are used up for now")
                if refused.status == 429:
                    refused.headers["retry-after"] = str(error.seconds)
                return refused
            answer = await self._ask(request, lease, address, body)
            if isinstance(answer, web.Response):
                return answer
            async with answer:
                said = await _read(answer) if may_be_about_credit(answer.status) else b""
                if not is_about_the_key(answer.status, said):
                    return await self._pass_on(request, caller, lease, answer, said)
                refused = await self._refused(lease, answer)

    async def _ask(
        self, request: web.Request, lease: Lease, address: str, body: bytes
    ) -> aiohttp.ClientResponse | web.Response:
        """Send it with this key; what the provider answers, or that it cannot be reached."""
        assert self._session is not None
        key = self._told.held[lease.key]
        headers = to_provider(request.headers.items(), self._told.key_header, key.value)
        try:
            answer = await self._session.request(
                request.method,
                URL(address, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                trace_request_ctx=lease,
            )
        except aiohttp.ClientConnectorError as error:
            self._turnstile.never_sent(lease)
            log.warning("%s cannot be reached: %s", self._told.provider, error)
            return _refusal(502, "api_error", f"the gateway cannot reach {self._told.provider}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._turnstile.answered(lease)
            log.warning("%s has not answered: %s", self._told.provider, type(error).__name__)
            return _refusal(502, "api_error", f"{self._told.provider} broke the connection")
        except BaseException:  # the agent has gone; the provider may have counted it all the same
            self._turnstile.answered(lease)
            raise
        self._turnstile.answered(lease)
        return answer

    def _departures(self) -> aiohttp.TraceConfig:
        """Tells when a request leaves: its connection may have been long in coming, and its body long in going."""

        async def left(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
            self._turnstile.sent(context.trace_request_ctx)

        told = aiohttp.TraceConfig()
        told.on_request_headers_sent.append(left)
        told.on_request_chunk_sent.append(left)
        return told

    async def _refused(self, lease: Lease, answer: aiohttp.ClientResponse) -> web.Response:
        """A limit, or a key that is not good: the key rests, and the answer is kept for the case that none is left."""
        key = lease.key
        body = await _read(answer)
        self._refusals[key] += 1
        seconds = rest_after_refusal(answer.status, answer.headers, body, self._refusals[key], _now())
        log.info("%s rests for %.1f s after a %d", self._told.held[key].origin, seconds, answer.status)
        self._turnstile.rest(key, seconds)
        kept = web.Response(status=answer.status, reason=answer.reason, body=body)
        kept.headers.clear()
        for name, value in to_client(answer.headers.items()):
            if name.lower() != "content-length":
                kept.headers.add(name, value)
        return kept

    async def _pass_on(
        self, request: web.Request, caller: str, lease: Lease, answer: aiohttp.ClientResponse, said: bytes
    ) -> web.StreamResponse:
        """Every byte as it comes; `said`: what was read of it already."""
        self._refusals[lease.key] = 0
        if (seconds := rest_after_answer(answer.headers, _now())) is not None:
            self._turnstile.rest(lease.key, seconds)
        passed = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in to_client(answer.headers.items()):
            passed.headers.add(name, value)
        meter = Meter()
        try:
            await passed.prepare(request)
            if said:
                await passed.write(said)
            async for chunk in answer.content.iter_any():
                meter.feed(chunk)
                await passed.write(chunk)
            await passed.write_eof()
        except aiohttp.ClientError:  # broken off in the middle: the agent must see just that
            if request.transport is not None:
                request.transport.abort()
        except BaseException:
            answer.close()
            raise
        finally:
            self._tally.add(caller, meter.spent())
        return passed


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The whole of a short answer."""
    try:
        return await answer.read()
    except aiohttp.ClientError:  # its status has been heard
        return b""


def _refusal(status: int, kind: str, message: str) -> web.Response:
    """In a shape that the clients of all providers read."""
    error = {"type": kind, "code": status, "message": message}
    text = json.dumps({"type": "error", "error": error})
    return web.Response(status=status, text=text, content_type="application/json")


def _now() -> datetime:
    """Limit headers name moments of the world's time."""
    return datetime.now(UTC)
