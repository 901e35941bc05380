"""The live page in a browser: it draws what is sent, says how late it is, and says when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inference.live.server import LivePage
from inference.live.session import Session
from inference.live.stream import LivePose
from inference.scene import Scene, array_of
from pose.level import World
from tests.inference.render.browser import Browser, an_installed_browser
from tests.inference.render.test_page_in_browser import PERSON_RGB, reddish


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    network = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    with an_installed_browser(tmp_path_factory) as browser:
        browser("Network.emulateNetworkConditions", **network)
        yield browser


def test_what_is_sent_is_shown(browser: Browser, scene: Scene) -> None:
    page = LivePage(0)
    try:
        poses = np.concatenate([array_of(person, "poses_3d") for person in scene.people])
        source: Any = SimpleNamespace(name="<b>camera</b>")
        stream: Any = SimpleNamespace(
            fps=30.0, lag=15, camera=scene.camera, world=World.fit(poses), recent_poses=lambda: (poses, None)
        )
        session = Session(source, stream, page)
        session._times, session._lags, session.dropped = [0.0, 0.05], [0.52, 0.54], 3
        for frame in range(12, 20):
            session._show(page, frame, shown(scene, frame))
        browser.events.clear()
        browser("Page.navigate", url=page.url)
        browser.wait("!!window.live && live.state().frame === 19")
        assert browser.run("document.getElementById('source').textContent") == "<b>camera</b>"
        assert browser.run("document.getElementById('lag').textContent") == "0.53 s behind the camera"
        facts = browser.run("document.getElementById('live-facts').textContent")
        assert facts == "0.50 s of it to look at later frames; 20.0 frames/s of 30, 3 dropped"
        there = [one.person for one in shown(scene, 19)]
        assert browser.run("live.state().people") == there
        drawn = browser.pixels("space")
        assert all(reddish(drawn, PERSON_RGB[person]) > 50 for person in there)
        assert len(np.unique(browser.pixels("image").reshape(-1, 4), axis=0)) > 20
        browser.run("document.querySelector('[data-view=top]').click()")
        assert browser.run("live.state().view") == "top" and (browser.pixels("space") != drawn).any()
        session._show(page, 20, shown(scene, 20)[:1])
        browser.wait("live.state().frame === 20")
        assert browser.run("live.state().people") == there[:1]
        page.send("end", {})
        browser.wait("live.state().ended")
        assert browser.run("document.getElementById('lag').textContent") == "The stream has ended"
        assert [text for text in browser.complaints() if not text.startswith(page.url)] == []
    finally:
        page.close()


def shown(scene: Scene, frame: int) -> list[LivePose]:
    found = []
    for person in scene.people:
        row = frame - int(person.frame[0])
        if 0 <= row < len(person):
            keypoints = np.c_[array_of(person, "keypoints_2d")[row], array_of(person, "confidence")[row]]
            found.append(
                LivePose(person.person, array_of(person, "poses_3d")[row], array_of(person, "observed")[row], keypoints)
            )
    return found


def test_zooming_before_anything_came(browser: Browser) -> None:
    page = LivePage(0)
    try:
        browser.events.clear()
        browser("Page.navigate", url=page.url)
        browser.wait(f"location.href === '{page.url}' && !!window.live")
        browser.run("document.getElementById('space').dispatchEvent(new WheelEvent('wheel', {deltaY: 5}))")
        assert [text for text in browser.complaints() if not text.startswith(page.url)] == []
    finally:
        page.close()
