"""A server that speaks Gemini's REST protocol on this machine, and misbehaves on demand.

As a program it serves one answer for trying OmniView by hand and for tests of the command line:

    python -m tests.omnimodel.loopback --answer FILE --port 8765 [--fault 500|hang|cut|garbage|...]
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

__all__ = ["FAULTS", "Loopback", "Request", "Step", "answer", "refusal"]

Fault: TypeAlias = Literal[
    "", "hang", "hang_mid_body", "cut", "reset", "reset_mid_body", "endless", "drip", "nonsense"
]
VERSION = "gemini-loopback-001"


@dataclass(frozen=True)
class Request:
    """What a client sent; the body is None where it only asked to GET, a text where it is a form."""

    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def prompt(self) -> str:
        """The question."""
        return "".join(part.get("text", "") for part in self._parts)

    @property
    def picture(self) -> tuple[str, bytes]:
        """MIME type and bytes of the picture; the SDK mixes spellings and alphabets of base64."""
        inline = next(part["inlineData"] for part in self._parts if "inlineData" in part)
        data = inline["data"].replace("-", "+").replace("_", "/")
        return inline.get("mimeType") or inline["mime_type"], base64.b64decode(data, validate=True)

    @property
    def _parts(self) -> list[dict[str, Any]]:
        return list(self.body["contents"][0]["parts"])


@dataclass(frozen=True)
class Step:
    """How one request is answered: a state, a body (sent as JSON unless bytes), headers; or a fault.

    Where there is a delay, the answer waits for that long.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = ""
    delay_s: float = 0.0

    def encoded(self) -> bytes:
        """The body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Script: TypeAlias = Sequence[Step] | Callable[[Request], Step]


def answer(
    text: str | None,
    *,
    finish: str | None = "STOP",
    thought: str = "",
    tokens: tuple[int, int, int] = (300, 200, 50),
    picture: bytes | None = None,
) -> Step:
    """A well-formed answer of the interface with `text` as the model's words."""
    parts: list[dict[str, Any]] = [{"text": thought, "thought": True}] if thought else []
    parts += [] if text is None else [{"text": text}]
    if picture is not None:
        data = base64.b64encode(picture).decode()
        parts.append({"inlineData": {"mimeType": "image/png", "data": data}})
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {
        "promptTokenCount": tokens[0],
        "candidatesTokenCount": tokens[1],
        "thoughtsTokenCount": tokens[2],
        "totalTokenCount": sum(tokens),
    }
    return Step(body={"candidates": [candidate], "usageMetadata": usage, "modelVersion": VERSION})


def refusal(code: int, status: str, message: str, headers: Mapping[str, str] | None = None) -> Step:
    """An error as Google's interfaces write it."""
    body = {"error": {"code": code, "message": message, "status": status}}
    return Step(code, body, headers or {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        form = self.headers.get("content-type", "") == "application/x-www-form-urlencoded"
        self._answer(body.decode() if form else json.loads(body))

    def _answer(self, body: Any) -> None:
        step = self.server.record(Request(self.path, dict(self.headers.items()), body))
        self.server.stopping.wait(step.delay_s)
        if step.fault == "hang":
            self._wait_for_close()
            return
        if step.fault == "reset":
            self._reset()
            return
        if step.fault == "nonsense":
            self.wfile.write(b"HTTP/9.9 what?\r\n\r\n" + bytes(500))
            self.close_connection = True
            return
        self.send_response(step.status)
        data = step.encoded()
        for name, value in {"Content-Type": "application/json", **step.headers}.items():
            self.send_header(name, value)
        if step.fault == "endless":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._pour()
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if step.fault == "drip":
            self._drip(data)
            return
        half = step.fault in ("cut", "hang_mid_body", "reset_mid_body")
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.wfile.flush()
        if step.fault == "hang_mid_body":
            self._wait_for_close()
        if step.fault == "reset_mid_body":
            self._reset()
        self.close_connection = step.fault != ""

    def _reset(self) -> None:
        """End the connection rudely, with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _drip(self, data: bytes) -> None:
        """One byte at a time, so slowly that no single wait is long and the whole never ends."""
        self.close_connection = True
        self.server.hanging.set()
        try:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.stopping.wait(0.02):
                    break
        except ConnectionError:
            self.server.closed_by_client.set()

    def _wait_for_close(self) -> None:
        """Stay silent until the client gives up, and note that it did."""
        self.close_connection = True
        self.server.hanging.set()
        self.connection.settimeout(30)
        try:
            gone = self.connection.recv(1) == b""
        except ConnectionError:
            gone = True
        except TimeoutError:
            gone = False
        if gone:
            self.server.closed_by_client.set()

    def _pour(self) -> None:
        self.close_connection = True
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            while not self.server.stopping.is_set():
                self.wfile.write(chunk)
        except ConnectionError:
            self.server.closed_by_client.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, script: Script) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = script
        self.requests: list[Request] = []
        self.hanging = threading.Event()
        self.closed_by_client = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def record(self, request: Request) -> Step:
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
        if callable(self.script):
            return self.script(request)
        return self.script[min(number, len(self.script) - 1)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what many tests are about; anything else is a defect of this server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Loopback:
    """The server in a thread, from `with` to its end.

    Args:
        script: one step for each request in turn, the last one for all that follow; or a function.
        port: 0 takes a free one.
    """

    def __init__(self, script: Script, port: int = 0) -> None:
        self._server = _Server(port, script)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[Request]:
        """What was asked so far."""
        return self._server.requests

    @property
    def hanging(self) -> threading.Event:
        """Set while (or after) a request is left without an answer."""
        return self._server.hanging

    @property
    def closed_by_client(self) -> threading.Event:
        """Set when a client has closed a connection that was still waiting."""
        return self._server.closed_by_client

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


FAULTS: Mapping[str, Step] = {
    "400": refusal(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "403": refusal(403, "PERMISSION_DENIED", "The caller does not have permission."),
    "404": refusal(404, "NOT_FOUND", "models/unknown is not found for API version v1beta."),
    "429": refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
    "500": refusal(500, "INTERNAL", "An internal error has occurred."),
    "503": refusal(503, "UNAVAILABLE", "The model is overloaded."),
    "hang": Step(fault="hang"),
    "cut": Step(body={"candidates": [{"content": {"parts": [{"text": "x" * 500}]}}]}, fault="cut"),
    "reset": Step(fault="reset"),
    "garbage": Step(body=b"<html>\x00\xff not json"),
    "babble": answer("I see a beautiful picture. " * 2000),
    "safety": answer(None, finish="SAFETY"),
    "empty": answer(""),
}
"""Named ways to fail, for the command line."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--answer", type=Path, help="file that holds the model's words")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault", choices=sorted(FAULTS))
    chosen = parser.parse_args(arguments)
    if chosen.fault is None and chosen.answer is None:
        parser.error("give --answer or --fault")
    step = FAULTS[chosen.fault] if chosen.fault else answer(chosen.answer.read_text("utf-8"))
    server = _Server(chosen.port, [step])
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201 - a program says where it is
    try:
        server.serve_forever(0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.stopping.set()
        server.server_close()


if __name__ == "__main__":
    main()
