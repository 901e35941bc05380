"""Still and moving cameras, told from people and from the video."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from data.keypoints.detections import VideoDetections
from fileio.video import VideoWriter, probe
from inference.cameras.camera import CameraSettings
from inference.cameras.motion import CameraMotion, of_people, of_video
from inference.export.base import scene_facts
from inference.pipeline import Pipeline
from inference.quality import scene_warnings
from inference.tracking import OfflineTracker, sequences
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence
from refinement import NoRefinement

REPO = Path(__file__).resolve().parents[3]
GOLDEN, EXAMPLE = REPO / "tests" / "golden", REPO / "examples" / "multiview"
CLIPS = {
    "three_people": (GOLDEN / "detections" / "ts1_keypoints.json", (2048, 2048), 30.0),
    "bystander": (GOLDEN / "cases" / "openpose_bystander.json", (1080, 1920), 60.0),
    "one": (EXAMPLE / "cam3_keypoints.json", (1088, 1920), 60.0),
    "weak": (EXAMPLE / "cam4_keypoints.json", (1088, 1920), 60.0),
}


def people_of(clip: str) -> tuple[list[PoseSequence], float]:
    path, size, fps = CLIPS[clip]
    found = read_detections(path, fps=fps, image_size=size)
    return sequences(found, OfflineTracker()(found), None, fps, None), fps


def moved(people: list[PoseSequence], path: np.ndarray) -> list[PoseSequence]:
    """The people seen by a camera whose picture moves along path (frames, 2), px."""
    way = torch.from_numpy(path).float()
    return [dataclasses.replace(one, keypoints_2d=one.keypoints_2d + way[one.frame][:, None]) for one in people]


@pytest.mark.parametrize("clip", CLIPS)
def test_a_still_camera_is_not_blamed_and_a_pan_is_measured(clip: str) -> None:
    people, fps = people_of(clip)
    still = of_people(people, fps)
    if clip == "weak":  # a second of its feet tells nothing
        assert still.moves is None
        return
    assert still == CameraMotion(False, how="people")
    pan = 800.0 / fps * np.array([0.9, 0.1]) * np.arange(301)[:, None]  # px a second
    found = of_people(moved(people, pan), fps)
    assert found.moves and found.px_per_frame == pytest.approx(725 / fps, rel=0.1)
    assert found.note is not None and f"{found.px_per_frame:.1f} px per frame" in found.note


def test_a_pan_in_the_middle_says_when() -> None:
    people, fps = people_of("three_people")
    path = np.clip(np.arange(301) - 60, 0, 60)[:, None] * np.array([15.0, 0.0])  # from 2 to 4 s
    found = of_people(moved(people, path), fps)
    assert found.moves and found.px_per_frame == pytest.approx(15, rel=0.2)
    assert 1.2 < found.first_s < 2.4 and 3.6 < found.last_s < 4.8


def made(feet: np.ndarray, hips: np.ndarray, fps: float = 30.0) -> PoseSequence:
    """A person 500 px tall: left and right foot (T, 2) and hip (T,), x in px."""
    points = np.zeros((len(hips), 19, 2))
    points[..., 0], points[..., 1] = hips[:, None], 300.0
    points[:, COCO_19.index("hip"), 1] = 480.0
    for side, name in enumerate(("left_ankle", "right_ankle")):
        points[:, COCO_19.index(name)] = np.stack([feet[:, side], np.full(len(hips), 800.0)], axis=1)
    return PoseSequence("a", 0, None, fps, torch.from_numpy(points).float(), torch.full(points.shape[:2], 0.9))


def steps(frames: int, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Feet and hips of somebody who walks at `speed` px a frame: each foot rests while the other goes twice as fast."""
    turn = (np.arange(frames) // 15) % 2 == 0
    feet = np.cumsum(2 * speed * np.stack([turn, ~turn], axis=1), axis=0)
    return feet, speed * np.arange(frames)


def test_people_in_step_before_a_still_camera_are_no_pan() -> None:
    feet, hips = steps(90, 8.0)
    marching = [made(feet + start, hips + start) for start in (0.0, 300.0, 600.0)]
    assert of_people(marching, 30.0).moves is False


def test_what_cannot_be_told() -> None:
    feet, hips = steps(90, 8.0)
    followed = made(feet - hips[:, None], 0 * hips)  # or a treadmill: it looks the same
    assert of_people([followed], 30.0).moves
    unseen = dataclasses.replace(followed, confidence=torch.zeros_like(followed.confidence))
    assert of_people([unseen], 30.0).moves is None and of_people([], 30.0).moves is None
    short = followed.selected(slice(0, 40))
    assert of_people([short], 30.0).moves is None

    def sliding(speed: float) -> PoseSequence:
        return made(np.stack([100 + speed * np.arange(90)] * 2, axis=1), speed * np.arange(90))

    assert of_people([sliding(8.0)], 30.0).moves is None  # stands before a pan, or skates
    assert of_people([sliding(8.0), sliding(8.0)], 30.0).moves
    assert not of_people([sliding(8.0), sliding(-8.0), sliding(0.0)], 30.0).moves
    still = made(feet, hips)
    legless = still.confidence.clone()
    legless[:, [COCO_19.index("left_ankle"), COCO_19.index("right_ankle")]] = 0
    still = dataclasses.replace(still, confidence=legless)
    assert of_people([still], 30.0).moves is None  # one person's hips: who walks or what pans?
    pans = [dataclasses.replace(still, person=i) for i in range(3)]
    assert of_people(pans, 30.0).moves
    walk_then_stand = np.append(hips, np.full(210, hips[-1]))
    pair = [made(np.zeros((300, 2)), walk_then_stand + start) for start in (0.0, 300.0)]
    pair = [dataclasses.replace(one, confidence=legless[:1].repeat(300, 1)) for one in pair]
    assert of_people(pair, 30.0).moves is False  # side by side for 3 of 10 s
    point = made(np.zeros((90, 2)), hips)
    assert of_people([dataclasses.replace(point, keypoints_2d=0 * point.keypoints_2d)], 30.0).moves is None


def pictures(shift: float, zoom: float = 0.0, frames: int = 60) -> list[np.ndarray]:
    """A textured wall that moves by `shift` px a frame and grows by `zoom` a frame, behind a figure that walks."""
    cv2 = pytest.importorskip("cv2")
    wall = np.random.default_rng(0).integers(0, 255, (60, 160)).astype(np.uint8)
    wall = cv2.resize(wall, (1280, 480), interpolation=cv2.INTER_CUBIC)
    found = []
    for frame in range(frames):
        scale = 1 + zoom * frame
        move = np.array([[scale, 0, -shift * frame], [0, scale, 0]])
        image = cv2.warpAffine(wall, move, (640, 360))
        image[60:340, 40 + 8 * frame : 140 + 8 * frame] = 30 + np.arange(280)[:, None] % 50
        found.append(np.repeat(image[..., None], 3, axis=2))
    return found


def seen(frames: int = 60) -> VideoDetections:
    points = np.random.default_rng(0).uniform([40, 60], [140, 340], (1, 19, 2)) + 8 * np.arange(frames)[
        :, None, None
    ] * [1, 0]
    ones = np.ones((frames, 19))
    return VideoDetections(np.arange(frames), points, ones, ones[:, 0], frames, 30.0, (640, 360))


def test_the_video_tells_pan_and_zoom() -> None:
    assert of_video(pictures(0.0), seen(), 30.0) == CameraMotion(False, how="video")
    pan = of_video(pictures(3.0), seen(), 30.0)
    assert pan.moves and pan.px_per_frame == pytest.approx(3.0, rel=0.1) and pan.how == "video"
    assert of_video(pictures(0.0, zoom=0.003), seen(), 30.0).moves
    grey = [np.full((360, 640, 3), 90, dtype=np.uint8)] * 30
    assert of_video(grey, seen(), 30.0).moves is None and of_video([], seen(), 30.0).moves is None


def test_the_video_beside_keypoints_goes_before_the_feet(tmp_path, monkeypatch) -> None:
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "a.mp4", 30.0) as video:
        for image in pictures(3.0, frames=45):
            video.write(image)
    pipeline = Pipeline(
        camera=CameraSettings(fx=600.0), refinement=NoRefinement(), video=probe(tmp_path / "a.mp4"), fps=30.0
    )
    scene = pipeline.run(seen(45)).scene
    assert scene.motion.how == "video" and scene.motion.px_per_frame == pytest.approx(3.0, rel=0.1)
    monkeypatch.setitem(sys.modules, "cv2", None)
    scene = pipeline.run(seen(45)).scene
    assert scene.motion.how != "video"
    assert [note for note in scene.notes if "told from the people alone; camera motion needs OpenCV" in note]


def test_rules_that_need_a_still_camera_are_off(tmp_path) -> None:
    path, _, fps = CLIPS["three_people"]
    frames = json.loads(path.read_text())
    for number, name in enumerate(sorted(frames)):
        for row in frames[name]:
            row["keypoints"] = [
                value + 12.0 * number if i % 3 == 0 and value else value for i, value in enumerate(row["keypoints"])
            ]
    (tmp_path / "pan.json").write_text(json.dumps(dict(list(sorted(frames.items()))[:90])))
    settings = CameraSettings(image_size=(4096, 2048))
    prediction = Pipeline(camera=settings, fps=fps, people=3).run(tmp_path / "pan.json")
    scene = prediction.scene
    assert scene.motion.moves and scene.motion.px_per_frame == pytest.approx(12, rel=0.1)
    assert scene.ground is None and not any(note.startswith("Ground") for note in scene.notes)
    assert prediction.camera.how == "guessed" and "because the camera moves" in prediction.camera.note
    assert scene_warnings(scene)[0] == scene.motion.note and scene_facts(scene)["camera_moves"] is True
