"""YOLO's folders of label files as Ultralytics writes them (`save_txt=True`): a file for each frame, a person a row.

The file of frame 12 is `NAME_12.txt`. A row is class, box (x, y, w, h), x, y and score of each joint, all as fractions
of the image, and behind them the person's score (`save_conf=True`) and track, where they were saved. Frames without
people have no file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.parsing import REMEDY, Hints, frame_numbers, joints_of
from fileio.limits import reading
from fileio.text_lines import natural_order
from pose.errors import DataError

_BOX = 5  # class, x, y, w, h


def read_labels(folder: Path, hints: Hints) -> RawDetections:
    """All label files of a folder. DataError for rows that are not of one length or no numbers."""
    files = (file for file in folder.glob("*.txt") if file.name != "classes.txt")
    files = sorted(files, key=lambda file: natural_order(file.name))
    number_of = frame_numbers([file.stem for file in files], folder)
    rows, number = [], []
    for file in files:
        with reading(file, "a label file of YOLO", REMEDY):
            lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            rows += [[float(cell) for cell in line] for line in lines]
        number += [number_of[file.stem]] * len(lines)
    widths = sorted({len(row) for row in rows})
    if widths and (widths[-1] > widths[0] + 1 or widths[0] < _BOX + 2 * 16):
        raise DataError(
            f"{folder}: class, box and x, y, score of each joint are expected in each row, found rows of "
            f"{', '.join(map(str, widths[:6]))} numbers; {REMEDY}"
        )
    # People whom the tracker did not take have no number at their end.
    rows = [row + [np.nan] * (widths[-1] - len(row)) for row in rows]
    values = np.array(rows, dtype=float).reshape(len(rows), -1)[:, _BOX:]
    per_joint = 2 if values.shape[1] - 2 * 17 in (0, 1, 2) else 3  # COCO's 17 without scores
    count = 17 if per_joint == 2 else values.shape[1] // 3
    set_of_joints, assumed = joints_of(count, folder, hints.joint_set)
    joints, more = values[:, : per_joint * count].reshape(len(rows), count, per_joint), values[:, per_joint * count :]
    found = (joints[..., :2] != 0).any(axis=-1)
    is_score = more.shape[1] > 0 and bool((more[:, 0] <= 1).all() and (more[:, 0] % 1 != 0).any())
    tracks = np.nan_to_num(more[:, -1], nan=-1).astype(np.int64) if more.shape[1] > is_score else None
    return RawDetections(
        number=np.array(number, dtype=np.int64),
        keypoints=joints[..., :2],
        confidence=joints[..., 2] if per_joint == 3 else found.astype(float),
        box_score=more[:, 0] if is_score else np.full(len(rows), np.nan),
        joints=set_of_joints,
        assumed=assumed,
        listed=np.array(sorted(number_of.values()), dtype=np.int64),
        first=min(1, min(number_of.values(), default=0)),  # Ultralytics counts the frames of videos from 1
        identity=tracks,
    )
