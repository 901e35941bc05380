"""`evaluate` of a predictions file by the MuPoTS-3D protocol, at the size of MuPoTS-3D and 20 times that:

    python -m benchmarks.run --only evaluation

From the files (MuPoTS-3D in its genuine format, a predictions.npz) to the scores of both pairings. The plain version
(tests/pose/metrics/plain.py) goes through one person of one frame at a time, as the published scripts do, and once for
each pairing and choice of people. Its cost is linear, and minutes at ten times the real size, so it is timed on
PLAIN_FRAMES frames of each sequence, and its time per person-frame is what is compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.figure import Figure, timed
from benchmarks.memory import PeakMemory
from benchmarks.reading import FORMATS
from data.predictions import read_predictions, write_predictions
from data.sets.reader import Reader
from experiments.results.scoring import score_mupots
from pose.metrics.mupots import PAIRINGS, PEOPLE, AnnotatedScene, PredictedScene
from pose.metrics.scenes import predicted_scenes, scenes_from_sequences
from pose.to_mupots import in_mupots_17
from tests.pose.metrics import plain

SIZES = (1.0, 5.0, 20.0)
PLAIN_FRAMES = 4

Scenes = tuple[dict[str, AnnotatedScene], dict[str, PredictedScene]]


def scenes(reader: Reader, path: Path) -> Scenes:
    """What the files hold."""
    truth = scenes_from_sequences(reader.sequences("normal"))
    return truth, predicted_scenes(in_mupots_17(read_predictions(path, "normal"))[0], truth)


def evaluate(reader: Reader, path: Path) -> dict:
    """What `experiment=evaluate predictions=PATH` computes."""
    truth, found = scenes(reader, path)
    kinds = {"lifted": found}
    return score_mupots(truth, {"given": kinds, "by2d": kinds}, "all", "given")


def plain_seconds(made: Scenes) -> float:
    """Of the plain version, for each person-frame."""
    rows = []
    for name, scene in made[0].items():
        found = made[1][name]
        assert found.keypoints_2d is not None
        arrays = (
            scene.annotation_2d,
            scene.annotation_3d,
            scene.valid,
            found.poses_3d,
            found.keypoints_2d,
            found.present,
        )
        rows.append([array[:PLAIN_FRAMES].tolist() for array in arrays])

    def score() -> None:
        for pairing in PAIRINGS:
            for people in PEOPLE:
                for lists in rows:
                    plain.protocol(*lists, pairing=pairing, people=people)

    return timed(score) / sum(scene.valid[:PLAIN_FRAMES].size for scene in made[0].values())


def figures(sizes: Sequence[float]) -> Iterator[Figure]:
    """Seconds for all of it, at each size."""
    slow = None
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            reader, of = FORMATS["mupots_3d"](Path(folder), size)
            people, path = reader.sequences("normal"), Path(folder) / "predictions.npz"
            count, generator = sum(map(len, people)), torch.Generator().manual_seed(0)
            poses = [one.require("poses_3d") for one in people]
            near = [pose + 60 * torch.randn(pose.shape, generator=generator) for pose in poses]
            write_predictions(path, [one.with_poses(pose, "normal") for one, pose in zip(people, near, strict=True)])
            del people, poses, near
            slow = plain_seconds(scenes(reader, path)) if slow is None else slow
            with PeakMemory() as peak:
                seconds = timed(lambda reader=reader, path=path: evaluate(reader, path))
        yield Figure(
            "evaluate/mupots_3d", size, count, of, seconds, "s",
            "a plain version, frame by frame", slow * count, slow * count / seconds, peak.mib,
        )  # fmt: skip
