"""Several people in each frame as arrays: frames of (P, 17, 3) -> a function of a folder. `ARRAYS` lists them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIZE = (2048, 2048)


def npz_people(frames):
    def write(folder: Path) -> Path:
        np.savez(folder / "k.npz", keypoints=np.stack(frames))
        return folder / "k.npz"

    return write


def npy_people(frames):
    def write(folder: Path) -> Path:
        np.save(folder / "k.npy", np.stack(frames))
        return folder / "k.npy"

    return write


def rtmlib_npz(frames):
    def write(folder: Path) -> Path:
        people = np.stack(frames)
        np.savez(folder / "k.npz", keypoints=people[..., :2], scores=people[..., 2])
        return folder / "k.npz"

    return write


def movenet_multipose(frames):
    """(T, 1, 6, 56): y, x, score of each joint as fractions, box, score."""

    def write(folder: Path) -> Path:
        out = np.zeros((len(frames), 1, 6, 56))
        for number, people in enumerate(frames):
            out[number, 0, : len(people), :51] = (people / [*SIZE, 1])[..., [1, 0, 2]].reshape(len(people), 51)
        np.save(folder / "k.npy", out)
        return folder / "k.npy"

    return write


ARRAYS = [npz_people, npy_people, rtmlib_npz, movenet_multipose]
