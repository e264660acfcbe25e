"""The gateway as a process: what clients, providers and the machine see of it (A-6)."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from maestro.gateway.keys import GatewayKeys
from maestro.testing.gateway_lab import ASKED, KEYS, Lab, client, many
from maestro.testing.key_limit import KeyLimit
from maestro.testing.model_server import ModelServer

Answering = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def provider(answer: Answering) -> AsyncIterator[str]:
    """A provider that says byte for byte what the test wants; its base URL."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                await answer(head + await reader.readexactly(length), reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def whole(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(answer_to: Callable[[bytes], bytes]) -> Answering:
    async def answer(request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_to(request))
        await writer.drain()

    return answer


def key_in(request: bytes) -> str:
    (line,) = (line for line in request.split(b"\r\n") if line.lower().startswith(b"x-api-key:"))
    return line.partition(b":")[2].strip().decode()


async def post(source: GatewayKeys, **body: object) -> tuple[int, bytes, dict[str, str]]:
    async with client(source) as session, session.post("/v1/messages?beta=true", json={**ASKED, **body}) as answer:
        return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}


@pytest.mark.timeout(400)
def test_300_requests_over_3_keys_of_100_pass_in_one_window_and_900_in_three(tmp_path: Path) -> None:
    """None refused, by the provider neither, in the least time the limits allow and this machine needs.

    The window is so long that no request is on its way for a twelfth of it, however busy the machine is: then the
    provider may count it after its place was given to another."""
    window, needed = 24.0, list[float]()
    with ModelServer() as free:

        async def unlimited() -> None:
            async with Lab(tmp_path / f"free-{len(needed)}", free.url, per_minute=None).running() as source:
                needed.append((await many(source, 300, 40))[0])

        asyncio.run(unlimited())
        for count, windows in ((300, 0), (900, 2)):
            limit = KeyLimit(100, window)
            with ModelServer(limit=limit) as server:

                async def limited(url: str = server.url, count: int = count) -> tuple[float, list[int]]:
                    async with Lab(tmp_path / str(count), url, window_seconds=window).running() as source:
                        return await many(source, count, 40)

                took, statuses = asyncio.run(limited())
                asyncio.run(unlimited())  # the machine has others to serve too, and now more of them than before
                assert statuses == [200] * count
                assert limit.refused == 0
                assert max(limit.most.values()) <= 100
                # what 300 requests take by themselves comes once, and may vary
                assert windows * window <= took <= windows * window * 1.1 + 2 * max(needed) + 0.5
                assert {seen.api_key for seen in server.requests} == set(KEYS)


@pytest.mark.parametrize("token", ["", "sk-ant-api03-whatever", "maestro-dC9yL2EvMQ.0000"])
def test_who_has_no_token_of_the_run_is_refused(tmp_path: Path, token: str) -> None:
    async def main(url: str) -> None:
        async with Lab(tmp_path, url).running() as source:
            base = source.base_url()
            async with aiohttp.ClientSession(base, headers={"x-api-key": token}) as session:
                for path in ("/v1/messages", "/-/maestro-gateway", "/"):
                    async with session.post(path, json=ASKED) as answer:
                        assert answer.status == 401
                        assert (await answer.json())["error"]["type"] == "authentication_error"
            async with client(source) as session, session.get("/-/maestro-gateway") as answer:
                assert answer.status == 403  # an attempt's token is not the coordinator's

    with ModelServer() as server:
        asyncio.run(main(server.url))
        assert server.requests == []


