"""Tables of keypoints: DeepLabCut and lightning-pose (CSV with three or four header rows, or h5), columns as `nose_x`.

A row is a frame, or a person where a column names frames or people. The columns' names say which joint and axis.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.formats import loose_json
from data.keypoints.formats.points import joint_name
from data.keypoints.parsing import REMEDY, Hints, frame_numbers, is_numbering, joints_of
from fileio.limits import check_unpacked, reading
from fileio.pickle_reader import unpickled
from pose.errors import DataError

_AXES = {"x": 0, "y": 1} | dict.fromkeys(
    ("likelihood", "score", "v", "visibility", "confidence", "conf", "s", "c", "p"), 2
)
_NO_FRAME = "a row is a person, and no column says in which frame; add one called 'frame' with 0, 1, 2, ..."
_VALUES = "block0_values"
_AS_CSV = "save the table as CSV (DeepLabCut: save_as_csv=True)"
#: Columns by the letters of their names.
_FRAME = {
    "frame", "frameid", "frameindex", "frameidx", "framenumber", "framenum", "frameno", "framenr", "framecount",
    "fnum", "image", "imagename", "imageid", "filename", "imgname",
}  # fmt: skip
_TIME = {"time", "timestamp", "timestampms", "times", "timems", "seconds", "sec", "ms", "t"}
_JOINT = {"landmark", "landmarkname", "landmarkid", "joint", "jointname", "keypoint", "bodypart", "name", "part"}
_AXIS_NAMES = ("x", "y", "score")
_INDEX = {"", "index", "coords", "unnamed"}  # the first column of pandas and DeepLabCut
_PERSON = {"person", "personid", "trackid", "track", "id", "individual", "subject", "playerid"}


log = logging.getLogger(__name__)


class _Column(NamedTuple):
    index: int
    individual: str
    joint: str
    axis: int


def read_csv(path: Path, hints: Hints) -> RawDetections:
    """A CSV of either kind. DataError for what is no such table."""
    rows = _rows(path)
    height = 1 if rows and "keypoints" in rows[0] else next((i for i, row in enumerate(rows) if _is_data(row)), 0)
    if height == 0:
        raise DataError(
            f"{path}: a table with a header of joints and rows of numbers is expected, found "
            f"{', '.join(rows[0])[:80] if rows else 'nothing'}; {REMEDY}"
        )
    header, body = rows[:height], rows[height:]
    if "keypoints" in header[-1]:
        if _column(header[-1], _FRAME) is None and len(body) > 1:
            raise DataError(f"{path}: {_NO_FRAME}")
        return loose_json.read(_people(header[-1], body, path), path, hints)
    long = _long(header[-1], body, path)
    if long:
        return loose_json.read(long, path, hints)
    columns = _columns(header, path)
    width = columns[-1].index + 1
    values = np.full((len(body), len(columns)), math.nan)
    for index, row in enumerate(body):
        if len(row) < width:
            raise DataError(f"{path}: row {index + height + 1} has {len(row)} cells, {width} are expected; {REMEDY}")
        values[index] = [_number(row[column.index]) for column in columns]
    frames, times, people = (_column(header[-1], names) for names in (_FRAME, _TIME, _PERSON))
    before = columns[0].index - 1  # of the index, which has several columns where it is a path in parts
    if frames is None and times is None and before >= 0 and _letters(header[-1][before]) in _INDEX:
        frames = before
    tracks = None if people is None else [_number(row[people]) for row in body]
    frames = times if frames is None else frames
    if frames is None and tracks is not None and len(set(tracks)) > 1:
        raise DataError(f"{path}: {_NO_FRAME}")
    number = _frame_numbers([row[frames] for row in body], path) if frames is not None else np.arange(len(body))
    return _detections(values, columns, number, tracks, path, hints)


def read_csv_folder(folder: Path, hints: Hints) -> RawDetections:
    """A file of Ultralytics' `to_csv` for each frame."""
    frames = {}
    for file in folder.glob("*.csv"):
        header, *body = _rows(file) or [[]]
        if header and "keypoints" not in header:
            raise DataError(
                f"{file}: a column 'keypoints' as of Ultralytics is expected, found {', '.join(header)[:80]}; "
                "give one file as the input"
            )
        frames[file.stem] = _people(header, body, file)
    return loose_json.read(frames, folder, hints)


