"""C3D: markers named as joints, through ezc3d."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from data.poses.joints import named_joints
from data.poses.rows import REMEDY, Options, PoseRows
from data.poses.text import MM
from fileio.limits import reading
from pose.errors import ConfigError

#: One body's markers among several: our own P0_hip, Vicon's and Theia's Subject:Hip.
_OWNER = re.compile(r"^(P\d+_|[^:]+:)")


def read_c3d(path: Path, options: Options) -> PoseRows:
    """Each subject's joints, in the file's unit; up is its Y_SCREEN, else z, which a note says."""
    try:
        import ezc3d
    except ImportError as error:
        raise ConfigError(f"{path}: C3D needs ezc3d; install it with: pip install '.[export]'") from error
    with reading(path, "a C3D file", REMEDY):
        file = ezc3d.c3d(str(path))
        facts = {key: entry["value"] for key, entry in file["parameters"]["POINT"].items() if "value" in entry}
        labels, unit = list(facts["LABELS"]), str(facts["UNITS"][0]).lower()
        points = file["data"]["points"][:3].transpose(2, 1, 0) * MM[unit]  # (T, M, 3)
        fps = float(facts["RATE"][0])
    screen = [str(value).strip() for value in facts.get("Y_SCREEN", [])]
    y_up = screen == ["+Y"]
    level = points * [1.0, -1.0, -1.0] if y_up else points[..., [0, 2, 1]] * [1.0, -1.0, 1.0]
    owners = [found[0] if (found := _OWNER.match(label)) else "" for label in labels]
    parts = []
    for number, owner in enumerate(dict.fromkeys(owners)):
        mine = [at for at, other in enumerate(owners) if other == owner]
        joints = named_joints([labels[at][len(owner) :] for at in mine], path)
        own = level[:, mine]
        frame = np.flatnonzero(np.isfinite(own).all(-1).any(-1))
        parts.append((joints, frame, own[frame], np.full(len(frame), number)))
    if len({joints.names for joints, *_ in parts}) > 1:
        raise ConfigError(f"{path}: subjects with different markers do not go together; export one at a time")
    frame, poses, identity = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    note = () if screen else ("Up: the file does not say it (POINT:Y_SCREEN); z was taken.",)
    return PoseRows("C3D", parts[0][0], frame, poses, "world", identity=identity, fps=fps, notes=note)
