"""The file of the page: small, complete in itself, its numbers whole."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fileio.video import VideoFrame
from inference.cameras.camera import stature
from inference.render.page import PagePictures, write_page
from inference.scene import Scene, array_of
from pose.errors import ConfigError
from pose.sequence import PoseSequence


def content_of(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="scene">(.*?)</script>', path.read_text("utf-8"), re.S)
    assert found is not None
    return json.loads(found[1])


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), "<i2") * packed["scale"]


def repeated(scene: Scene, times: int) -> Scene:
    """The scene again and again, quickly made, people in all frames."""
    n_frames = min(len(person) for person in scene.people) * times

    def longer(person: PoseSequence) -> PoseSequence:
        rows = torch.arange(n_frames) % (n_frames // times)
        return dataclasses.replace(person.selected(rows), frame=torch.arange(n_frames))

    return dataclasses.replace(scene, people=[longer(person) for person in scene.people], n_frames=n_frames)


def test_a_long_scene_is_whole_and_a_longer_one_is_decimated_and_says_so(
    tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
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
    assert stride == 3 and "one frame in 3" in content["notes"][-1]
    assert (tmp_path / "b.html").stat().st_size < 30_000 + 70_000
    for person, packed in zip(scene.people, content["people"], strict=True):
        kept = array_of(person, "poses_3d")[person.frame % stride == 0]
        assert packed["length"] == len(kept)
        assert packed["start"] * stride == person.frame[person.frame % stride == 0][0]
        np.testing.assert_allclose(unpacked(packed["refined"]).reshape(kept.shape), kept, atol=0.51)


def test_numbers_survive(tmp_path: Path, scene: Scene) -> None:
    write_page(scene, tmp_path / "a.html")
    content = content_of(tmp_path / "a.html")
    assert content["frames"] == 60 and content["notes"] == scene.notes
    for person, packed in zip(scene.people, content["people"], strict=True):
        shape = person.poses_3d.shape
        np.testing.assert_allclose(unpacked(packed["refined"]).reshape(shape), person.poses_3d, atol=0.51)
        np.testing.assert_allclose(unpacked(packed["lifted"]).reshape(shape), array_of(person, "lifted_3d"), atol=0.51)
        np.testing.assert_allclose(
            unpacked(packed["keypoints_2d"]).reshape(*person.keypoints_2d.shape), person.keypoints_2d, atol=0.13
        )
        bits = np.frombuffer(base64.b64decode(packed["observed"]), np.uint8).reshape(len(person), 3)
        np.testing.assert_array_equal(
            np.unpackbits(bits, axis=1, count=17, bitorder="little").astype(bool), person.observed
        )


def test_far_and_missing_places(tmp_path: Path, scene: Scene) -> None:
    poses = scene.people[0].require("poses_3d").clone()
    poses[0, 0] = torch.nan
    poses[1, 1] = torch.tensor([1e5, -2e5, 4e5])  # 400 m away: coarser steps for this person, no overflow
    person = dataclasses.replace(scene.people[0], poses_3d=poses)
    write_page(dataclasses.replace(scene, people=[person]), tmp_path / "a.html")
    (packed,) = content_of(tmp_path / "a.html")["people"]
    scale = packed["refined"]["scale"]
    found = unpacked(packed["refined"]).reshape(poses.shape)
    assert (found[0, 0] == -32768 * scale).all()
    np.testing.assert_allclose(found[1:], poses[1:], atol=0.51 * scale)


def test_without_a_refinement_there_is_nothing_to_compare(tmp_path: Path, scene: Scene) -> None:
    people = [dataclasses.replace(person, lifted_3d=person.poses_3d) for person in scene.people]
    write_page(dataclasses.replace(scene, people=people), tmp_path / "a.html")
    assert all(person["lifted"] is None for person in content_of(tmp_path / "a.html")["people"])


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path, scene: Scene) -> None:
    write_page(scene, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text("utf-8")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|<link[^>]+stylesheet|<script[^>]+src", page)
    assert "default-src 'none'" in page and "{{" not in page


def test_a_rate_is_needed(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(ConfigError, match="fps=0"):
        write_page(dataclasses.replace(scene, fps=0.0), tmp_path / "a.html")


def test_pictures_of_the_video_are_small_and_few(tmp_path: Path, scene: Scene) -> None:
    pictures = PagePictures(scene)
    frames = [VideoFrame(i, None, np.full((540, 960, 3), 3 * i, dtype=np.uint8)) for i in range(scene.n_frames + 5)]
    assert [frame.index for frame in pictures.of(frames)] == list(range(scene.n_frames + 5))
    write_page(scene, tmp_path / "a.html", pictures)
    content = content_of(tmp_path / "a.html")["pictures"]
    assert content["every"] == 8 and len(content["jpegs"]) == 8  # 30 / 4, rounded; frames 0, 8, ..., 56
    with Image.open(BytesIO(base64.b64decode(content["jpegs"][3]))) as picture:
        assert picture.size == (400, 225) and abs(np.asarray(picture).mean() - 3 * 24) < 3
    assert PagePictures(dataclasses.replace(scene, n_frames=90_000)).every == 300
    write_page(scene, tmp_path / "b.html")
    assert content_of(tmp_path / "b.html")["pictures"] is None


def test_stature(tmp_path: Path, scene: Scene) -> None:
    write_page(scene, tmp_path / "a.html")
    person = scene.people[0]
    height = stature(array_of(person, "poses_3d"), array_of(person, "observed")) / 1000
    assert content_of(tmp_path / "a.html")["people"][0]["stature_m"] == pytest.approx(height, abs=0.006)
    write_page(dataclasses.replace(scene, coordinates="universal"), tmp_path / "a.html")
    assert content_of(tmp_path / "a.html")["people"][0]["stature_m"] is None