def _long(header: list[str], body: list[list[str]], path: Path) -> list[dict[str, Any]]:
    """The people of a table of a joint a row, each with its frame; [] for other tables."""
    frame, joint, person = (_column(header, names) for names in (_FRAME, _JOINT, _PERSON))
    axes = {axis: index for index, name in enumerate(header) if (axis := _AXES.get(name.strip().lower())) is not None}
    if frame is None or joint is None or not {0, 1} <= set(axes):
        return []
    people: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in body:
        key = row[frame], "" if person is None else row[person]
        joints = people.setdefault(key, {})
        if row[joint] in joints:
            raise DataError(
                f"{path}: frame {key[0]}: joint {row[joint]} is there twice; a column of people is expected"
            )
        joints[row[joint]] = {_AXIS_NAMES[axis]: _number(row[index]) for axis, index in axes.items()}
    return [
        {
            "frame": _value(at),
            "id": _value(who),
            "landmarks": list(joints.values()) if _is_data(list(joints)) else joints,
        }
        for (at, who), joints in people.items()
    ]


def _rows(path: Path) -> list[list[str]]:
    with reading(path, "a CSV table of text"), open(path, newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=first.count)
        rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    if delimiter != ",":  # where a comma is the decimal point
        rows = [[re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell) for cell in row] for row in rows]
    return rows


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _column(header: list[str], names: set[str]) -> int | None:
    return next((index for index, name in enumerate(header) if _letters(name) in names - {""}), None)


def _people(header: list[str], body: list[list[str]], path: Path) -> list[dict[str, Any]]:
    """Ultralytics' `to_csv`: a person a row, with an object of x, y and visible in the cell `keypoints`."""
    frame = _column(header, _FRAME)
    header = ["frame" if index == frame else name for index, name in enumerate(header)]
    people: list[dict[str, Any]] = []
    for index, row in enumerate(body):
        cells: dict[str, Any] = dict(zip(header, row, strict=False))
        try:
            cells["keypoints"] = json.loads(cells["keypoints"].replace("'", '"'))
        except (KeyError, ValueError, RecursionError):
            raise DataError(
                f"{path}: row {index + 2}: keypoints: an object with x and y is expected; {REMEDY}"
            ) from None
        people.append({"frame": 0} | {key: _value(value) for key, value in cells.items()})
    return people


def _value(cell: Any) -> Any:
    """Numbers as such: a whole one is a frame or a track."""
    if not isinstance(cell, str) or math.isnan(_number(cell)):
        return cell
    return int(_number(cell)) if _number(cell) == _number(cell) // 1 else _number(cell)


def read_h5(path: Path, hints: Hints) -> RawDetections:
    """DeepLabCut's h5 by pandas: a table whose columns' names are a pickle beside it, or, of labelled pictures, arrays
    of its parts. DataError for any other HDF5."""
    with reading(path, "an HDF5 table of DeepLabCut", _AS_CSV), h5py.File(path, "r") as file:
        group: Any = next((g for g in file.values() if isinstance(g, h5py.Group) and {"table", _VALUES} & set(g)), None)
        if group is None:
            raise DataError(
                f"{path}: a table of DeepLabCut, df_with_missing/table, is expected, found {', '.join(file)[:120]}; "
                f"{_AS_CSV}"
            )
        data: Any = group["table"] if "table" in group else group[_VALUES]
        check_unpacked(path, sum(one.nbytes for one in group.values() if isinstance(one, h5py.Dataset)))
        if "table" in group:
            names, index = unpickled(path, bytes(group.attrs["non_index_axes"]))[0][1], data["index"]
            values = np.asarray(data["values_block_0"], dtype=np.float64)
        else:
            names, index = _labels(group, "block0_items"), _labels(group, "axis1")
            values = np.asarray(data, dtype=np.float64)
        number = _frame_numbers(["/".join(map(str, np.atleast_1d(frame))) for frame in index], path)
        levels = ("bodyparts", "coords") if len(names[0]) == 3 else ("individuals", "bodyparts", "coords")
        header = [[level, *(name[1 + place] for name in names)] for place, level in enumerate(levels)]
        columns = _columns(header, path)
        return _detections(values[:, [column.index - 1 for column in columns]], columns, number, None, path, hints)


def _labels(group: Any, axis: str) -> list[Any]:
    """The labels of an axis of pandas' arrays: one each, or a tuple of one from each level."""
    if axis in group:
        return [label.decode() if isinstance(label, bytes) else label for label in group[axis][()].tolist()]
    levels = [_labels(group, f"{axis}_level{level}") for level in range(int(group.attrs[f"{axis}_nlevels"]))]
    places = [group[f"{axis}_label{level}"][()] for level in range(len(levels))]
    return list(zip(*([level[i] for i in place] for level, place in zip(levels, places, strict=True)), strict=True))


def _is_data(row: list[str]) -> bool:
    """Whether most cells of a row are numbers or empty: a header has none, or few."""
    numbers = sum(cell.strip() == "" or not math.isnan(_number(cell)) or cell.strip().lower() == "nan" for cell in row)
    return numbers > len(row) / 2 and any(cell.strip() for cell in row)


