"""What JSON of keypoints says of itself beside the people: the image's size, the frame rate, the joints' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.keypoints.formats.points import joint_name
from data.keypoints.parsing import REMEDY, is_number
from pose.errors import DataError

_SIZE = (("canvas_width", "canvas_height"), ("image_width", "image_height"), ("width", "height"))


def size_of(content: Any) -> tuple[int, int] | None:
    """(width, height) where the file or its first frame says it."""
    frames = content.get("frames") if isinstance(content, dict) else content
    for part in (content, frames[0] if isinstance(frames, list) and frames else None):
        if not isinstance(part, dict):
            continue
        pairs = [[part.get(width), part.get(height)] for width, height in _SIZE]
        for pair in [part.get("image_size"), *pairs]:
            if isinstance(pair, list) and len(pair) == 2 and all(is_number(side) and 1 < side < 1e6 for side in pair):
                return int(pair[0]), int(pair[1])
    return None


def fps_of(content: Any, path: Path) -> float | None:
    value = content.get("fps") if isinstance(content, dict) else None
    if value is None or (is_number(value) and 0 < value < 1e6):
        return None if value is None else float(value)
    raise DataError(f"{path}: fps: a number above 0 is expected, found {value!r:.40}; {REMEDY}")


def joint_names_of(content: Any, count: int) -> tuple[str, ...]:
    """The names of the joints in MMPose's `meta_info` or easy_ViTPose's `skeleton`; () without."""
    if not isinstance(content, dict):
        return ()
    first = next(iter(content.values()), None)  # of a folder, or of a file by image
    content = first if isinstance(first, dict) and "meta_info" in first else content
    meta = content.get("meta_info")
    by_id = meta.get("keypoint_id2name") if isinstance(meta, dict) else content.get("skeleton")
    if by_id is None and isinstance(meta, dict) and isinstance(meta.get("keypoint_name2id"), dict):
        by_id = {str(index): name for name, index in meta["keypoint_name2id"].items()}
    if not isinstance(by_id, dict) or len(by_id) != count:
        return ()
    names = [by_id.get(str(index)) for index in range(count)]
    return tuple(joint_name(name) for name in names if isinstance(name, str)) if all(names) else ()
