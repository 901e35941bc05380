"""The MuPoTS-3D protocol under all 16 combinations of its switches, against the plain version of the tests:

    python -m benchmarks.run --only protocol    # 0.1, 1 and 10 times the real set, under a minute

People all or matched, coordinates absolute or relative, annotations normal or universal, pairs given or by2d: 16 sets
of PCK and AUC over 20 sequences, with the millimetre metrics of each. The plain version goes through one person of one
frame at a time and through the sequences once per switch. Its cost is linear, and minutes at ten times the real size,
so it is timed on PLAIN_FRAMES frames of each sequence, and its time per person-frame is what is compared.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from benchmarks.figure import Figure, timed
from benchmarks.memory import PeakMemory
from pose.metrics.mupots import PAIRINGS, PEOPLE, AnnotatedScene, PredictedScene, score_scenes
from tests.pose.metrics import plain

SIZES = (0.1, 1.0, 10.0)
SEQUENCES = 20
FRAMES = 420  # of a sequence, about 20,000 person-frames in all
PLAIN_FRAMES = 4

Scenes = tuple[dict[str, dict[str, AnnotatedScene]], dict[str, PredictedScene]]


def scenes(frames: int, seed: int = 0) -> Scenes:
    """Annotations, and predictions near the normal ones: two people or three, some not valid or missed."""
    random = np.random.default_rng(seed)
    annotated: dict[str, dict[str, AnnotatedScene]] = {"normal": {}, "universal": {}}
    predicted = {}
    for number in range(1, SEQUENCES + 1):
        shape = (frames, 2 + number % 2)
        poses, points = random.normal(0, 300, (*shape, 17, 3)), random.normal(800, 150, (*shape, 17, 2))
        poses += [0, 0, 4000]
        valid, present = random.random(shape) < 0.95, random.random(shape) < 0.9
        for coordinates, scale in (("normal", 1.0), ("universal", 1.05)):
            annotated[coordinates][f"TS{number}"] = AnnotatedScene(points, scale * poses, valid)
        near = points + random.normal(0, 25, points.shape)
        predicted[f"TS{number}"] = PredictedScene(poses + random.normal(0, 60, poses.shape), present, near)
    return annotated, predicted


def all_switches(annotated: dict[str, dict[str, AnnotatedScene]], predicted: dict[str, PredictedScene]) -> dict:
    """Scores of every sequence by coordinates, "pairing/people" and sequence."""
    return {
        coordinates: {key: result["per_sequence"] for key, result in score_scenes(truth, predicted).items()}
        for coordinates, truth in annotated.items()
    }


def all_switches_plain(annotated: dict[str, dict[str, AnnotatedScene]], predicted: dict[str, PredictedScene]) -> None:
    """The same by the plain version (tests/pose/metrics/test_plain.py compares their numbers)."""
    for truth in annotated.values():
        for pairing in PAIRINGS:
            for people in PEOPLE:
                for name, scene in truth.items():
                    found = predicted[name]
                    assert found.keypoints_2d is not None
                    arrays = (scene.annotation_2d, scene.annotation_3d, scene.valid, found.poses_3d, found.keypoints_2d)
                    lists = [array.tolist() for array in (*arrays, found.present)]
                    plain.protocol(*lists, pairing=pairing, people=people)


def figures(sizes: Sequence[float]) -> Iterator[Figure]:
    """Microseconds per person-frame for all switches together, at each size."""
    few = scenes(PLAIN_FRAMES)
    slow = timed(partial(all_switches_plain, *few)) / _person_frames(few)
    for size in sizes:
        made = scenes(max(1, round(FRAMES * size)))
        count = _person_frames(made)
        with PeakMemory() as peak:
            seconds = statistics.median(timed(partial(all_switches, *made)) for _ in range(3 if size <= 1 else 1))
        yield Figure(
            "protocol/mupots_3d, 16 switches", size, count, "person-frames of 20 sequences", 1e6 * seconds / count,
            "us/person-frame", "a plain version, frame by frame", 1e6 * slow, slow * count / seconds, peak.mib,
        )  # fmt: skip


def _person_frames(made: Scenes) -> int:
    return sum(scene.valid.size for scene in made[0]["normal"].values())
