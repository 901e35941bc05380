"""A headless Chromium for the tests of the page."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def an_installed_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A running browser for the tests of a module; without one they are skipped, which says what to install."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed (apt-get install chromium)")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


class Browser:
    """Headless Chromium, steered over a pair of pipes (--remote-debugging-pipe): JSON messages that end with a NUL."""

    def __init__(self, program: str, profile: Path, size: tuple[int, int] = (1400, 900)):
        to_browser, ours_out = os.pipe()
        ours_in, from_browser = os.pipe()
        words = [
            program,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"),
        ]
        # The browser listens on file descriptor 3 and answers on 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *words]
        self.process = subprocess.Popen(
            shell, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self.output, self.input = ours_out, ours_in
        self.buffer, self.last, self.session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        self("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        self("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        self.last += 1
        message: dict[str, Any] = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self.last:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.input], [], [], 60)
            received = os.read(self.input, 1 << 20) if ready else b""
            assert received, "the browser does not answer"
            self.buffer += received
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        done = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def open(self, path: Path) -> None:
        self.events.clear()
        self("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete' && !!window.player")
        self.settle()

    def wait(self, condition: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"still not: {condition}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Until two pictures have been drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def key(self, key: str) -> None:
        code = {"key": key, "text": key if len(key) == 1 else ""}
        self("Input.dispatchKeyEvent", type="keyDown", **code)
        self("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def pixels(self, canvas: str) -> np.ndarray:
        """(H, W, 4) of a canvas, as drawn."""
        self.settle()
        url = self.run(f"document.getElementById('{canvas}').toDataURL()")
        return np.asarray(Image.open(BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA"))

    def screenshot(self) -> bytes:
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])

    def state(self) -> dict[str, Any]:
        self.settle()
        return self.run("player.state()")

    def complaints(self) -> list[str]:
        """Errors, warnings and requests other than for the file itself."""
        self.settle()
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                found.append(json.dumps(params)[:500])
            if method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:")):
                found.append(params["request"]["url"])
        return found

    def close(self) -> None:
        self.session = ""
        self("Browser.close")
        os.close(self.output)
        self.process.wait(20)
        os.close(self.input)
