"""A server of one file on this machine, a real one, that cuts, forgets and lies as a test asks for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self, TypeAlias

__all__ = ["FileServer"]

Step: TypeAlias = Literal["", "cut", "404", "500", "whole", "long", "packed", "416"]


@dataclass
class FileServer:
    """Serves `content` under every path, also as a proxy for other hosts.

    Attributes:
        content: the file's bytes.
        steps: how the requests are answered in turn, the last one again and again: "" as HTTP has it, "cut"
            after half of what is left, "whole" without looking at Range, "long" with too many bytes.
        etag: of the file.
        asked: request line and headers of each request.
    """

    content: bytes
    steps: Sequence[Step] = ("",)
    etag: str = '"one"'
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        step = self.steps[min(len(self.asked), len(self.steps) - 1)]
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.path, headers))
        if step in ("404", "500", "416"):
            request.send_response(int(step))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        begin = 0
        known = headers.get("if-range") in (None, self.etag)
        if "range" in headers and step != "whole" and known:
            begin = int(headers["range"].removeprefix("bytes=").rstrip("-"))
        body = self.content[begin:] + (b"more" if step == "long" else b"")
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        if step == "packed":
            request.send_header("Content-Encoding", "gzip")
        if step != "long":  # without a length the end of the connection is the end of the file
            request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if step == "cut" else body)
        request.close_connection = True
