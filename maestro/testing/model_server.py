"""A model server on loopback that speaks enough of the providers' APIs for the real agent CLIs, following scripts.

Use it as a context manager in tests, or `python -m maestro.testing.model_server --port 0` from a shell. See
`maestro.testing.model_script` for the scripts and `maestro.testing.wires` for the APIs. No model is behind it and
nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from maestro.testing.key_limit import KeyLimit
from maestro.testing.model_script import Position, ScriptError, Step, position, tool_calls
from maestro.testing.wires.base import Wire
from maestro.testing.wires.registry import wire_of


class Seen(NamedTuple):
    """One request, for assertions."""

    path: str
    api_key: str
    model: str
    status: int  # what was answered; 0 for a broken or never answered one
    body: dict[str, Any]


Default = Callable[[str, dict[str, Any]], Sequence[Step]]
"""Makes the script of a conversation whose prompt holds none, from that prompt and the body of the request.

It is asked at every request. One that plays a part and looks at the results of its tools returns as many steps as there
were answers so far, whatever they are, and the next one after them.
"""


def say_done(_prompt: str, _body: dict[str, Any]) -> Sequence[Step]:
    """Says so at once."""
    return [{"say": "done"}]


class ModelServer:
    """The server, from `with ModelServer() as server:` on; `server.url` is its base URL."""

    def __init__(
        self,
        *,
        port: int = 0,
        default: Default = say_done,
        accepted_keys: Sequence[str] = (),
        limit: KeyLimit | None = None,
    ) -> None:
        self.default = default
        self.limit = limit  # on each key; None: as many requests as there are
        self.accepted_keys = frozenset(accepted_keys)  # empty: any key
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._times: Counter[tuple[str, str, int, int]] = Counter()
        self._http = _Http(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def requests(self) -> list[Seen]:
        """What was asked so far, in order of the answers."""
        with self._lock:
            return list(self._seen)

    def record(self, seen: Seen) -> None:
        """Called by the handler."""
        with self._lock:
            self._seen.append(seen)

    def take_fault(self, where: Position, conversation: str) -> Step | None:
        """The fault that is due before the answer, counted; sleeps are slept here."""
        for index, step in enumerate(where.before):
            if "sleep" in step:
                self.closing.wait(float(step["sleep"]))
                continue
            key = (conversation, where.script, where.number, index)
            with self._lock:
                times = int(step.get("times", 1))
                if times == 0 or self._times[key] < times:
                    self._times[key] += 1
                    return step
        return None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], model: ModelServer) -> None:
        self.model = model
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http
    _limit_headers: Mapping[str, str] = MappingProxyType({})  # of the request under way

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Silent: requests are recorded instead."""

    def do_HEAD(self) -> None:
        self._send(200, {})

    def do_GET(self) -> None:
        self._send(200, {"data": [], "has_more": False})

    def do_POST(self) -> None:
        self._limit_headers = {}
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        path = urlsplit(self.path).path
        wire = wire_of(path)
        if not isinstance(body, dict):
            self._refuse(wire, {}, 400, "the body is not a JSON object")
        elif wire is None:
            self._refuse(wire, body, 404, f"there is nothing at {self.path}")
        elif (aside := wire.aside(path, body)) is not None:
            self._say(wire, body, aside)
        elif self.server.model.accepted_keys and self._key() not in self.server.model.accepted_keys:
            self._refuse(wire, body, 401, "invalid x-api-key")
        elif self._is_within_limit(wire, body):
            self._answer(wire, body)

    def _is_within_limit(self, wire: Wire, body: dict[str, Any]) -> bool:
        """Count the request; one too many is refused, as its provider would."""
        limit = self.server.model.limit
        if limit is None:
            return True
        counted = limit.count(self._key())
        self._limit_headers = counted.headers
        if not counted.accepted:
            self._refuse(wire, body, 429, "This request would exceed the limit of requests of your key")
        return counted.accepted

    def _answer(self, wire: Wire, body: dict[str, Any]) -> None:
        model = self.server.model
        try:
            where = position(wire.turns(body), lambda prompt: model.default(prompt, body))
        except ScriptError as error:
            self._refuse(wire, body, 400, str(error))
            return
        fault = model.take_fault(where, wire.conversation(body) or self._key())
        step = where.answer or {"say": "done"}
        answer = wire.answer(body, str(step.get("say", "")), tool_calls(step))
        if "usage" in step:
            key = "usageMetadata" if "usageMetadata" in answer else "usage"
            answer[key] = {**answer[key], **step["usage"]}
        if fault is None:
            self._record(wire, body, 200)
            self._say(wire, body, answer)
        elif "status" in fault:
            headers = {str(name): str(value) for name, value in fault.get("headers", {}).items()}
            if "retry_after" in fault:
                headers["retry-after"] = str(fault["retry_after"])
            status = int(fault["status"])
            message = fault.get("message", "scripted refusal")
            self._refuse(wire, body, status, message, headers, fault.get("body"))
        elif "drop" in fault:
            self._record(wire, body, 0)
            self._stream(islice(wire.stream(answer), 2), whole=False)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            self._record(wire, body, 0)
            self._hang()

    def _say(self, wire: Wire, body: dict[str, Any], answer: dict[str, Any]) -> None:
        if wire.wants_stream(urlsplit(self.path).path, body):
            self._stream(wire.stream(answer))
        else:
            self._send(200, answer)

    def _hang(self) -> None:
        """Until the client gives up or the server closes."""
        while not self.server.model.closing.is_set():
            if select.select([self.connection], [], [], 0.1)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                break
        self.close_connection = True

    def _stream(self, chunks: Iterator[bytes], *, whole: bool = True) -> None:
        self._start(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for data in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        if whole:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(
        self,
        wire: Wire | None,
        body: dict[str, Any],
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
        said: dict[str, Any] | None = None,
    ) -> None:
        self._record(wire, body, status)
        shaped = wire.refusal(status, message) if wire else {"error": {"message": message}}
        self._send(status, said or shaped, headers)

    def _send(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self._start(status, {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(data)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"request-id": f"req_{uuid.uuid4().hex}", **self._limit_headers, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _key(self) -> str:
        """Wherever a client of any of the APIs puts it."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        (asked,) = parse_qs(urlsplit(self.path).query).get("key", [""])[:1]
        return self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bearer or asked

    def _record(self, wire: Wire | None, body: dict[str, Any], status: int) -> None:
        model = wire.model(urlsplit(self.path).path, body) if wire else str(body.get("model", ""))
        self.server.model.record(Seen(self.path, self._key(), model, status, body))


def main() -> None:
    """Serve until interrupted; the first line on standard output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m maestro.testing.model_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    options = parser.parse_args()
    # The reader of the line may interrupt at once: an interrupt is an orderly end from the first byte on.
    with suppress(KeyboardInterrupt), ModelServer(port=options.port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
