"""Between the rows of a predictions file (one person in one frame each) and people over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data.predictions import Predictions
from pose.cameras import Camera
from pose.coordinates import Coordinates
from pose.errors import DataError
from pose.joint_sets import COCO_19, MUPOTS_17, JointSet, remap_index_or_last
from pose.metrics.mupots import AnnotatedScene, PredictedScene, check_sequences
from pose.sequence import PoseSequence


def rows_of(sequences: list[PoseSequence], plain: list[PoseSequence] | None = None) -> Predictions:
    """Every frame of every sequence as a row; `plain` holds the same people before the refinement.

    Detections are COCO-19 and written as MuPoTS-17 points, the scores as they are.
    """

    def stacked(values: list[Tensor]) -> np.ndarray:
        return torch.cat([value.cpu() for value in values]).numpy()

    to_mupots = remap_index_or_last(COCO_19, MUPOTS_17)
    rates = {sequence.fps for sequence in sequences}
    return Predictions(
        sequence=np.repeat([s.sequence for s in sequences], [len(s) for s in sequences]),
        frame=stacked([s.frame for s in sequences]),
        person=np.repeat([s.person for s in sequences], [len(s) for s in sequences]),
        poses_3d=stacked([_poses(s) for s in sequences]),
        poses_3d_plain=None if plain is None else stacked([_poses(s) for s in plain]),
        keypoints_2d=stacked([s.keypoints_2d[:, to_mupots] for s in sequences]),
        score=stacked([s.confidence for s in sequences]),
        fps=rates.pop() if len(rates) == 1 else None,
        observed=stacked([s.detected for s in sequences]),
    )


def scenes_of_file(
    predictions: Predictions, annotated: Mapping[str, AnnotatedScene], pairing: str, poses_3d: np.ndarray
) -> dict[str, PredictedScene]:
    """The rows as scenes like `annotated`, with `poses_3d` (N, 17, 3) mm as their poses.

    `given` puts person p beside annotated person p; `by2d` takes people in the order of their numbers.
    Raises DataError for frames or (with `given`) people beyond the annotation, MismatchError for unknown sequences.
    """
    names = [str(name) for name in np.unique(predictions.sequence)]
    check_sequences(names, annotated)
    scenes = {}
    for name in names:
        rows = np.flatnonzero(predictions.sequence == name)
        frame, person = predictions.frame[rows], predictions.person[rows]
        frames, people = annotated[name].valid.shape
        if frame.max() >= frames:
            raise DataError(
                f"{predictions.source}: {name} has frame {frame.max()}, the annotation has frames 0 to {frames - 1}; "
                "number frames from 0 as in the data set"
            )
        if pairing == "given" and person.max() >= people:
            raise DataError(
                f"{predictions.source}: {name} has person {person.max()}, the annotation has people 0 to {people - 1}; "
                "number people as annotated, or use protocol.pairing=by2d with keypoints_2d"
            )
        if pairing == "by2d":
            numbers, person = np.unique(person, return_inverse=True)
            people = len(numbers)

        def spread(values: np.ndarray, shape=(frames, people), where=(frame, person), rows=rows) -> np.ndarray:
            full = np.full((*shape, *values.shape[1:]), np.nan)
            full[where] = values[rows]
            return full

        present = np.zeros((frames, people), dtype=bool)
        present[frame, person] = True
        keypoints, score = predictions.keypoints_2d, predictions.score
        scenes[name] = PredictedScene(
            spread(poses_3d),
            present,
            None if keypoints is None else spread(keypoints),
            None if score is None else spread(score.reshape(len(score), -1).mean(axis=1)),
        )
    return scenes


#: Frames of all tracks, the missing included: as many, or as many for each row of the file, are an honest file's.
MAX_FILLED, MAX_FILLED_TIMES = 100_000, 100


class Track(NamedTuple):
    """One person of a file, without gaps. rows (T,): the row of each frame, -1 where the file has none."""

    sequence: PoseSequence
    rows: np.ndarray


def tracks_of(predictions: Predictions, fps: float, coordinates: Coordinates, score: np.ndarray) -> list[Track]:
    """The rows of each (sequence, person) as a track with every frame from its first to its last.

    score (N,) or (N, K) in 0..1. Frames that are missing inside are put on the straight line between their neighbours
    with a score of zero, for a refinement to place.
    """
    camera = None
    if predictions.K is not None:
        (fx, _, cx), (_, fy, cy) = predictions.K[0], predictions.K[1]
        # The image size is not in the file; nothing that works on tracks needs more of it than its order of magnitude.
        camera = Camera(float(fx), float(fy), float(cx), float(cy), max(1, round(2 * cx)), max(1, round(2 * cy)))
    scores = score[:, None] if score.ndim == 1 else score
    joints_2d = _joints_of_scores(scores.shape[1])
    if joints_2d is MUPOTS_17 and scores.shape[1] == 1:
        scores = np.repeat(scores, len(MUPOTS_17), axis=1)
    points = predictions.keypoints_2d if joints_2d is MUPOTS_17 else None
    tracks = []
    total = 0
    keys = np.stack([np.unique(predictions.sequence, return_inverse=True)[1], predictions.person], axis=1)
    for key in np.unique(keys, axis=0):
        own = np.flatnonzero((keys == key).all(axis=1))
        own = own[np.argsort(predictions.frame[own])]
        frame = predictions.frame[own]
        total += int(frame[-1] - frame[0]) + 1
        if total > MAX_FILLED and total > MAX_FILLED_TIMES * len(predictions):
            raise DataError(
                f"{predictions.source}: {len(predictions)} rows over {total} frames up to {predictions.row(own[-1])}; "
                "number frames from 0, and people who come back after a long time anew"
            )
        every = np.arange(frame[0], frame[-1] + 1)
        rows = np.full(len(every), -1)
        rows[frame - frame[0]] = own
        missing = torch.from_numpy(rows < 0)

        def filled(values: np.ndarray, own=own, frame=frame, every=every) -> Tensor:
            flat = values[own].reshape(len(own), -1)
            lines = [np.interp(every, frame, column) for column in flat.T]
            return torch.from_numpy(np.stack(lines, axis=1).reshape(len(every), *values.shape[1:])).float()

        confidence = filled(scores)
        confidence[missing] = 0.0
        tracks.append(
            Track(
                PoseSequence(
                    sequence=str(predictions.sequence[own[0]]),
                    person=int(predictions.person[own[0]]),
                    camera=camera,
                    fps=fps,
                    keypoints_2d=torch.zeros(len(every), len(joints_2d), 2) if points is None else filled(points),
                    confidence=confidence,
                    detected=~missing,
                    poses_3d=filled(predictions.poses_3d),
                    frame=torch.from_numpy(every),
                    coordinates=coordinates,
                    joints_2d=joints_2d,
                ),
                rows,
            )
        )
    return tracks


def _joints_of_scores(columns: int) -> JointSet:
    """The 2D joints that `columns` scores per row belong to; a single score stands for all joints."""
    known = {1: MUPOTS_17, len(MUPOTS_17): MUPOTS_17, len(COCO_19): COCO_19}
    return known.get(columns) or JointSet(f"{columns} scores", tuple(str(i) for i in range(columns)))


def _poses(sequence: PoseSequence) -> Tensor:
    if sequence.poses_3d is None:
        raise DataError(f"{sequence.name}: has no 3D poses to write")
    return sequence.poses_3d
