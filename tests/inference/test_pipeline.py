"""From keypoints to a scene: what comes out, what is said, what is refused, and how fast it goes."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints.detections import VideoDetections
from data.training.windows import FrameTable
from fileio.video import VideoInfo
from inference.cameras.camera import CameraSettings
from inference.lifting import lift_tracks
from inference.pipeline import DEFAULT_LIFTER, Pipeline, predict
from inference.scene import array_of, hip_offset_px
from inference.tracking import OfflineTracker
from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter
from pose.cameras import Camera
from pose.errors import ConfigError, DataError, MismatchError
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.level import World
from pose.sequence import PoseSequence
from refinement import NoRefinement, RefinementResult

CAMERA = CameraSettings(fx=1500.0, image_size=(1920, 1080))


@pytest.fixture(scope="module")
def scene_file(made_scene, tmp_path_factory) -> Path:
    """60 frames of three people as keypoints.json, rows shuffled."""
    scene, rng = made_scene(60), np.random.default_rng(0)
    frames: dict[str, list] = {f"{i:04d}.jpg": [] for i in range(60)}
    for person in scene.people:
        for row, frame in enumerate(person.frame.tolist()):
            if person.detected[row]:
                points = torch.cat([person.keypoints_2d[row], person.confidence[row][:, None]], dim=1)[:17]
                frames[f"{frame:04d}.jpg"].append({"keypoints": points.ravel().tolist(), "score": 1.0})
    for rows in frames.values():
        rng.shuffle(rows)
    path = tmp_path_factory.mktemp("keypoints") / "people.json"
    path.write_text(json.dumps(frames))
    return path


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    """Random weights, statistics of people 4 m away, 25 frames per second."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    poses = 300 * torch.randn(40, 17, 3, generator=generator) + torch.tensor([0.0, 0.0, 4000.0])
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    keypoints = 1000 * torch.rand(40, 19, 2, generator=generator)
    confidence = torch.rand(40, 19, generator=generator)
    person = PoseSequence(
        "made",
        0,
        camera,
        25.0,
        keypoints,
        confidence,
        poses_3d=poses,
        coordinates="normal",
    )
    table = FrameTable([person], 9)
    network = {"channels": 8, "filter_widths": [3, 3], "dropout": 0.25}
    return Lifter(
        network,
        "normal",
        25.0,
        feature_standardiser=table.feature_standardiser,
        target_standardiser=table.target_standardiser,
    ).eval()


def test_everybody_in_one_space(scene_file: Path, lifter: Lifter, caplog) -> None:
    caplog.set_level(logging.INFO)
    prediction = Pipeline(lifter=lifter, camera=CAMERA, fps=30).run(scene_file)
    scene = prediction.scene
    assert (scene.fps, scene.n_frames, scene.coordinates, scene.source) == (30, 60, "normal", "people.json")
    assert [person.person for person in scene.people] == [0, 1, 2]
    assert [len(person) for person in scene.people] == sorted((len(p) for p in scene.people), reverse=True)
    for person in scene.people:
        np.testing.assert_array_equal(person.frame, np.arange(person.frame[0], person.frame[-1] + 1))
        assert np.isfinite(person.poses_3d).all()
        assert np.isfinite(person.lifted_3d).all()
        assert person.std_mm is not None
        unseen = ~person.detected
        assert not person.observed[unseen].any()
        assert not person.keypoints_2d[unseen].any()
        assert person.observed[~unseen].float().mean() > 0.5
    assert not all(person.detected.all() for person in scene.people), "a person was hidden"
    assert prediction.camera.how == "given"
    assert "resampled from 30 to 25" in " ".join(scene.notes)
    assert list(prediction.stage_seconds) == [
        "lifter", "keypoints", "tracking", "camera", "lifting", "refinement", "result",
    ]  # fmt: skip
    assert "3 people" in caplog.text
    assert "lifting" in caplog.text


