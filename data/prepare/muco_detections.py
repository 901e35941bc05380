"""Detections of MuCo-Temp's composed frames made without a detector, out of those of the single-person clips.

Composing hides people but does not move them, so a person's keypoints are those that were found in the clip, except
where a nearer person was pasted over them. Such joints get a score below the least that the features keep; a person
hidden nearly whole is not detected. What hides a joint is read from the masks, or, without images, judged by capsules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data.prepare.muco_clips import Clip
from data.prepare.muco_composition import back_to_front, check_sources, read_mask, source_files
from data.sets.mpi_inf_3dhp import calibration_path, camera_of, detections_path, read_cameras, recording_folder
from data.sets.reader import read_detections
from data.synthetic.occlusion import scene_cover
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, MUPOTS_17

#: Score of a hidden keypoint: what the features take for missing (below 0.1), and not the zero of an undetected person.
HIDDEN_SCORE = 0.05
#: A person is undetected of whom a larger part of the twelve limb joints is hidden.
MOST_HIDDEN = 0.7

#: Of each COCO-17 keypoint the MuPoTS-17 joint that is hidden with it.
_JOINT = [MUPOTS_17.index(name if name in MUPOTS_17.names else "head") for name in COCO_17.names]
_LIMBS = [i for i, name in enumerate(COCO_17.names) if name in MUPOTS_17.names]
#: Pixels to which masks are reduced where only single points are looked up: the decoder skips most of the work.
_LOOKUP_SIZE = 512


def clip_detections(
    mpi_root: Path, clips: Sequence[Clip], lengths: Sequence[int], camera: int, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (F, P, 17, 3) x, y px, score of the clips as they were filmed, and detected (F, P).

    lengths: frames of each clip's recording. Raises DataError naming a file that is missing or unusable.
    """
    keypoints, found = [], []
    for clip, length in zip(clips, lengths, strict=True):
        folder = recording_folder(mpi_root, *clip.recording)
        points, scores, detected = read_detections(detections_path(folder, camera), folder / "annot.mat", length)
        taken = list(clip.raw_frames(0, frames))
        keypoints.append(torch.cat([points, scores[..., None]], dim=-1)[taken, : len(COCO_17)].numpy())
        found.append(detected[taken].numpy())
    return np.stack(keypoints, axis=1), np.stack(found, axis=1)


def hidden_by_capsules(
    mpi_root: Path, clips: Sequence[Clip], camera: int, annot2: np.ndarray, annot3: np.ndarray
) -> np.ndarray:
    """Which keypoints (F, P, 17) other people's bodies hide; annot2 (F, P, 17, 2) px, annot3 (F, P, 17, 3) mm."""
    focal = []
    for clip in clips:
        path = calibration_path(mpi_root, *clip.recording)
        focal.append(camera_of(read_cameras(path), camera, path).fy)
    covers = scene_cover(annot2.swapaxes(0, 1), annot3.swapaxes(0, 1), np.array(focal))
    return np.stack([cover.by_others[:, _JOINT] >= 0.5 for cover in covers], axis=1)


def hidden_by_masks(
    mpi_root: Path, clips: Sequence[Clip], camera: int, keypoints: np.ndarray, annot3: np.ndarray, size: int
) -> np.ndarray:
    """Which keypoints (F, P, 17, 3) the person or chair mask of a nearer person covers: (F, P, 17) bool.

    annot3 (F, P, 17, 3) mm says who is nearer; size: of the images, px. Raises DataError naming a mask that is missing
    or unusable.
    """
    orders = back_to_front(annot3)
    files = list(source_files(mpi_root, clips, camera, orders, start=0))
    check_sources(files)
    hidden = np.zeros(keypoints.shape[:-1], dtype=bool)
    for i, (order, paths) in enumerate(zip(orders, files, strict=True)):
        for place in range(1, len(order)):
            _, chair, person = paths[3 * place - 2 : 3 * place + 1]
            cover = np.maximum(read_mask(person, size, _LOOKUP_SIZE), 255 - read_mask(chair, size, _LOOKUP_SIZE))
            farther = order[:place]
            hidden[i, farther] |= _at(cover, keypoints[i, farther, :, :2] / size) >= 128
    return hidden


def _at(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of a square `image` at `places` (..., 2), 0..1 across it; 0 outside."""
    inside = np.all((places >= 0) & (places < 1), axis=-1)
    columns, rows = np.moveaxis(np.where(inside[..., None], places * len(image), 0).astype(int), -1, 0)
    return np.where(inside, image[rows, columns], 0)


def with_hidden(keypoints: np.ndarray, detected: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The detections of people some of whose joints are hidden: (F, P, 19, 3) float32 COCO-19 and detected (F, P).

    keypoints (F, P, 17, 3) and detected (F, P) of people in plain view, hidden (F, P, 17).
    """
    scores = np.where(hidden, np.minimum(keypoints[..., 2], HIDDEN_SCORE), keypoints[..., 2])
    found = detected & (hidden[..., _LIMBS].mean(-1) <= MOST_HIDDEN)
    points = np.where(found[..., None, None], keypoints[..., :2], 0).astype(np.float32)
    scores = np.where(found[..., None], scores, 0).astype(np.float32)
    points_19, scores_19 = with_derived_joints(torch.from_numpy(points), torch.from_numpy(scores))
    return torch.cat([points_19, scores_19[..., None]], dim=-1).numpy(), found
