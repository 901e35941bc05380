"""The live page: for this machine only, and always the newest message."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from inference.live.server import MAX_LISTENERS, LivePage
from pose.errors import ConfigError


@pytest.fixture
def page() -> Iterator[LivePage]:
    page = LivePage(0)
    yield page
    page.close()


def port_of(page: LivePage) -> int:
    return int(page.url.rsplit(":", 1)[1].rstrip("/"))


def get(page: LivePage, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=10)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_the_page_loads_nothing_from_elsewhere(page: LivePage) -> None:
    answer = get(page)
    text = answer.read().decode()
    assert answer.status == 200 and "default-src 'none'" in text and "connect-src 'self'" in text
    assert "class Scene" in text and 'new EventSource("/events")' in text and "{{" not in text
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert get(page, "/../server.py").status == 404


@pytest.mark.parametrize("path", ["/", "/events"])
def test_foreign_hosts_and_origins_are_refused(page: LivePage, path: str) -> None:
    port = port_of(page)
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"127.0.0.1:{port}.evil",
        "",
    ):
        assert get(page, path, Host=host).status == 403, host
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://localhost:{port}.evil"):
        assert get(page, path, Origin=origin).status == 403, origin
    page.send("frame", {"number": 1})
    assert get(page, path, Host=f"localhost:{port}", Origin=f"http://localhost:{port}").status == 200
    assert get(page, path, Origin=f"http://127.0.0.1:{port}").status == 200


def test_only_this_machine_is_listened_to(page: LivePage) -> None:
    assert page._server.server_address[0] == "127.0.0.1"


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict]]:
    kind = ""
    for line in answer:
        if line.startswith(b"event: "):
            kind = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield kind, json.loads(line[6:])


def test_who_comes_late_gets_the_newest_of_each_kind_and_then_what_comes(page: LivePage) -> None:
    page.send("scene", {"fps": 30})
    for number in range(100):
        page.send("frame", {"number": number})
    heard = events(get(page, "/events"))
    assert [next(heard), next(heard)] == [("scene", {"fps": 30}), ("frame", {"number": 99})]
    page.send("frame", {"number": 100})
    assert next(heard) == ("frame", {"number": 100})
    threading.Timer(0.1, page.close).start()
    assert list(heard) == []


def test_a_listener_who_does_not_read_holds_nobody_up(page: LivePage) -> None:
    with socket.create_connection(("127.0.0.1", port_of(page))) as idle:
        idle.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port_of(page)}\r\n\r\n".encode())
        begin = time.monotonic()
        for number in range(200):
            page.send("frame", {"number": number, "filling": "x" * 20_000})
        assert time.monotonic() - begin < 2
        assert next(events(get(page, "/events")))[1]["number"] == 199


def test_so_many_listeners_and_no_more(page: LivePage) -> None:
    page.send("frame", {"number": 1})
    answers = [get(page, "/events") for _ in range(MAX_LISTENERS)]
    assert all(next(events(answer)) for answer in answers)
    assert get(page, "/events").read() == b""


def test_a_port_that_is_taken(page: LivePage) -> None:
    with pytest.raises(ConfigError, match=r"live\.port=\d+: cannot be listened on"):
        LivePage(port_of(page))
    wrong: tuple[Any, ...] = (99999, "abc", 1.5)
    for port in wrong:
        with pytest.raises(ConfigError, match=rf"live\.port={port}: must be a whole number"):
            LivePage(port)


def test_a_browser_that_goes_away_says_nothing(page: LivePage, capfd) -> None:
    for path in ("/", "/events"):
        with socket.create_connection(("127.0.0.1", port_of(page))) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends by a reset
            gone.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port_of(page)}\r\n".encode())
    time.sleep(0.2)
    assert get(page).status == 200 and capfd.readouterr().err == ""
