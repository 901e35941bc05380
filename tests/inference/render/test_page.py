"""The page: small, complete in itself, harmless with hostile names, and working in a browser."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.render.page import write_page
from inference.scene import PredictedPerson, PredictedScene
from pose.errors import ConfigError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{data}}&amp;"


# --- the file --------------------------------------------------------------------------------------------------------


def content_of(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="scene">(.*?)</script>', path.read_text("utf-8"), re.S)
    assert found is not None
    return json.loads(found[1])


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), "<i2") * packed["scale"]


def repeated(scene: PredictedScene, times: int) -> PredictedScene:
    """The scene again and again, quickly made, people in all frames."""
    n_frames = min(len(person) for person in scene.people) * times

    def longer(person: PredictedPerson) -> PredictedPerson:
        rows = np.arange(n_frames) % (n_frames // times)
        arrays = {
            name: getattr(person, name)[rows]
            for name in ("poses_3d", "poses_3d_plain", "observed", "confidence", "keypoints_2d", "scores")
        }
        return dataclasses.replace(person, frame=np.arange(n_frames), **arrays)

    return dataclasses.replace(scene, people=[longer(person) for person in scene.people], n_frames=n_frames)


def test_three_people_and_600_frames_stay_under_3_mb(tmp_path: Path, made_scene: Callable[..., PredictedScene]) -> None:
    scene = repeated(made_scene(60), 12)
    assert scene.n_frames >= 600
    write_page(scene, tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size < 3e6
    assert list(tmp_path.iterdir()) == [tmp_path / "a.html"]


def test_a_long_scene_is_whole_and_a_longer_one_is_decimated_and_says_so(
    tmp_path: Path, scene: PredictedScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = repeated(scene, 10_000 // 50)
    assert long.n_frames >= 9_999 and len(long.people) == 3
    write_page(long, tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size < 40e6
    assert content_of(tmp_path / "a.html")["stride"] == 1

    monkeypatch.setattr("inference.render.page.MAX_BYTES", 30_000)
    write_page(scene, tmp_path / "b.html")
    content = content_of(tmp_path / "b.html")
    stride = content["stride"]
    assert stride == 3 and "every third frame" in content["notes"][-1]
    assert (tmp_path / "b.html").stat().st_size < 30_000 + 70_000
    for person, packed in zip(scene.people, content["people"], strict=True):
        kept = person.poses_3d[person.frame % stride == 0]
        assert packed["length"] == len(kept)
        assert packed["start"] * stride == person.frame[person.frame % stride == 0][0]
        np.testing.assert_allclose(unpacked(packed["refined"]).reshape(kept.shape), kept, atol=0.51)


def test_numbers_survive(tmp_path: Path, scene: PredictedScene) -> None:
    write_page(scene, tmp_path / "a.html")
    content = content_of(tmp_path / "a.html")
    assert content["frames"] == 60 and content["notes"] == scene.notes
    for person, packed in zip(scene.people, content["people"], strict=True):
        shape = person.poses_3d.shape
        np.testing.assert_allclose(unpacked(packed["refined"]).reshape(shape), person.poses_3d, atol=0.51)
        np.testing.assert_allclose(unpacked(packed["lifted"]).reshape(shape), person.poses_3d_plain, atol=0.51)
        np.testing.assert_allclose(
            unpacked(packed["keypoints"]).reshape(*person.keypoints_2d.shape), person.keypoints_2d, atol=0.13
        )
        bits = np.frombuffer(base64.b64decode(packed["observed"]), np.uint8).reshape(len(person), 3)
        np.testing.assert_array_equal(
            np.unpackbits(bits, axis=1, count=17, bitorder="little").astype(bool), person.observed
        )


def test_far_and_missing_places(tmp_path: Path, scene: PredictedScene) -> None:
    poses = scene.people[0].poses_3d.copy()
    poses[0, 0] = np.nan
    poses[1, 1] = [1e5, -2e5, 4e5]  # 400 m away: coarser steps for this person, no overflow
    person = dataclasses.replace(scene.people[0], poses_3d=poses)
    write_page(dataclasses.replace(scene, people=[person]), tmp_path / "a.html")
    (packed,) = content_of(tmp_path / "a.html")["people"]
    scale = packed["refined"]["scale"]
    found = unpacked(packed["refined"]).reshape(poses.shape)
    assert (found[0, 0] == -32768 * scale).all()
    np.testing.assert_allclose(found[1:], poses[1:], atol=0.51 * scale)


def test_without_a_refinement_there_is_nothing_to_compare(tmp_path: Path, scene: PredictedScene) -> None:
    people = [dataclasses.replace(person, poses_3d_plain=person.poses_3d) for person in scene.people]
    write_page(dataclasses.replace(scene, people=people), tmp_path / "a.html")
    assert all(person["lifted"] is None for person in content_of(tmp_path / "a.html")["people"])


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path, scene: PredictedScene) -> None:
    write_page(scene, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text("utf-8")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|<link[^>]+stylesheet|<script[^>]+src", page)
    assert "default-src 'none'" in page and "{{" not in page


def test_a_rate_is_needed(tmp_path: Path, scene: PredictedScene) -> None:
    with pytest.raises(ConfigError, match="fps=0"):
        write_page(dataclasses.replace(scene, fps=0.0), tmp_path / "a.html")


# --- in a browser ----------------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed (apt-get install chromium)")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser, scene: PredictedScene, tmp_path: Path) -> Browser:
    write_page(scene, tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    return browser


def differs(one: np.ndarray, other: np.ndarray) -> int:
    """Number of pixels that are not alike."""
    return int((one != other).any(-1).sum())


def test_it_loads_without_network_and_without_a_complaint(page: Browser, scene: PredictedScene) -> None:
    assert page.state()["count"] == scene.n_frames and page.state()["frame"] == 0
    assert page.run("document.title") == "three_people.mp4: people in 3D"
    assert "3 people, 60 frames at 30 fps" in page.run("document.getElementById('facts').textContent")
    for canvas in ("space", "image"):
        drawn = page.pixels(canvas)
        assert len(np.unique(drawn.reshape(-1, 4), axis=0)) > 50, f"{canvas}: a blank picture"
    for person in scene.people:
        if person.frame[0] == 0:
            assert reddish(page.pixels("space"), PERSON_RGB[person.person]) > 50
    assert page.complaints() == []


PERSON_RGB = {0: (0, 114, 178), 1: (213, 94, 0), 2: (0, 158, 115)}


def reddish(picture: np.ndarray, rgb: tuple[int, int, int]) -> int:
    """Number of pixels of very nearly that colour."""
    return int((np.abs(picture[..., :3].astype(int) - rgb).max(-1) < 6).sum())


def test_it_plays_at_the_rate_of_the_video_and_stops(page: Browser) -> None:
    page.run("player.seek(10)")
    page.key(" ")
    assert page.state()["playing"]
    start, begin = page.state()["frame"], time.monotonic()
    page.wait("player.state().frame > 25")
    took = time.monotonic() - begin
    assert (25 - start) / 30 * 0.5 < took, "faster than the video"
    page.key(" ")
    frozen = page.state()
    assert not frozen["playing"]
    time.sleep(0.15)
    assert page.state()["frame"] == frozen["frame"]
    assert page.complaints() == []


def test_it_seeks_by_slider_keys_and_strips(page: Browser) -> None:
    before = page.pixels("space")
    page.run("slider.value = 30; slider.dispatchEvent(new Event('input'))")
    assert page.state()["frame"] == 30 and differs(before, page.pixels("space")) > 500
    assert "1.00 s of 2.00 s, frame 30" in page.run("document.getElementById('clock').textContent")
    assert page.run("slider.getAttribute('aria-valuetext')") == "1.00 seconds, frame 30"
    page.key("ArrowRight")
    assert page.state()["frame"] == 31
    page.key("Home")
    page.key("ArrowLeft")
    assert page.state()["frame"] == 0
    page.key("End")
    assert page.state()["frame"] == 59
    page.run("player.seek(1e9)")
    assert page.state()["frame"] == 59
    box = page.run("document.querySelector('.track canvas').getBoundingClientRect().toJSON()")
    click(page, box["left"] + 7 + (box["width"] - 14) / 2, box["top"] + 5)
    assert page.state()["frame"] in (29, 30)


def click(page: Browser, x: float, y: float, to: tuple[float, float] | None = None) -> None:
    place = {"x": x, "y": y, "button": "left", "clickCount": 1}
    page("Input.dispatchMouseEvent", type="mousePressed", **place)
    if to is not None:
        place |= {"x": to[0], "y": to[1]}
        page("Input.dispatchMouseEvent", type="mouseMoved", buttons=1, **place)
    page("Input.dispatchMouseEvent", type="mouseReleased", **place)


def test_people_can_be_chosen(page: Browser) -> None:
    page.run("player.seek(12)")
    assert page.state()["shown"] == [0, 1, 2]
    blue = PERSON_RGB[0]
    with_all = reddish(page.pixels("space"), blue), reddish(page.pixels("image"), blue)
    page.run("document.querySelector('#people input').click()")
    assert page.state()["shown"] == [1, 2]
    assert reddish(page.pixels("space"), blue) == 0 < with_all[0]
    assert reddish(page.pixels("image"), blue) == 0 < with_all[1]
    page.key("0")
    assert page.state()["shown"] == [0, 1, 2]
    assert reddish(page.pixels("space"), blue) == with_all[0]


def test_plain_against_refined(page: Browser) -> None:
    page.run("player.seek(30)")
    pictures = {"refined": page.pixels("space")}
    for coordinates in ("lifted", "both"):
        page.run(f"document.querySelector('input[value={coordinates}]').click()")
        assert page.state()["coordinates"] == coordinates
        pictures[coordinates] = page.pixels("space")
    assert differs(pictures["refined"], pictures["lifted"]) > 300
    assert differs(pictures["refined"], pictures["both"]) > 100
    assert differs(pictures["lifted"], pictures["both"]) > 300
    page.key("v")
    assert page.state()["coordinates"] == "refined"
    assert differs(page.pixels("space"), pictures["refined"]) == 0


def test_the_view_turns_and_zooms(page: Browser) -> None:
    before, start = page.pixels("space"), page.state()
    click(page, 300, 300, to=(380, 330))
    turned = page.state()
    assert turned["azimuth"] != start["azimuth"] and turned["elevation"] != start["elevation"]
    assert differs(before, page.pixels("space")) > 1000
    page("Input.dispatchMouseEvent", type="mouseWheel", x=300, y=300, deltaX=0, deltaY=-120)
    page.wait(f"player.state().distance < {turned['distance']}")
    for view in ("camera", "side", "top", "oblique"):
        page.run(f"document.querySelector('[data-view={view}]').click()")
    assert {key: page.state()[key] for key in ("azimuth", "elevation", "distance")} == {
        key: start[key] for key in ("azimuth", "elevation", "distance")
    }
    assert page.complaints() == []


def test_inferred_is_told_from_observed(page: Browser, scene: PredictedScene) -> None:
    person = scene.people[2]
    lost = int(person.frame[~person.observed.any(1)][0])
    status = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(" + (
        "document.querySelectorAll('.status')[2].textContent))))"
    )
    for number in (0, 1):
        page.run(f"player.setPerson({number}, false)")
    page.run(f"player.seek({lost})")
    hollow = reddish(page.pixels("space"), PERSON_RGB[2])
    assert page.run(status) == "inferred"
    page.run("player.seek(2)")
    filled = reddish(page.pixels("space"), PERSON_RGB[2])
    assert "observed" in page.run(status)
    assert hollow < 0.8 * filled, "hollow bones cover less"
    page.run("player.seek(59)")
    assert page.run(status) == "absent"
    strip = page.run("document.querySelectorAll('.track canvas')[2].toDataURL()")
    drawn = np.asarray(Image.open(BytesIO(base64.b64decode(strip.split(",")[1]))).convert("RGB"))
    green = np.abs(drawn.astype(int) - PERSON_RGB[2]).max(-1) < 6
    column = lambda frame: round(7 + (drawn.shape[1] - 14) * frame / 59)  # noqa: E731
    assert green[2:-2, column(2)].mean() > 0.6 > 0.3 > green[2:-2, column(lost + 1)].mean()
    assert not green[:, column(57)].any()


def test_both_themes_and_a_telephone_are_readable(page: Browser) -> None:
    for theme in ("dark", "light"):
        page.run(f"player.setTheme('{theme}')")
        page.settle()
        ground, ink = page.run(
            "['backgroundColor', 'color'].map(key => getComputedStyle(document.body)[key].match(/\\d+/g).map(Number))"
        )
        assert contrast(ground, ink) > 7
    page("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)
    page.settle()
    assert page.run("document.documentElement.scrollWidth") <= 390, "scrolls sideways"
    assert len(np.unique(page.pixels("space").reshape(-1, 4), axis=0)) > 50
    page("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast ratio of WCAG 2."""

    def luminance(rgb: list[float]) -> float:
        parts = np.array(rgb[:3]) / 255
        return float(
            np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        )

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_controls_have_names(page: Browser) -> None:
    nameless = page.run(
        "[...document.querySelectorAll('button, input, select, canvas')].filter(e => !(e.textContent.trim() || "
        "e.getAttribute('aria-label') || e.closest('label'))).map(e => e.outerHTML)"
    )
    assert nameless == []
    page.key("?")
    assert page.run("document.getElementById('help').open")


def test_hostile_names_are_text(browser: Browser, scene: PredictedScene, tmp_path: Path) -> None:
    write_page(dataclasses.replace(scene, source=HOSTILE, notes=[HOSTILE]), tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    assert browser.run("document.querySelector('#notes li').textContent") == HOSTILE
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.complaints() == []


def test_nobody_and_one_frame(browser: Browser, scene: PredictedScene, tmp_path: Path) -> None:
    write_page(dataclasses.replace(scene, people=[]), tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    assert "Nobody was found" in browser.run("document.getElementById('notes').textContent")
    one = scene.people[0]
    arrays = {
        name: getattr(one, name)[:1]
        for name in ("frame", "poses_3d", "poses_3d_plain", "observed", "confidence", "keypoints_2d", "scores")
    }
    write_page(dataclasses.replace(scene, people=[dataclasses.replace(one, **arrays)], n_frames=1), tmp_path / "b.html")
    for name in ("a", "b"):
        browser.open(tmp_path / f"{name}.html")
        browser.run("player.play()")
        browser.settle()
        browser.run("player.pause(); player.seek(5)")
        assert browser.state()["frame"] == {"a": 5, "b": 0}[name] and browser.complaints() == []