def test_a_time_lapse_is_lifted_frame_by_frame_with_a_note(scene_file: Path, lifter: Lifter) -> None:
    """A picture a minute: resampled to 25 a second these are 90,000 frames for each person."""
    scene = predict(scene_file, lifter=lifter, camera=CAMERA, fps=1 / 60, tracker=OfflineTracker(max_gap_s=300.0))
    (note,) = [note for note in scene.notes if note.startswith("Rate:")]
    assert "0.0166667 frames per second are a time lapse" in note
    person = next(person for person in scene.people if person.detected.all())
    (alone,) = lift_tracks(lifter, [dataclasses.replace(person.selected(slice(7, 8)), fps=25.0)])
    torch.testing.assert_close(person.lifted_3d[7:8], alone.require("poses_3d"), atol=1e-2, rtol=1e-5)
    assert all(person.poses_3d.isfinite().all() for person in scene.people)


def test_people_keeps_those_seen_longest(scene_file: Path, lifter: Lifter) -> None:
    everybody = predict(scene_file, lifter=lifter, camera=CAMERA, fps=30)
    two = predict(scene_file, lifter=lifter, camera=CAMERA, fps=30, people=2)
    assert len(two.people) == 2
    np.testing.assert_array_equal(two.people[1].frame, everybody.people[1].frame)


def test_depth_is_in_proportion_to_the_focal_length_that_the_note_tells(scene_file: Path, lifter: Lifter) -> None:
    scene = predict(scene_file, lifter=lifter, fps=30, camera=CameraSettings(image_size=(1920, 1080)))
    (note,) = [note for note in scene.notes if "Depth is in proportion" in note]
    assert str(round(scene.camera.fx)) in note


class Uncertain(NoRefinement):
    """People as they are, each joint by 20 mm or so."""

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        result = super().__call__(sequences)
        people = [dataclasses.replace(one, std_mm=torch.full((len(one), 17), 20.0)) for one in result.sequences]
        return dataclasses.replace(result, sequences=people)


def test_known_heights_move_people_along_the_line_of_sight(scene_file: Path, lifter: Lifter) -> None:
    plain = {"lifter": lifter, "camera": CAMERA, "fps": 30, "refinement": Uncertain()}
    free, fixed = predict(scene_file, **plain), predict(scene_file, **plain, heights={1: 1700.0})
    factor = fixed.people[0].poses_3d[0, 0, 2] / free.people[0].poses_3d[0, 0, 2]
    for before, after in zip(free.people, fixed.people, strict=True):
        np.testing.assert_allclose(after.poses_3d, before.poses_3d * factor, rtol=1e-5)
        np.testing.assert_allclose(after.lifted_3d, before.lifted_3d * factor, rtol=1e-5)
        np.testing.assert_allclose(after.std_mm, before.std_mm * factor, rtol=1e-5)
    assert "Scale: fixed by the given stature, 1700 mm for person 1" in fixed.notes[-1]


class Grounded(NoRefinement):
    """People as they are, said to stand on a floor 1.3 m below a level camera."""

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        floor = World.of(np.array([0.0, -1.0, 0.0]), -1300.0, "people")
        result = super().__call__(sequences)
        return dataclasses.replace(result, ground=(None, floor, floor)[: len(sequences)], notes=["Ground: 0 flies."])


def test_the_floor_and_the_notes_of_the_refinement_are_the_scenes(scene_file: Path, lifter: Lifter) -> None:
    scene = predict(scene_file, lifter=lifter, camera=CAMERA, fps=30, refinement=Grounded())
    assert scene.world.floor_mm == -1300 and "Ground: 0 flies." in scene.notes
    one = predict(scene_file, lifter=lifter, camera=CAMERA, fps=30, refinement=Grounded(), heights={1: 1700.0})
    factor = float(one.people[0].poses_3d[0, 0, 2] / scene.people[0].poses_3d[0, 0, 2])
    assert one.world.floor_mm == pytest.approx(-1300 * factor, rel=1e-4)
    two = {0: 1600.0, 1: 1800.0}  # two scales leave no common floor
    assert predict(scene_file, lifter=lifter, camera=CAMERA, fps=30, refinement=Grounded(), heights=two).ground is None


