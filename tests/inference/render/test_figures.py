"""The figure and the clip of made-up people: right files, upright people, clear refusals."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from inference.render.clip_renderer import Stage, View, World
from inference.render.figures import choose_occlusion, hidden_frames, scene_clip, trajectory_figure
from pose.errors import ConfigError, DataError, MismatchError
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

PLAIN, REFINED, SHADE = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0xE3, 0xE3, 0xE3)

# A standing person, mm from the hip: x to the person's left, y down, z behind.
STANDING = {
    "head_top": (0, -720, 0),
    "head": (0, -620, -40),
    "neck": (0, -500, 0),
    "spine": (0, -250, 0),
    "hip": (0, 0, 0),
    "left_shoulder": (170, -480, 0),
    "left_elbow": (210, -220, 20),
    "left_wrist": (220, 20, -30),
    "left_hip": (100, 20, 0),
    "left_knee": (110, 450, -20),
    "left_ankle": (110, 880, 20),
}


def walker(n_frames: int, fps: float, start: tuple[float, float], velocity: tuple[float, float]) -> Tensor:
    """(T, 17, 3) mm: a person who swings arms and legs while walking over the floor y = 1000 from start (x, z)."""
    rest = np.zeros((17, 3))
    for joint, name in enumerate(MUPOTS_17.names):
        rest[joint] = np.array(STANDING[name.replace("right_", "left_")]) * (
            -1 if name.startswith("right_") else 1,
            1,
            1,
        )
    seconds = np.arange(n_frames) / fps
    heading = math.atan2(velocity[0], -velocity[1])
    turn = np.array([[math.cos(heading), 0, -math.sin(heading)], [0, 1, 0], [math.sin(heading), 0, math.cos(heading)]])
    poses = np.repeat(rest[None], n_frames, axis=0)
    swing = np.sin(2 * np.pi * 0.9 * seconds)
    for side, sign in (("left", 1), ("right", -1)):
        for limb, reach in (("elbow", -90), ("wrist", -260), ("knee", 150), ("ankle", 300)):
            poses[:, MUPOTS_17.index(f"{side}_{limb}"), 2] += sign * reach * swing
    poses = poses @ turn.T
    poses[..., 0] += (start[0] + velocity[0] * seconds)[:, None]
    poses[..., 1] += 120.0
    poses[..., 2] += (start[1] + velocity[1] * seconds)[:, None]
    return torch.from_numpy(poses).float()


def person(
    number: int, poses: Tensor, fps: float, hidden: tuple[int, int] = (0, 0), sequence: str = "TS1"
) -> PoseSequence:
    visible = torch.ones(len(poses), 17, dtype=torch.bool)
    visible[hidden[0] : hidden[1], :12] = False
    empty = torch.zeros(len(poses), 19, 2)
    return PoseSequence(
        sequence, number, None, fps, empty, empty[..., 0], poses_3d=poses, visible=visible, coordinates="normal"
    )


def predicted(sequence: PoseSequence, noise_mm: float) -> PoseSequence:
    """The sequence with noise in the hip (four times as much where hidden) and a tenth of that in the joints."""
    assert sequence.poses_3d is not None
    generator = torch.Generator().manual_seed(sequence.person)
    size = noise_mm * (1 + 3 * torch.from_numpy(hidden_frames(sequence)).float())[:, None, None]
    moved = torch.randn(len(sequence), 1, 3, generator=generator) * size
    wobble = torch.randn(len(sequence), 17, 3, generator=generator) * size / 10
    return sequence.with_poses(sequence.poses_3d + moved + wobble, "normal")


def scene(n_frames: int = 60, fps: float = 30.0) -> list[PoseSequence]:
    """Three people; the second passes behind the first."""
    return [
        person(0, walker(n_frames, fps, (-200, 3600), (150, 0)), fps),
        person(1, walker(n_frames, fps, (-1300, 4600), (900, -100)), fps, (n_frames // 3, n_frames // 2)),
        person(2, walker(n_frames, fps, (1500, 5200), (-300, -600)), fps),
    ]


def predictions(people: list[PoseSequence], noise_mm: float) -> list[PoseSequence]:
    return [predicted(sequence, noise_mm) for sequence in people]


def n_pixels(path: Path, colour: tuple[int, int, int]) -> int:
    with Image.open(path) as image:
        return int((np.asarray(image.convert("RGB")) == colour).all(axis=-1).sum())


@pytest.fixture
def people() -> list[PoseSequence]:
    return scene()


def test_hidden_frames_are_those_undetected_or_mostly_occluded(people):
    detected = torch.ones(60, dtype=torch.bool)
    detected[50] = False
    sequence = dataclasses.replace(people[1], detected=detected)
    assert np.flatnonzero(hidden_frames(sequence)).tolist() == [*range(20, 30), 50]


def test_the_longest_occlusion_inside_a_track_is_chosen(people):
    assert choose_occlusion(people) == (1, 20, 30)
    at_the_end = person(3, walker(60, 30.0, (0, 3000), (100, 0)), 30.0, hidden=(30, 60))
    assert choose_occlusion([*people, at_the_end]) == (1, 20, 30)
    longer = person(3, walker(60, 30.0, (0, 3000), (100, 0)), 30.0, hidden=(16, 40))
    assert choose_occlusion([*people, longer]) == (3, 16, 40)


def test_margin_matters_between_occlusions_of_similar_length():
    walk = walker(90, 30.0, (0, 3000), (100, 0))
    near_the_end, inside = person(0, walk, 30.0, (77, 89)), person(1, walk, 30.0, (40, 50))
    assert choose_occlusion([near_the_end, inside]) == (1, 40, 50)


def test_frames_without_annotation_are_no_occlusion(people):
    annotated = torch.ones(60, dtype=torch.bool)
    annotated[20:30] = False
    people[1] = dataclasses.replace(people[1], annotated=annotated)
    assert choose_occlusion(people) == (0, 15, 45)


def test_without_an_occlusion_the_middle_second_of_the_longest_track(people):
    longest = person(3, walker(80, 30.0, (0, 3000), (100, 0)), 30.0)
    numbered = dataclasses.replace(longest, frame=torch.arange(80) + 1000)
    assert choose_occlusion([people[0], numbered]) == (1, 1025, 1055)
    short = person(4, walker(7, 30.0, (0, 3000), (100, 0)), 30.0)
    assert choose_occlusion([short]) == (0, 0, 7)


def test_occlusion_of_a_decimated_track_is_in_source_frames(people):
    assert choose_occlusion([people[1].decimated(2)]) == (0, 20, 29)


def test_no_tracks_no_occlusion():
    with pytest.raises(DataError, match="0 tracks without a frame"):
        choose_occlusion([])


def test_figure_has_its_size_and_shows_every_curve(people, tmp_path: Path):
    annotation = people[1]
    lifted, refined = predicted(annotation, 60), predicted(annotation, 10)
    path = tmp_path / "new" / "figure.png"
    trajectory_figure(path, annotation, lifted, refined, "A walk", "synthetic stand-in data", focus=(20, 30))
    with Image.open(path) as image:
        assert image.format == "PNG" and image.size == (1600, 900)
    assert min(n_pixels(path, colour) for colour in (PLAIN, REFINED, SHADE)) > 1000
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]


def test_figure_without_refinement_occlusion_or_focus(people, tmp_path: Path):
    trajectory_figure(tmp_path / "a.png", people[0], predicted(people[0], 20), None, "A walk")
    assert n_pixels(tmp_path / "a.png", PLAIN) > 1000
    assert n_pixels(tmp_path / "a.png", REFINED) == 0 and n_pixels(tmp_path / "a.png", SHADE) < 1000


def test_figure_of_one_frame_and_of_missing_poses(people, tmp_path: Path):
    one = person(0, walker(1, 30.0, (0, 3000), (0, 1)), 30.0)
    trajectory_figure(tmp_path / "one.png", one, one, None, "One frame")
    lost = people[1].with_poses(torch.full((60, 17, 3), math.nan), "normal")
    trajectory_figure(tmp_path / "lost.png", people[1], lost, None, "Nothing predicted")
    assert (tmp_path / "one.png").stat().st_size > 0 and (tmp_path / "lost.png").stat().st_size > 0


def test_figure_refusals(people, tmp_path: Path):
    short = person(1, walker(50, 30.0, (0, 3000), (100, 0)), 30.0)
    with pytest.raises(MismatchError, match="TS1/1: lifted has 50 frames, the annotation 60"):
        trajectory_figure(tmp_path / "a.png", people[1], short, None, "t")
    universal = people[1].with_poses(people[1].poses_3d, "universal")
    with pytest.raises(MismatchError, match="refined: coordinates=universal given, coordinates=normal expected"):
        trajectory_figure(tmp_path / "a.png", people[1], people[1], universal, "t")
    with pytest.raises(DataError, match=r"focus=\(900, 950\) must lie in it"):
        trajectory_figure(tmp_path / "a.png", people[1], people[1], None, "t", focus=(900, 950))
    with pytest.raises(DataError, match="no 3D poses"):
        bare = dataclasses.replace(people[1], poses_3d=None, coordinates=None)
        trajectory_figure(tmp_path / "a.png", bare, bare, None, "t")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fps", "n_frames", "expected"), [(30.0, 60, 30), (60.0, 60, 15), (12.5, 20, 20)])
def test_clip_runs_at_true_speed(tmp_path: Path, fps: float, n_frames: int, expected: int):
    people = scene(n_frames, fps)
    path = tmp_path / "clip.gif"
    scene_clip(path, people, predictions(people, 60), predictions(people, 10))
    with Image.open(path) as clip:
        assert clip.format == "GIF" and clip.n_frames == expected and clip.info["loop"] == 0
        assert clip.width == 960 and 200 < clip.height <= 420
        length = 0
        for i in range(clip.n_frames):
            clip.seek(i)
            length += clip.info["duration"]
    assert length == pytest.approx(1000 * n_frames / fps, abs=10)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.gif"]


def test_clip_of_100_frames_is_small_and_quick(tmp_path: Path):
    people = scene(500, 60.0)
    began = time.process_time()
    scene_clip(tmp_path / "clip.gif", people, predictions(people, 60), predictions(people, 10), max_frames=100)
    assert time.process_time() - began < 10
    assert (tmp_path / "clip.gif").stat().st_size < 3e6
    with Image.open(tmp_path / "clip.gif") as clip:
        assert clip.n_frames == 100


def test_clip_without_refinement_is_one_panel(people, tmp_path: Path):
    scene_clip(tmp_path / "clip.gif", people, predictions(people, 60), None, max_frames=3)
    with Image.open(tmp_path / "clip.gif") as clip:
        assert clip.width == 480 and clip.n_frames == 3


def test_clip_of_people_who_come_and_go(people, tmp_path: Path):
    late = dataclasses.replace(people[2], frame=people[2].frame + 30)
    lost = people[0].with_poses(torch.full((60, 17, 3), math.nan), "normal")
    scene_clip(tmp_path / "clip.gif", [people[0], late], [lost, late], None)
    with Image.open(tmp_path / "clip.gif") as clip:
        assert clip.n_frames == 45


def test_clip_of_wild_predictions_keeps_its_view(people, tmp_path: Path):
    wild = [sequence.with_poses(sequence.poses_3d * 1e9, "normal") for sequence in people]
    behind = [sequence.with_poses(sequence.poses_3d * -5.0, "normal") for sequence in people]
    scene_clip(tmp_path / "wild.gif", people, wild, behind, max_frames=2)
    with Image.open(tmp_path / "wild.gif") as clip:
        assert clip.width == 960 and clip.height <= 420


def test_clip_without_annotation_stands_on_the_predicted_floor(people, tmp_path: Path):
    nowhere = [dataclasses.replace(s, annotated=torch.zeros(60, dtype=torch.bool)) for s in people]
    scene_clip(tmp_path / "a.gif", nowhere, people, None, max_frames=2)
    scene_clip(tmp_path / "b.gif", people, people, None, max_frames=2)
    assert n_pixels(tmp_path / "a.gif", REFINED) == pytest.approx(n_pixels(tmp_path / "b.gif", REFINED), rel=0.02)


def test_clip_refusals(people, tmp_path: Path):
    path, lifted = tmp_path / "clip.gif", predictions(people, 60)
    with pytest.raises(DataError, match="0 people without a frame"):
        scene_clip(path, [], [], [])
    with pytest.raises(MismatchError, match="2 lifted people, 3 annotated"):
        scene_clip(path, people, lifted[:2], None)
    with pytest.raises(MismatchError, match="TS1/1: refined has 59 frames, the annotation 60"):
        shorter = person(1, walker(59, 30.0, (0, 3000), (100, 0)), 30.0)
        scene_clip(path, people, lifted, [lifted[0], shorter, lifted[2]])
    with pytest.raises(MismatchError, match="one scene"):
        stranger = person(1, walker(60, 30.0, (0, 3000), (100, 0)), 30.0, sequence="TS2")
        scene_clip(path, [people[0], stranger], lifted[:2], None)
    with pytest.raises(ConfigError, match="fps_out=0"):
        scene_clip(path, people, lifted, None, fps_out=0)
    with pytest.raises(ConfigError, match="max_frames=0"):
        scene_clip(path, people, lifted, None, max_frames=0)
    assert not list(tmp_path.iterdir())


def test_a_failed_drawing_leaves_the_old_file(people, tmp_path: Path, monkeypatch):
    path = tmp_path / "clip.gif"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(DataError, match="disk full"):
        scene_clip(path, people, people, None, max_frames=2)
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["clip.gif"]


@pytest.mark.parametrize("pitch", [0.0, 15.0])
def test_world_puts_the_floor_at_zero_whatever_the_tilt(pitch: float):
    poses = np.stack([sequence.poses_3d.double().numpy() for sequence in scene(90) if sequence.poses_3d is not None])
    angle = math.radians(pitch)
    tilt = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    world = World.fit(poses @ tilt.T)(poses @ tilt.T)
    lowest = world[..., 2].min(axis=-1)
    assert np.abs(lowest).max() < 0.05
    head, hip = (world[:, :, MUPOTS_17.index(name), 2].mean() for name in ("head", "hip"))
    assert hip == pytest.approx(0.88, abs=0.05) and head - hip == pytest.approx(0.62, abs=0.02)
    assert np.linalg.det(World.fit(poses @ tilt.T).axes) == pytest.approx(1.0)


def test_view_shows_up_as_up_right_as_right_and_all_inside():
    points = np.random.default_rng(0).uniform([-2, 3, 0], [2, 6, 1.8], (200, 3))
    view = View.fit(points, 480, 360)
    pixels = view.pixels(points)
    assert pixels.min() >= 0 and (pixels <= view.size).all()
    assert view.size[0] == 480 and 100 < view.size[1] <= 360
    origin, up, right, away = view.pixels(np.array([[0, 4, 0], [0, 4, 1], [1, 4, 0], [0, 5, 0]]))
    assert up[1] < origin[1] and right[0] > origin[0]
    assert away[1] < origin[1] and view.depth(np.array([0, 5, 0])) > view.depth(np.array([0, 4, 0]))


def test_a_hidden_person_is_hollow(people):
    poses = np.stack([people[0].poses_3d.numpy()])[:, :1]
    blue = []
    for hidden in (False, True):
        stage = Stage(MUPOTS_17, poses, {"lifted": poses}, np.array([[hidden]]), 30.0)
        pixels = np.asarray(stage.frame(0, "0 s").convert("RGB"))
        blue.append(int((pixels == REFINED).all(axis=-1).sum()))
    assert 0 < blue[1] < 0.5 * blue[0]
