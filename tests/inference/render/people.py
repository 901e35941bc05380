"""Made-up people for the tests of pictures, and what is counted in a picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor

from inference.render.drawing import colour_of
from inference.render.figures import hidden_frames
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

LIFTED, REFINED, SHADE = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0xE3, 0xE3, 0xE3)

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


def walking_scene(n_frames: int = 60, fps: float = 30.0) -> list[PoseSequence]:
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


def of_colour(picture: np.ndarray, person: int) -> np.ndarray:
    """(N, 2) x, y of the pixels in a person's colour."""
    rgb = np.array(ImageColor.getrgb(colour_of(person)))
    return np.argwhere(np.abs(picture.astype(int) - rgb).max(-1) < 8)[:, ::-1]
