"""The page in a browser: plays, seeks, compares, is readable, and does nothing that a hostile name asks for."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fileio.video import VideoFrame
from inference.render.page import PagePictures, write_page
from inference.scene import Scene
from tests.inference.render.browser import Browser, an_installed_browser

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{data}}&amp;"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with an_installed_browser(tmp_path_factory) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, scene: Scene, tmp_path: Path) -> Browser:
    write_page(scene, tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    return browser


def differs(one: np.ndarray, other: np.ndarray) -> int:
    """Number of pixels that are not alike."""
    return int((one != other).any(-1).sum())


def test_it_loads_without_network_and_without_a_complaint(page: Browser, scene: Scene) -> None:
    assert page.state()["count"] == scene.n_frames and page.state()["frame"] == 0
    assert page.run("document.title") == "three_people.mp4: people in 3D"
    assert "3 people, 60 frames at 30 fps, normal coordinates" in page.run(
        "document.getElementById('facts').textContent"
    )
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


def test_lifted_against_refined(page: Browser) -> None:
    page.run("player.seek(30)")
    pictures = {"refined": page.pixels("space")}
    for kind in ("lifted", "both"):
        page.run(f"document.querySelector('input[value={kind}]').click()")
        assert page.state()["poses"] == kind
        pictures[kind] = page.pixels("space")
    assert differs(pictures["refined"], pictures["lifted"]) > 300
    assert differs(pictures["refined"], pictures["both"]) > 100
    assert differs(pictures["lifted"], pictures["both"]) > 300
    page.key("v")
    assert page.state()["poses"] == "refined"
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


def test_inferred_is_told_from_observed(page: Browser, scene: Scene) -> None:
    person = scene.people[2]
    lost = int(person.frame[~person.require("observed").any(1)][0])
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


@pytest.mark.parametrize(("width", "height"), [(400, 800), (800, 900), (1400, 900), (1400, 600)])
def test_the_legend_is_never_clipped(page: Browser, width: int, height: int) -> None:
    page("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    page.settle()
    try:
        box, *lines = page.run(
            "[...document.querySelectorAll('.about, .about #selected, .samples li')]"
            ".map(one => one.getBoundingClientRect().toJSON())"
        )
        assert len(lines) == 7
        for line in lines:
            assert line["height"] > 8 and line["left"] >= box["left"] and line["right"] <= box["right"]
            assert line["top"] >= box["top"] and line["bottom"] <= box["bottom"]
        assert page.run("document.documentElement.scrollWidth") <= width
    finally:
        page("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)


def test_it_opens_at_the_first_frame_with_people(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    later = [dataclasses.replace(person, frame=person.frame + 9) for person in scene.people]
    write_page(dataclasses.replace(scene, people=later, n_frames=80), tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    assert browser.state()["frame"] == min(int(person.frame[0]) for person in later) == 9


def test_left_differs_from_right(page: Browser) -> None:
    """Half of blue and white beside blue, and none of it where the left side is drawn like the right."""
    light = (128, 185, 217)
    assert reddish(page.pixels("space"), light) > 50 and reddish(page.pixels("image"), light) > 20


def test_stature_and_speed_of_the_selected_person(page: Browser, scene: Scene) -> None:
    words = "document.getElementById('selected').textContent"
    page.run("player.seek(30)")
    assert page.state()["selected"] == 0 and page.run(words).startswith("Person 0: stature 1.")
    box = page.run("document.querySelectorAll('#people .track')[2].getBoundingClientRect().toJSON()")
    click(page, box["left"] + 220, box["top"] + 3)
    assert page.state()["selected"] == 2
    hips = scene.people[2].require("poses_3d")[22:39, 14]
    speed = float((hips[-1] - hips[0]).norm()) / 16 * scene.fps / 1000
    said = page.run(words)
    found = float(said.split("speed ")[1].split(" m/s")[0])
    assert "stature" in said and abs(found - speed) < 0.15


def test_the_video_lies_behind_the_skeletons(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    pictures = PagePictures(scene)
    green = np.broadcast_to(
        np.array([20, 200, 20], dtype=np.uint8), (scene.camera.height // 4, scene.camera.width // 4, 3)
    )
    list(pictures.of(VideoFrame(i, None, green.copy()) for i in range(scene.n_frames)))
    write_page(scene, tmp_path / "a.html", pictures)
    browser.open(tmp_path / "a.html")
    browser.run("new Promise(done => setTimeout(done, 200))")
    drawn = browser.pixels("image")
    assert reddish(drawn, (20, 200, 20)) > 0.3 * drawn.shape[0] * drawn.shape[1]
    assert browser.complaints() == []


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


def test_hostile_names_are_text(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    write_page(dataclasses.replace(scene, source=HOSTILE, notes=[HOSTILE]), tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    assert browser.run("document.querySelector('#notes li').textContent") == HOSTILE
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.complaints() == []


def test_no_people_and_one_frame(browser: Browser, scene: Scene, tmp_path: Path) -> None:
    write_page(dataclasses.replace(scene, people=[]), tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    assert "No person was found" in browser.run("document.getElementById('notes').textContent")
    one = scene.people[0].selected(slice(1))
    write_page(dataclasses.replace(scene, people=[one], n_frames=1), tmp_path / "b.html")
    for name in ("a", "b"):
        browser.open(tmp_path / f"{name}.html")
        browser.run("player.play()")
        browser.settle()
        browser.run("player.pause(); player.seek(5)")
        assert browser.state()["frame"] == {"a": 5, "b": 0}[name] and browser.complaints() == []
