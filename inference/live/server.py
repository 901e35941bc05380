"""The page of a live stream: served on this machine only, by server-sent events.

Only 127.0.0.1 is listened on. A foreign site could still send a browser here, under a name of its own that points to
this machine (DNS rebinding) or from its pages: so every request must name this very address as its `Host` and, if it
has one, as its `Origin`. Each listener gets the newest message when it is ready for it; older ones are dropped.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from pose.errors import ConfigError, check_number

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
#: Seconds after which a comment tells whether a listener is still there.
ALIVE_S = 5.0
MAX_LISTENERS = 8
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
PARTS = {
    "style": "render/page.css",
    "samples": "render/page_samples.html",
    "model": "render/page_scene.js",
    "views": "render/page_views.js",
    "controls": "render/page_controls.js",
    "player": "live/live.js",
}


class LivePage:
    """The page on http://127.0.0.1:PORT/, from now until `close`. port: 0 for any that is free.

    Raises ConfigError for a port that is taken or no port.
    """

    def __init__(self, port: int = 0):
        check_number("live.port", port, 0, 65535, whole=True, hint="0 for any, null for no page")
        self._change = threading.Condition()
        self._messages: dict[str, tuple[int, str]] = {}  # by kind: how many there have been, and the newest
        self._count, self._listeners, self._closed = 0, 0, False
        handler = type("Handler", (_Handler,), {"page": self, "html": _html().encode()})
        try:
            self._server = _Server((ADDRESS, port), handler)
        except OSError as error:
            raise ConfigError(
                f"live.port={port}: cannot be listened on ({error}); give another, 0 for any, or null for no page"
            ) from None
        self.hosts = {f"{name}:{self._server.server_port}" for name in (ADDRESS, "localhost")}
        self.url = f"http://{ADDRESS}:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def send(self, kind: str, message: dict[str, Any]) -> None:
        """To all who listen, in place of what they have not got yet of this kind; who comes later gets it too."""
        text = json.dumps(message, allow_nan=False, separators=(",", ":"))
        with self._change:
            self._count += 1
            self._messages[kind] = (self._count, text)
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def listen(self, write: Any) -> None:
        """Write messages as they come, until the page is closed or `write` fails."""
        with self._change:
            if self._listeners >= MAX_LISTENERS:
                return
            self._listeners += 1
        got = 0
        try:
            while True:
                with self._change:
                    if self._count == got and not self._closed:
                        self._change.wait(ALIVE_S)
                    new = sorted((at, kind, text) for kind, (at, text) in self._messages.items() if at > got)
                    got, closed = self._count, self._closed
                write("".join(f"event: {kind}\ndata: {text}\n\n" for _, kind, text in new) or ":\n\n")
                if closed:
                    return
        except OSError:  # the browser has gone
            return
        finally:
            with self._change:
                self._listeners -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no matter for the terminal."""
        log.debug("%s", self.server_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    page: LivePage
    html: bytes

    def do_GET(self) -> None:
        hosts, origin = self.page.hosts, self.headers.get("Origin")
        if self.headers.get("Host") not in hosts or (origin and origin.removeprefix("http://") not in hosts):
            self.send_error(403, "this page is for this machine only")
        elif self.path == "/":
            self._head("text/html; charset=utf-8", len(self.html))
            self.wfile.write(self.html)
        elif self.path == "/events":
            self._head("text/event-stream")
            self.page.listen(lambda text: (self.wfile.write(text.encode()), self.wfile.flush()))
        else:
            self.send_error(404)

    def _head(self, content: str, length: int | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": content, **_HEADERS}.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the stream."""


def _html() -> str:
    files = resources.files("inference")
    parts = {key: files.joinpath(name).read_text("utf-8") for key, name in PARTS.items()}
    page = files.joinpath("live/live.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)
