"""From `PoseSequence`s, one person each, to the scenes of the MuPoTS protocol, all people of a sequence side by side.

Sequences are told apart by `.sequence`, people by `.person` (0-based, annotation order), frames by `.frame` (0-based).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pose.errors import DataError, MismatchError
from pose.joint_sets import MUPOTS_17, JointSet, remap_index_or_last, same_joint_set
from pose.metrics.mupots import MATCH_JOINTS, N_JOINTS, AnnotatedScene, PredictedScene, check_sequences
from pose.sequence import PoseSequence, one_coordinates


def scenes_from_sequences(annotated: list[PoseSequence]) -> dict[str, AnnotatedScene]:
    """Annotated people -> one scene per sequence, in the order met.

    A scene reaches to the last frame and person number of its sequence; frames that a person lacks are not valid. A
    person is in sight where detected with at least half of the joints visible.
    Without annotation_2d the 2D points are NaN, which `by2d` refuses. MismatchError for people without
    MuPoTS-17 poses or of mixed coordinates, DataError for a frame given twice or an annotated pose with NaN.
    """
    one_coordinates(annotated)
    scenes = {}
    for name, group in _by_sequence(annotated).items():
        frames = max((int(member.frame.max()) + 1 for member in group if len(member)), default=0)
        shape = (frames, max(member.person for member in group) + 1)
        annotation_2d = np.full((*shape, N_JOINTS, 2), np.nan)
        annotation_3d = np.full((*shape, N_JOINTS, 3), np.nan)
        valid, in_sight = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        visible = np.zeros((*shape, N_JOINTS), dtype=bool)
        for person, frame, member, poses_3d in _people(group, shape):
            counts = _numpy(member.annotated)
            _check_whole(member, poses_3d, counts)
            annotation_3d[frame, person] = poses_3d
            valid[frame, person] = counts
            visible[frame, person] = _numpy(member.visible)
            in_sight[frame, person] = _numpy(member.detected & (member.visible.float().mean(dim=1) >= 0.5))
            if member.annotation_2d is not None:
                annotation_2d[frame, person] = _numpy(member.annotation_2d)
        scenes[name] = AnnotatedScene(annotation_2d, annotation_3d, valid, visible, in_sight, group[0].fps)
    return scenes


def predicted_scenes(
    predicted: list[PoseSequence], like: dict[str, AnnotatedScene], with_keypoints: bool = True
) -> dict[str, PredictedScene]:
    """Predicted people -> one scene per sequence, with the frames of the annotated scenes `like`.

    A scene has a row for each annotated person, and more if there are higher person numbers. A frame that is missing,
    or whose pose is all NaN, is not present. The 2D points are the detections, brought to MuPoTS-17; pass
    with_keypoints=False where they mean nothing. MismatchError for an unknown sequence, people without MuPoTS-17 poses,
    mixed coordinates or a 2D joint set that cannot be paired; DataError for frames beyond the annotation, a frame given
    twice or a pose that is partly NaN.

    >>> from pose.metrics.mupots import score_scenes
    >>> poses_3d = torch.randn(60, 17, 3, generator=torch.Generator().manual_seed(0)) * 300
    >>> poses_3d[..., 2] += 4000
    >>> person = PoseSequence(
    ...     "TS1", 0, None, 30.0, torch.zeros(60, 19, 2), torch.ones(60, 19), poses_3d=poses_3d, coordinates="normal"
    ... )
    >>> annotated = scenes_from_sequences([person])
    >>> predicted = predicted_scenes([person.with_poses(poses_3d + 10.0, "normal")], like=annotated)
    >>> scores = score_scenes(annotated, predicted, pairings=["given"])
    >>> round(scores["given/all"]["metrics"]["a_mpjpe_mm"], 1)
    17.3
    """
    one_coordinates(predicted)
    groups = _by_sequence(predicted)
    check_sequences(groups, like)
    scenes = {}
    for name, group in groups.items():
        frames, people = like[name].valid.shape
        shape = (frames, max(people, *(member.person + 1 for member in group)))
        poses_3d = np.full((*shape, N_JOINTS, 3), np.nan)
        present = np.zeros(shape, dtype=bool)
        keypoints_2d = np.full((*shape, N_JOINTS, 2), np.nan)
        confidence = np.zeros(shape)
        for person, frame, member, poses in _people(group, shape):
            given = np.logical_not(np.isnan(poses).all(axis=(1, 2)))
            _check_whole(member, poses, given)
            poses_3d[frame, person] = poses
            present[frame, person] = given
            confidence[frame, person] = _numpy(member.confidence.mean(dim=1))
            if with_keypoints:
                keypoints_2d[frame, person] = _numpy(member.keypoints_2d[:, _mupots_index(member.joints_2d)])
        scenes[name] = PredictedScene(poses_3d, present, keypoints_2d if with_keypoints else None, confidence)
    return scenes


def _numpy(values: Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values if values.dtype == torch.bool else values.double()).numpy()


def _by_sequence(sequences: list[PoseSequence]) -> dict[str, list[PoseSequence]]:
    groups: dict[str, list[PoseSequence]] = {}
    for sequence in sequences:
        groups.setdefault(sequence.sequence, []).append(sequence)
    return groups


def _people(
    group: list[PoseSequence], shape: tuple[int, int]
) -> Iterator[tuple[int, np.ndarray, PoseSequence, np.ndarray]]:
    """Person, frame numbers (T,), sequence and poses (T, 17, 3) of each, checked to fit a scene of (frames, people)."""
    taken = np.zeros(shape, dtype=bool)
    for member in group:
        same_joint_set(f"{member.name}: joints_3d", member.joints_3d, MUPOTS_17)
        frame = member.frame.cpu().numpy()
        if member.person < 0 or (frame < 0).any():
            raise DataError(f"{member.name}: negative person or frame numbers; both count from 0")
        if (frame >= shape[0]).any():
            raise DataError(
                f"{member.name}: has frame {frame.max()}, the annotation has frames 0 to {shape[0] - 1}; number "
                "frames from 0 as in the data set"
            )
        np.add.at(count := np.zeros(shape[0], dtype=int), frame, 1)
        twice = np.flatnonzero(count + taken[:, member.person] > 1)
        if len(twice):
            raise DataError(
                f"{member.name}: frame {twice[0]} is given more than once; keep one row per person and frame"
            )
        taken[frame, member.person] = True
        yield member.person, frame, member, _numpy(member.require("poses_3d"))


def _check_whole(member: PoseSequence, poses_3d: np.ndarray, rows: np.ndarray) -> None:
    bad = np.flatnonzero(rows & ~np.isfinite(poses_3d).all(axis=(1, 2)))
    if len(bad):
        raise DataError(
            f"{member.name}: poses_3d of frame {int(member.frame[bad[0]])} holds NaN or infinite values; "
            "a whole pose is expected, or none"
        )


def _mupots_index(joints_2d: JointSet) -> list[int]:
    """MuPoTS-17 out of a 2D joint set; joints that pairing does not look at may be missing."""
    missing = [name for name in MUPOTS_17.names[MATCH_JOINTS] if name not in joints_2d.names]
    if missing:
        raise MismatchError(
            f"keypoints_2d: joint set {joints_2d.name} has no {', '.join(missing)}, needed for protocol.pairing=by2d"
        )
    return remap_index_or_last(joints_2d, MUPOTS_17)
