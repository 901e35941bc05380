"""Left and right of real people exchanged on purpose: how many limbs are on the wrong side before and after the repair.

    python -m benchmarks.studies.side_swaps ts1_keypoints.json --size 2048 2048 --fps 30 --people 3 --seeds 100 200

For each seed a person, a part of the body and a stretch of the track are drawn, and what the file has there is
exchanged. The file's own sides are taken for right, so it must have no exchanges of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from data.keypoints import read_detections
from inference.tracking import OfflineTracker, sequences
from inference.tracking.side_swaps import without_side_swaps
from pose.joint_sets import COCO_17
from pose.sequence import PoseSequence

ARMS, LEGS, FACE = (*range(5, 11),), (*range(11, 17),), (*range(5),)
PARTS = {"arms": ARMS, "legs": LEGS, "body": ARMS + LEGS, "body and face": FACE + ARMS + LEGS}
#: Parts of the track that are exchanged.
LENGTHS = ((0.02, 0.3), (0.3, 0.6), (0.6, 0.95))


def exchanged(person: PoseSequence, first: int, last: int, joints: tuple[int, ...]) -> PoseSequence:
    """Left and right of `joints` of COCO-17 exchanged in the rows first..last of a track."""
    keypoints, confidence = person.keypoints_2d.clone(), person.confidence.clone()
    other = [COCO_17.flip[joint] for joint in joints]
    keypoints[first : last + 1, list(joints)] = person.keypoints_2d[first : last + 1, other]
    confidence[first : last + 1, list(joints)] = person.confidence[first : last + 1, other]
    return dataclasses.replace(person, keypoints_2d=keypoints, confidence=confidence)


def figures(
    people: list[PoseSequence], joints: tuple[int, ...], length: tuple[float, float], seeds: range
) -> np.ndarray:
    """Means over seeds, percent of the limbs' joints: wrong as exchanged, wrong and unsure after the repair; and how
    many seeds end with more wrong than right joints in the exchanged frames or outside of them."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        person = people[rng.integers(len(people))]
        count = max(3, int(rng.uniform(*length) * len(person)))
        first = int(rng.integers(0, len(person) - count + 1))
        given = exchanged(person, first, first + count - 1, joints)
        repaired, _ = without_side_swaps(given)
        limbs = slice(5, len(COCO_17))
        seen = (person.confidence[:, limbs] > 0).numpy()
        left = (repaired.confidence[:, limbs] > 0).numpy() & seen
        off = [(one.keypoints_2d - person.keypoints_2d)[:, limbs].norm(dim=-1).numpy() > 1 for one in (given, repaired)]
        wrong = [100 * (off[0] & seen).sum() / seen.sum(), 100 * (off[1] & left).sum() / seen.sum()]
        found.append([*wrong, 100 * (seen & ~left).sum() / seen.sum(), wrong[1] > 10])
    return np.mean(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keypoints", type=Path, nargs="+")
    parser.add_argument("--size", type=int, nargs=2, required=True)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs=2, default=(100, 200))
    arguments = parser.parse_args()
    people = []
    for path in arguments.keypoints:
        detections = read_detections(path, fps=arguments.fps, image_size=tuple(arguments.size))
        people += sequences(detections, OfflineTracker()(detections), None, arguments.fps, arguments.people)
    print("| exchanged | part of the track | wrong, % | wrong after, % | unsure after, % | tracks over 10 % wrong, % |")
    print("|---|---|---|---|---|---|")
    for part, joints in PARTS.items():
        for length in LENGTHS:
            before, after, unsure, lost = figures(people, joints, length, range(*arguments.seeds))
            print(
                f"| {part} | {length[0]:.0%} to {length[1]:.0%} | {before:.1f} | {after:.1f} | {unsure:.1f} | "
                f"{100 * lost:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
