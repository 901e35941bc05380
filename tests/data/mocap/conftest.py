"""A small BVH writer, for tests only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

#: name, parent's index (-1: root), offset, channels; without channels an end site.
Joint = tuple[str, int, Sequence[float], str]


def bvh_text(joints: Sequence[Joint], rows: np.ndarray, frame_time: float = 1 / 120) -> str:
    def block(index: int) -> str:
        name, parent, offset, channels = joints[index]
        head = "End Site" if not channels else f"{'ROOT' if parent < 0 else 'JOINT'} {name}"
        lines = [head, "{", "OFFSET " + " ".join(f"{v:.9g}" for v in offset)]
        if channels:
            lines.append(f"CHANNELS {len(channels.split())} {channels}")
        lines += [block(child) for child, joint in enumerate(joints) if joint[1] == index]
        return "\n".join([*lines, "}"])

    motion = "\n".join(" ".join(f"{v:.9g}" for v in row) for row in rows)
    return f"HIERARCHY\n{block(0)}\nMOTION\nFrames: {len(rows)}\nFrame Time: {frame_time:.6f}\n{motion}\n"


@pytest.fixture
def write_bvh(tmp_path: Path) -> Callable[..., Path]:
    """Writes joints (parents before children, depth first) and rows of channel values to a file."""

    def write(joints: Sequence[Joint], rows: np.ndarray, name: str = "walk.bvh", frame_time: float = 1 / 120) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(bvh_text(joints, rows, frame_time))
        return path

    return write


TURNS = "Zrotation Xrotation Yrotation"
MOVES = "Xposition Yposition Zposition "


@pytest.fixture
def person() -> list[Joint]:
    """A standing person in cm, MotionBuilder names, hips 90 cm above the floor by the root's channels."""
    joints: list[Joint] = [("Hips", -1, (0, 0, 0), MOVES + TURNS)]

    def chain(start: int, *parts: tuple[str, Sequence[float]]) -> int:
        for name, offset in parts:
            joints.append((name, start, offset, TURNS if name != "end" else ""))
            start = len(joints) - 1
        return start

    for side, x in (("Left", 1), ("Right", -1)):
        leg = [("UpLeg", (9 * x, -5, 0)), ("Leg", (0, -42, 0)), ("Foot", (0, -40, 0))]
        chain(0, *((side + part, offset) for part, offset in leg), ("end", (0, -5, 12)))
    chest = chain(0, ("Spine", (0, 10, 0)), ("Spine1", (0, 12, 0)), ("Spine2", (0, 12, 0)))
    chain(chest, ("Neck", (0, 15, 0)), ("Head", (0, 10, 2)), ("end", (0, 18, 0)))
    for side, x in (("Left", 1), ("Right", -1)):
        arm = [("Shoulder", (5 * x, 12, 0)), ("Arm", (12 * x, 0, 0)), ("ForeArm", (28 * x, 0, 0))]
        chain(
            chest, *((side + part, offset) for part, offset in arm), (side + "Hand", (25 * x, 0, 0)), ("end", (8, 0, 0))
        )
    return joints


@pytest.fixture
def standing(person: list[Joint]) -> np.ndarray:
    """Channel values of `person` standing still for five frames."""
    rows = np.zeros((5, sum(len(joint[3].split()) for joint in person)))
    rows[:, 1] = 90
    return rows