def test_no_refinement_leaves_the_plain_poses(scene_file: Path, lifter: Lifter) -> None:
    scene = predict(scene_file, lifter=lifter, camera=CAMERA, fps=30, refinement=NoRefinement())
    for person in scene.people:
        np.testing.assert_array_equal(person.poses_3d, person.lifted_3d)
        np.testing.assert_array_equal(person.observed.all(1), person.detected)
        assert person.std_mm is None


def test_at_the_lifters_rate_nothing_is_resampled(scene_file: Path, lifter: Lifter) -> None:
    assert "resampled" not in " ".join(predict(scene_file, lifter=lifter, camera=CAMERA, fps=25).notes)


def test_without_a_frame_rate_thirty_are_assumed_and_said(scene_file: Path, lifter: Lifter, caplog) -> None:
    scene = predict(scene_file, lifter=lifter, camera=CAMERA)
    assert scene.fps == 30
    assert any("30 frames per second are assumed" in note for note in scene.notes)
    assert "30 frames per second are assumed" in caplog.text


def detections(n_frames: int, rows: list[int], fps: float | None = 30.0) -> VideoDetections:
    """Somebody who stands still, found in the frames `rows`."""
    pose = np.random.default_rng(0).uniform(300, 700, (len(COCO_19), 2)).astype(np.float32)
    return VideoDetections(
        np.array(rows, dtype=int),
        np.repeat(pose[None], len(rows), axis=0),
        np.ones((len(rows), len(COCO_19)), dtype=np.float32),
        np.ones(len(rows), dtype=np.float32),
        n_frames,
        fps,
        (1920, 1080),
    )


def test_one_frame(lifter: Lifter) -> None:
    (person,) = predict(detections(1, [0]), lifter=lifter, camera=CAMERA).people
    assert person.poses_3d.shape == (1, 17, 3)
    assert np.isfinite(person.poses_3d).all()


def test_who_leaves_and_comes_back_is_filled_in(lifter: Lifter) -> None:
    rows = [*range(5, 30), *range(50, 80)]
    (person,) = predict(detections(100, rows), lifter=lifter, camera=CAMERA).people
    assert (person.frame[0], person.frame[-1], len(person)) == (5, 79, 75)
    gap = slice(25, 45)
    assert not person.observed[gap].any()
    assert not person.confidence[gap].any()
    hip = person.poses_3d[:, MUPOTS_17.index("hip")]
    assert np.abs(np.diff(hip, axis=0)).max() < 120, "the gap is bridged, not jumped"


def test_nobody_is_one_clear_line(lifter: Lifter) -> None:
    with pytest.raises(DataError, match="no person was found in 7 frames; check the video"):
        predict(detections(7, []), lifter=lifter, camera=CAMERA)