def _columns(header: list[list[str]], path: Path) -> list[_Column]:
    header = [row + [""] * (len(header[-1]) - len(row)) for row in header]
    first = [row[0].strip().lower() for row in header]
    rows = {name: header[first.index(name)] for name in ("individuals", "bodyparts", "coords") if name in first}
    found = []
    for index, name in enumerate(header[-1]):
        if "bodyparts" in rows and "coords" in rows:
            joint, axis = rows["bodyparts"][index], rows["coords"][index]
        else:
            joint, axis = _split(name.strip())
        axis = axis.strip().lower()
        if axis in _AXES and joint.strip():
            individual = rows["individuals"][index] if "individuals" in rows else ""
            found.append(_Column(index, individual, joint_name(joint), _AXES[axis]))
    if not found:
        raise DataError(
            f"{path}: columns such as nose_x, nose_y, or rows 'bodyparts' and 'coords', are expected, found "
            f"{', '.join(header[-1])[:120]}; {REMEDY}"
        )
    return found


def _split(name: str) -> tuple[str, str]:
    """Joint and axis of `nose_x`, `x_nose`, `left_hip.x`, `x12`; ("", "") for others."""
    after = re.fullmatch(r"(.+?)[\s_.\-/]+([A-Za-z]+)", name)
    if after and after[2].lower() in _AXES:
        return after[1], after[2]
    before = re.fullmatch(r"([A-Za-z]+)[\s_.\-/]+(.+)", name) or re.fullmatch(r"([A-Za-z])(\d+)", name)
    return (before[2], before[1]) if before and before[1].lower() in _AXES else ("", "")


def _detections(
    values: np.ndarray,
    columns: list[_Column],
    number: np.ndarray,
    tracks: list[float] | None,
    path: Path,
    hints: Hints,
) -> RawDetections:
    individuals = list(dict.fromkeys(column.individual for column in columns))
    joints = list(dict.fromkeys(column.joint for column in columns))
    table = np.full((len(values), len(individuals), len(joints), 3), math.nan)
    for column, numbers in zip(columns, values.T, strict=True):
        table[:, individuals.index(column.individual), joints.index(column.joint), column.axis] = numbers
    if all(column.axis != 2 for column in columns):
        table[..., 2] = np.isfinite(table[..., :2]).all(axis=-1)
    by_place = all(re.search(r"\d$", joint) for joint in joints)  # x1, y1, ...: numbered, not named
    joint_set, assumed = joints_of(len(joints), path, hints.joint_set, () if by_place else joints)
    identity = np.tile(np.arange(len(individuals)), len(values)) if len(individuals) > 1 else None
    if tracks is not None and len(individuals) == 1:
        identity = np.array([-1 if math.isnan(track) else int(track) for track in tracks], dtype=np.int64)
    return RawDetections(
        number=np.repeat(number, len(individuals)),
        keypoints=table[..., :2].reshape(-1, len(joints), 2),
        confidence=table[..., 2].reshape(-1, len(joints)),
        box_score=np.full(len(values) * len(individuals), np.nan),
        joints=joint_set,
        assumed=assumed,
        listed=np.unique(number),
        complete=True,
        identity=identity,
    )


def _frame_numbers(cells: list[str], path: Path) -> np.ndarray:
    """Numbers as they are, times in steps of their usual distance, names of images by their digits."""
    numbers = np.array([_number(cell) for cell in cells])
    if np.isnan(numbers).any() != np.isnan(numbers).all():
        row = int(np.isnan(numbers).argmax())
        raise DataError(f"{path}: data row {row + 1}: frame: a number is expected, found {cells[row][:40]!r}; {REMEDY}")
    if (numbers % 1 == 0).all() and is_numbering(numbers.astype(np.int64).tolist()):
        return numbers.astype(np.int64)
    times, place = np.unique(numbers, return_inverse=True)
    if len(times) > 1 and np.isfinite(times).all():
        steps = np.diff(times) / np.median(np.diff(times))
        steps = np.r_[0, np.maximum(1, steps.round().clip(max=1e6))].cumsum().astype(np.int64)
        if is_numbering(steps.tolist()):
            log.warning("%s: times, not numbers, of frames; %d of them are missing", path, steps[-1] + 1 - len(steps))
            return steps[place]
    number_of = frame_numbers(cells, path)
    return np.array([number_of[cell] for cell in cells], dtype=np.int64)


def _number(text: str) -> float:
    """NaN for what is no finite number."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if abs(number) < 1e300 else math.nan
