"""2D detections of annotated recordings: a detector's, or those of a file, matched to the annotated people.

The data sets come with several people in view (bystanders too), a detector gives people in no order, and the lifter
wants to know who is who. A detected pose belongs to an annotated one if their mean 2D distance over the twelve joints
that both sets have is below 80 px, one to one; `gt_match_posedist_80`, the folder of the published MuCo-Temp
detections, names the same rule. A person without a partner is undetected, all zeros.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from data.keypoints.detector import Detector, detect_people
from data.keypoints.keypoints_json import read_keypoints_json
from fileio.pickle_reader import write_pickle
from pose.errors import ConfigError, DataError
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, COMMON_14, MUPOTS_17

#: Mean distance in px from which on two poses are not of one person.
THRESHOLD_PX = 80.0

_COMMON = [name for name in COMMON_14.names if name in COCO_17.names]  # without hip and neck, which are means
_OF_COCO = [COCO_17.index(name) for name in _COMMON]
_OF_MUPOTS = [MUPOTS_17.index(name) for name in _COMMON]
_LEAST_JOINTS = len(_COMMON) // 2


def check_detection_options(detector: Detector | None, keypoints: Path | str | None) -> None:
    """ConfigError if detections are to come from two places at once."""
    if detector is not None and keypoints is not None:
        raise ConfigError(f"keypoints={keypoints}: detections come from them or from a detector, not both; give one")
    if keypoints is not None and not Path(keypoints).is_dir():
        raise ConfigError(f"keypoints={keypoints}: no such folder; give the one with the keypoints files")


def match_people(annotated: np.ndarray, detected: np.ndarray, threshold: float = THRESHOLD_PX) -> np.ndarray:
    """Which detection is whose: annotated (P, 17, 2) px MuPoTS-17, detected (N, 17, 3) COCO-17 -> (P,), -1 for none.

    Joints of score 0 are left out of the mean; a detection with fewer than half of the twelve is matched to no one, and
    so are people annotated with NaN. Of all assignments the one of the least sum of distances is taken, where being
    unmatched costs the threshold: no person takes a far partner from another one to whom it is close.
    """
    points, scores = detected[None, :, _OF_COCO, :2], detected[None, :, _OF_COCO, 2]
    distance = np.linalg.norm(annotated[:, None, _OF_MUPOTS] - points, axis=-1)
    found = np.broadcast_to(scores > 0, distance.shape)
    mean = np.sum(distance, axis=-1, where=found) / np.maximum(found.sum(-1), 1)
    mean = np.where((found.sum(-1) >= _LEAST_JOINTS) & np.isfinite(mean), mean, np.inf)
    people, candidates = linear_sum_assignment(np.minimum(mean, threshold))
    near = mean[people, candidates] < threshold
    partner = np.full(len(annotated), -1)
    partner[people[near]] = candidates[near]
    return partner


def matched_detections(annotated: np.ndarray, found: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Detections in the order of the annotated people.

    annotated: (T, P, 17, 2) px, MuPoTS-17. found: for each of the T frames (N, 17, 3), COCO-17.
    Returns (T, P, 19, 3) float32, COCO-19, and (T, P) bool, true where detected.
    """
    n_frames, n_people = annotated.shape[:2]
    poses = np.zeros((n_frames, n_people, len(COCO_17), 3), dtype=np.float32)
    detected = np.zeros((n_frames, n_people), dtype=bool)
    for frame, (people, candidates) in enumerate(zip(annotated, found, strict=True)):
        partner = match_people(people, candidates)
        detected[frame] = partner >= 0
        poses[frame, detected[frame]] = candidates[partner[detected[frame]]]
    points = torch.from_numpy(poses)
    keypoints_2d, confidence = with_derived_joints(points[..., :2], points[..., 2])
    whole = torch.cat([keypoints_2d, confidence[..., None]], dim=-1).numpy()
    return np.where(detected[..., None, None], whole, np.float32(0)), detected


def detect(detector: Detector, images: Iterable[np.ndarray], label: str) -> Iterator[np.ndarray]:
    """What a copy of `detector` finds in each of `images`, checked: (N, 17, 3) float32."""
    detector = copy.copy(detector)
    for number, image in enumerate(images):
        yield detect_people(detector, image, f"{label}, frame {number}")


def detected_before(path: Path, n_frames: int, first: int, surplus: int = 0) -> list[np.ndarray]:
    """A keypoints.json of a recording of `n_frames` annotated frames: an (N, 17, 3) for each, (0, 17, 3) where none.

    A file with an entry for every picture is taken in the natural order of the names; in one that leaves pictures out
    the number in the name counts, the first picture's being `first`. surplus: pictures behind the annotated frames,
    which are passed over. Raises DataError for any other.
    """
    images = read_keypoints_json(path)
    found = [np.zeros((0, len(COCO_17), 3), dtype=np.float32) for _ in range(n_frames + surplus)]
    for order, image in enumerate(images):
        digits = re.findall(r"\d+", Path(image.image).stem)
        place = order if len(images) in (n_frames, n_frames + surplus) else int(digits[-1]) - first if digits else -1
        if not 0 <= place < len(found):
            raise DataError(
                f"{path}: {image.image!r}: {n_frames} pictures with numbers from {first} are expected, found "
                f"{len(images)}; detect the pictures of this very recording"
            )
        found[place] = image.keypoints.numpy()
    return found[:n_frames]


def write_matched(
    path: Path,
    annotated: np.ndarray,
    found: Iterable[np.ndarray],
    label: str,
    keys: tuple[str, str] = ("poses", "is_valid"),
    none_is_fine: bool = False,
) -> None:
    """Match `found` to the people `annotated`, (T, P, 17, 2) or (T, 17, 2) px, and write the detections.

    DataError if no person is matched in any frame, unless `none_is_fine`: the detections are of another recording, or
    in pixels of another size. label: what messages call the recording.
    """
    one = annotated.ndim == 3
    poses, detected = matched_detections(annotated[:, None] if one else annotated, found)
    if not (detected.any() or none_is_fine):
        raise DataError(
            f"{label}: nothing detected lies within {THRESHOLD_PX:.0f} px of an annotated person in {len(detected)} "
            "frames; check that the detections are of this recording, in pixels of the original pictures"
        )
    write_detections(path, poses[:, 0] if one else poses, detected[:, 0] if one else detected, keys)


def write_detections(path: Path, poses: np.ndarray, detected: np.ndarray, keys: Sequence[str]) -> None:
    """A pickle like the published detections (docs/method.md §3): (T, [P,] 19, 3) and (T[, P]) under `keys`."""
    write_pickle(path, {keys[0]: poses, keys[1]: detected})