def test_every_so_many_th_frame_counts_as_a_video_of_that_rate(lifter: Lifter) -> None:
    rows = list(range(1, 100, 2))
    (person,) = (scene := predict(detections(100, rows), lifter=lifter, camera=CAMERA)).people
    assert [note for note in scene.notes if "people are in one frame of 2 alone" in note and " 15 frames" in note]
    assert (scene.fps, scene.n_frames, person.fps) == (30, 100, 30)
    assert person.frame.tolist() == list(range(1, 100))
    assert (
        person.detected.tolist() == person.observed.any(dim=1).tolist() == [frame % 2 == 1 for frame in range(1, 100)]
    )
    poses, std_mm = person.poses_3d, person.std_mm
    assert torch.allclose(poses[1::2], (poses[:-1:2] + poses[2::2]) / 2, atol=0.01)
    assert (std_mm[1::2] >= torch.minimum(std_mm[:-1:2], std_mm[2::2]) - 0.01).all()
    # The same as if these frames had been given as a video of half the rate.
    given = dataclasses.replace(detections(100, rows), frame=np.arange(50), n_frames=50, fps=15.0)
    (alone,) = predict(given, lifter=lifter, camera=CAMERA).people
    assert torch.allclose(poses[::2], alone.poses_3d, atol=0.01)
    assert detections(10, [0, 2, 3, 5, 6]).stride == detections(3, [0, 2]).stride == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fps": 0}, "fps=0: must be a number >= 1e-05 and <= 10000"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"people": 0}, "people=0: must be a whole number >= 1"),
        ({"heights": {0: 17.0}}, r"heights\[0\]=17.0: must be a number >= 400"),
        ({"heights": {9: 1700.0}}, r"heights\[9\]: there is no such person"),
    ],
)
def test_settings_that_cannot_be_used(lifter: Lifter, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        predict(detections(5, [0, 1, 2, 3, 4]), lifter=lifter, camera=CAMERA, **settings)


def test_a_video_rate_of_zero(lifter: Lifter) -> None:
    with pytest.raises(ConfigError, match="fps=0"):
        predict(detections(3, [0, 1], fps=0.0), lifter=lifter, camera=CAMERA)


def test_sources_that_cannot_be_used(lifter: Lifter, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        predict(tmp_path / "absent.mp4", lifter=lifter)
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises((DataError, ConfigError), match=r"broken\.mp4|PyAV"):
        predict(tmp_path / "broken.mp4", lifter=lifter)


def test_heights_need_normal_coordinates(lifter: Lifter) -> None:
    universal = Lifter(
        lifter.settings["network"],
        "universal",
        feature_standardiser=lifter.feature_standardiser,
        target_standardiser=lifter.target_standardiser,
    )
    with pytest.raises(ConfigError, match="heights: fix the size of people, which universal coordinates do not have"):
        predict(detections(3, [0, 1]), lifter=universal, camera=CAMERA, heights={0: 1700.0})


class Flat:
    """A detector that finds one person in each picture, where the picture is bright."""

    name = "flat"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return np.concatenate([np.random.default_rng(0).uniform(50, 90, (17, 2)), np.ones((17, 1))], axis=1)[None]


def test_a_folder_of_images_through_a_detector(lifter: Lifter, tmp_path: Path) -> None:
    from PIL import Image

    for number in range(4):
        Image.new("RGB", (160, 120), "gray").save(tmp_path / f"img_{number}.png")
    with pytest.raises(ConfigError, match=r"detector: .* is a video, and none is given"):
        predict(tmp_path, lifter=lifter, fps=25)
    scene = predict(tmp_path, lifter=lifter, fps=25, detector=Flat())
    assert (scene.n_frames, len(scene.people[0])) == (4, 4)
    assert (scene.camera.width, scene.camera.height) == (160, 120)
    with pytest.raises(ConfigError, match=r"input_options.joint_set: only for 2D keypoints, and .* leave it out"):
        predict(tmp_path, lifter=lifter, fps=25, detector=Flat(), input_options={"joint_set": "COCO-17"})
    with pytest.raises(MismatchError, match="160 x 120"):
        predict(tmp_path, lifter=lifter, fps=25, detector=Flat(), camera=CameraSettings(image_size=(1920, 1080)))


@pytest.mark.parametrize(
    ("numbers", "n_frames", "frames", "said"),
    [
        (range(1, 13), 12, list(range(12)), ""),  # from 1
        (range(5, 17), 30, list(range(5, 17)), ""),  # a part
        (range(12), 6, list(range(12)), "numbered as without video=, which does not fit: .* beyond the 6 frames"),
    ],
)
def test_the_video_beside_keypoints_tells_rate_and_frames(lifter, tmp_path, numbers, n_frames, frames, said) -> None:
    body = np.random.default_rng(0).uniform(100, 200, (17, 2))
    rows = [{"image_id": i, "keypoints": np.c_[body + i, np.ones(17)].ravel().tolist()} for i in numbers]
    (tmp_path / "k.json").write_text(json.dumps(rows))
    settings = {"lifter": lifter, "camera": CameraSettings(image_size=(640, 480)), "refinement": NoRefinement()}
    video = VideoInfo("clip.mp4", 640, 480, 25.0, n_frames)
    scene = predict(tmp_path / "k.json", **settings, video=video)
    assert (scene.fps, scene.people[0].frame.tolist()) == (25.0, frames)
    assert scene.n_frames == (n_frames if not said else 12)
    assert "Rate: 25 frames per second, as video= has." in scene.notes
    assert any(re.search(said, note) for note in scene.notes)
    (tmp_path / "k.json").write_text(json.dumps({"fps": 50, "frames": [{"frame": r["image_id"], **r} for r in rows]}))
    scene = predict(tmp_path / "k.json", **settings, video=video)
    assert scene.fps == 50
    assert "Rate: 50 frames per second, as the keypoints say; video= has 25." in scene.notes


def test_lifting_at_another_rate_differs_little_from_the_same_rate(lifter: Lifter) -> None:
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)

    def person(fps: float) -> PoseSequence:
        time = torch.arange(int(4 * fps) + 1) / fps
        base = 500 + 300 * torch.rand(19, 2, generator=torch.Generator().manual_seed(2))
        keypoints = base + 60 * torch.sin(time)[:, None, None]
        return PoseSequence("made", 0, camera, fps, keypoints, torch.full((len(time), 19), 0.9))

    (slow,) = lift_tracks(lifter, [person(25.0)])
    (fast,) = lift_tracks(lifter, [person(100.0)])
    assert fast.poses_3d is not None
    assert slow.poses_3d is not None
    assert float((fast.poses_3d[::4] - slow.poses_3d)[4:-4].norm(dim=-1).max()) < 5
    assert lift_tracks(lifter, []) == []
    with pytest.raises(MismatchError, match="fps: sequences of one video"):
        lift_tracks(lifter, [person(25.0), person(50.0)])


def test_ts1_three_tracks_from_first_to_last_frame(golden: Path, lifter: Lifter) -> None:
    """201 frames, four boxes in three of them; the fourth is no track of its own length and in nobody's."""
    source = golden / "detections" / "ts1_keypoints.json"
    scene = predict(source, lifter=lifter, fps=30, camera=CameraSettings(image_size=(2048, 2048)))
    assert [len(person) for person in scene.people[:3]] == [201, 201, 201]
    assert all(len(person) < 10 for person in scene.people[3:])
    for person in scene.people[:3]:
        step = np.linalg.norm(np.diff(array_of(person, "keypoints_2d")[:, COCO_19.index("hip")], axis=0), axis=-1)
        assert np.median(step) < 20


@pytest.fixture(scope="module")
def builtin() -> Lifter:
    return load_lifter(DEFAULT_LIFTER)


def test_ts1_reprojected_hips_stay_on_the_detected_ones(golden: Path, builtin: Lifter) -> None:
    """Within 2 % of the image's width. COCO's hip is the middle of the hips; MuPoTS-17's lies above it."""
    source = golden / "detections" / "ts1_keypoints.json"
    scene = predict(source, lifter=builtin, fps=30, camera=CameraSettings(image_size=(2048, 2048)))
    for person in scene.people[:3]:
        assert hip_offset_px(person, scene.camera)[person.confidence.mean(1) > 0.5].max() < 0.02 * 2048


def test_memory_stays_in_proportion_to_the_frames(lifter: Lifter, made_scene) -> None:
    """1,000 person-frames take below 60 MB, so the 30,000 that are promised stay below 2 GiB."""
    people = made_scene(360).people
    frame = np.concatenate([p.frame for p in people])
    order = np.argsort(frame, kind="stable")
    found = VideoDetections(
        frame[order],
        *(np.concatenate([getattr(p, key) for p in people])[order] for key in ("keypoints_2d", "confidence")),
        np.concatenate([p.confidence.mean(1) for p in people])[order],
        n_frames=360,
        fps=25.0,
        image_size=(1920, 1080),
    )
    tracemalloc.start()
    scene = predict(found, lifter=lifter, camera=CAMERA)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    frames = sum(map(len, scene.people))
    assert frames > 800
    assert peak / frames < 60e3, f"{peak / 1e6:.0f} MB for {frames} frames"