def test_answers_are_streamed_through_byte_by_byte_as_they_come(tmp_path: Path) -> None:
    pieces = [b'event: a\ndata: {"x": "\xc3', b'\xa4"}\n\n', b"\x00\xff: ping\n\n", b"data: [DONE]"]

    async def main() -> None:
        heard = asyncio.Queue[None]()

        async def answer(request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"accept-encoding: identity" in request.lower()
            assert b"maestro" not in request.lower()
            writer.write(
                b"HTTP/1.1 200 Fine\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
                b"Request-Id: r-1\r\nSet-Cookie: s=1\r\nKeep-Alive: timeout=5\r\n\r\n"
            )
            for piece in pieces:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await heard.get()  # the next one is not even made before this one has arrived
            writer.write(b"0\r\n\r\n")

        async with (
            provider(answer) as url,
            Lab(tmp_path, url).running() as source,
            client(source) as session,
            session.post("/v1/messages", json={**ASKED, "stream": True}) as answered,
        ):
            assert (answered.status, answered.reason) == (200, "Fine")
            assert answered.headers["Content-Type"] == "text/event-stream"
            assert answered.headers["Request-Id"] == "r-1"
            assert "Set-Cookie" not in answered.headers
            assert "Keep-Alive" not in answered.headers
            got = []
            async for chunk in answered.content.iter_any():
                got.append(chunk)
                heard.put_nowait(None)
            assert got == pieces

    asyncio.run(main())


def test_a_client_that_leaves_ends_the_request_at_the_provider(tmp_path: Path) -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def answer(_request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            begun.set()
            assert await reader.read() == b""
            ended.set()

        async with provider(answer) as url, Lab(tmp_path, url).running() as source, client(source) as session:
            async with session.post("/v1/messages", json=ASKED) as answered:
                await answered.content.readany()
                await begun.wait()
                answered.close()
            await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(main())


def test_a_client_that_leaves_before_the_answer_ends_the_request_too(tmp_path: Path) -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def answer(_request: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            begun.set()
            assert await reader.read() == b""
            ended.set()

        async with provider(answer) as url, Lab(tmp_path, url).running() as source:
            asking = asyncio.create_task(post(source))
            await begun.wait()
            asking.cancel()
            await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(main())


def test_a_stream_that_breaks_is_broken_for_the_client_too(tmp_path: Path) -> None:
    async def answer(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with provider(answer) as url, Lab(tmp_path, url).running() as source:
            with pytest.raises(aiohttp.ClientError):
                await post(source)

    asyncio.run(main())


def test_a_limited_key_rests_and_another_answers(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: bytes) -> bytes:
        asked.append(key_in(request))
        assert request.endswith(json.dumps({**ASKED, "n": 7}).encode())  # the whole body, again
        if asked[-1] == KEYS[0]:
            return whole("429 Too Many Requests", b"{}", "Retry-After: 100")
        return whole("200 OK", b"{}")

    async def main() -> None:
        async with provider(saying(answer)) as url, Lab(tmp_path, url).running() as source:
            assert [(await post(source, n=7))[0] for _ in range(5)] == [200] * 5

    asyncio.run(main())
    assert asked.count(KEYS[0]) == 1
    assert asked[0] == KEYS[0]


def test_a_key_that_is_not_good_is_left_aside(tmp_path: Path) -> None:
    def answer(request: bytes) -> bytes:
        return whole("200 OK", b"{}") if key_in(request) == KEYS[2] else whole("401 Unauthorized", b'{"bad": 1}')

    async def main() -> None:
        lab = Lab(tmp_path, "")
        async with provider(saying(answer)) as url:
            lab.upstream = url
            async with lab.running() as source:
                assert [(await post(source))[0] for _ in range(3)] == [200] * 3
            bad = Lab(tmp_path, url, keys=KEYS[:1])
            async with bad.running() as source:
                status, body, headers = await post(source)
                assert (status, body) == (401, b'{"bad": 1}')  # there is no other: the provider's own word
                assert "retry-after" not in headers

    asyncio.run(main())


def test_when_all_keys_rest_too_long_the_providers_own_refusal_is_passed_on(tmp_path: Path) -> None:
    said = b'{"type": "error", "error": {"type": "rate_limit_error", "message": "your own limit"}}'
    rests = {KEYS[0]: "5000", KEYS[1]: "3000", KEYS[2]: "4000"}

    def answer(request: bytes) -> bytes:
        return whole("429 Too Many Requests", said, f"Retry-After: {rests[key_in(request)]}", "Request-Id: r")

    async def main() -> None:
        async with provider(saying(answer)) as url, Lab(tmp_path, url).running() as source:
            status, body, headers = await post(source)
            assert (status, body, headers["request-id"]) == (429, said, "r")
            assert 2990 <= int(headers["retry-after"]) <= 3000  # when the first key is there again
            status, body, headers = await post(source)  # and now nobody is asked any more
            assert status == 429
            assert b"rate_limit_error" in body
            assert 2990 <= int(headers["retry-after"]) <= 3000

    asyncio.run(main())


@pytest.mark.parametrize("status", ["529 Overloaded", "500 Oops", "400 Bad Request", "301 Moved"])
def test_whatever_else_the_provider_says_is_passed_on_at_once(tmp_path: Path, status: str) -> None:
    asked = []

    def answer(request: bytes) -> bytes:
        asked.append(key_in(request))
        return whole(status, b"as it is", "X-Should-Retry: true", "Location: http://127.0.0.1:9/")

    async def main() -> None:
        async with (
            provider(saying(answer)) as url,
            Lab(tmp_path, url).running() as source,
            client(source) as session,
            session.post("/v1/messages", json=ASKED, allow_redirects=False) as answered,
        ):
            assert answered.status == int(status[:3])
            assert await answered.read() == b"as it is"
            assert answered.headers["X-Should-Retry"] == "true"

    asyncio.run(main())
    assert len(asked) == 1


def test_a_provider_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        async with Lab(tmp_path, "http://127.0.0.1:9").running() as source:
            status, body, _ = await post(source)
            assert status == 502
            assert b"cannot reach anthropic" in body

    asyncio.run(main())


def test_requests_wait_their_turn_when_all_keys_are_used_up(tmp_path: Path) -> None:
    order: list[int] = []

    def answer(request: bytes) -> bytes:
        order.append(json.loads(request.partition(b"\r\n\r\n")[2])["n"])
        return whole("200 OK", b"{}")

    async def main() -> None:
        lab = Lab(tmp_path, "", keys=KEYS[:1], per_minute=1, window_seconds=1.0)  # two at once could overtake
        async with provider(saying(answer)) as url:
            lab.upstream = url
            async with lab.running() as source:
                began, asking = time.monotonic(), []
                for number in range(6):
                    asking.append(asyncio.create_task(post(source, n=number)))
                    while len(order) + await _waiting(source) <= number:
                        await asyncio.sleep(0.005)
                assert [(await one)[0] for one in asking] == [200] * 6
                assert time.monotonic() - began >= 5

    asyncio.run(main())
    assert order == list(range(6))


async def _waiting(source: GatewayKeys) -> int:
    report = await source.report()
    assert report is not None
    return report.waiting


def test_what_attempts_asked_for_is_counted_and_written_down(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with Lab(tmp_path, url).running() as source:
            for attempt, count in (("t/run/a/1", 2), ("t/run/b/1", 1)):
                async with client(source, attempt) as session:
                    for _ in range(count):
                        async with session.post("/v1/messages", json={**ASKED, "stream": True}) as answer:
                            assert b"message_stop" in await answer.read()

    with ModelServer() as server:
        asyncio.run(main(server.url))
    written = json.loads((tmp_path / "gateway" / "anthropic.json").read_text())
    assert written["by_key"] == {"KEY_0": 1, "KEY_1": 1, "KEY_2": 1}
    assert written["attempts"]["t/run/a/1"] == {"requests": 2, "input_tokens": 200, "output_tokens": 40}
    assert written["attempts"]["t/run/b/1"]["requests"] == 1


def test_a_packed_request_arrives_as_it_was_sent(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(ASKED).encode())

    def answer(request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        assert b"content-encoding: gzip" in head.lower()
        assert body == packed
        return whole("200 OK", packed, "Content-Encoding: gzip")  # also where none was asked for

    async def main() -> None:
        async with (
            provider(saying(answer)) as url,
            Lab(tmp_path, url).running() as source,
            client(source) as session,
            session.post("/v1/messages", data=packed, headers={"Content-Encoding": "gzip"}) as answered,
        ):
            assert answered.status == 200
            assert await answered.json(content_type=None) == ASKED

    asyncio.run(main())


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
def test_what_no_api_is_asked_with_never_leaves(tmp_path: Path, method: str) -> None:
    """A TRACE is answered with its own headers: with the key."""

    async def main(url: str) -> None:
        async with (
            Lab(tmp_path, url).running() as source,
            client(source) as session,
            session.request(method, "/v1/messages") as answered,
        ):
            assert answered.status == 405

    with ModelServer() as server:
        asyncio.run(main(server.url))
        assert server.requests == []


def test_answers_without_a_body(tmp_path: Path) -> None:
    def answer(request: bytes) -> bytes:
        if request.startswith(b"HEAD"):
            return b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"
        return b"HTTP/1.1 204 No Content\r\nX-Mine: 1\r\n\r\n"

    async def main() -> None:
        async with provider(saying(answer)) as url, Lab(tmp_path, url).running() as source, client(source) as session:
            for _ in range(2):  # the connection is good for more
                async with session.head("/v1/models") as answered:
                    assert (answered.status, answered.headers["Content-Length"]) == (200, "77")
                async with session.delete("/v1/files/1") as answered:
                    assert (answered.status, answered.headers["X-Mine"]) == (204, "1")

    asyncio.run(main())


def test_a_key_without_credit_is_left_aside(tmp_path: Path) -> None:
    low = b'{"error": {"message": "Your credit balance is too low to access the API."}}'
    asked: list[str] = []

    def answer(request: bytes) -> bytes:
        asked.append(key_in(request))
        if asked[-1] == KEYS[0]:
            return whole("400 Bad Request", low)
        return whole("200 OK", b"{}") if asked[-1] == KEYS[1] else whole("400 Bad Request", b"your own mistake")

    async def main() -> None:
        async with provider(saying(answer)) as url, Lab(tmp_path, url).running() as source:
            answers = [(await post(source))[:2] for _ in range(4)]
            assert answers == [(200, b"{}"), (400, b"your own mistake")] * 2

    asyncio.run(main())
    assert asked.count(KEYS[0]) == 1
