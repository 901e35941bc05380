"""A folder of motion capture -> clips: one person's motion each, in one joint set, unit and world frame.

What follows (bodies, cameras, scenes) knows only `Clip`. Which file formats there are and how their skeletons become
MuPoTS-17 ends here.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.mocap.asf_amc import CMU_FPS, read_amc, read_asf
from data.mocap.bvh import read_bvh, to_world_mm
from data.mocap.joint_maps import to_mupots
from fileio.arrays import read_npz, require
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17

logger = logging.getLogger(__name__)

#: Accepted file name endings; of two clips of one name the first kind here is kept.
ACCEPTED = {
    ".npz": "arrays (T, 17, 3) in mm, MuPoTS-17 order, y up, one clip per key",
    ".amc": "trials of the CMU database, with the skeleton SS.asf of SS_TT.amc in the same folder",
    ".bvh": "one person each, joints named as in data/mocap/joint_maps.py",
}
#: Frames per second that a recording can have. Others are damage, and make gigabytes when brought to a usual rate.
MIN_FPS, MAX_FPS = 0.1, 1e5
_CMU_NAME = re.compile(r"(\d+)_(\d+)$")
_RATE_IN_NAME = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)fps(?![a-z])", re.IGNORECASE)
_SUBJECT_IN_NAME = re.compile(r"subject_?\d+", re.IGNORECASE)
_J = len(MUPOTS_17)


@dataclass(frozen=True, eq=False)
class Clip:
    """One person's motion.

    name: `SS_TT` of a CMU trial, else the file's stem or the key in it. subject: whose motion it is, as far as names
    tell. fps: frames per second. poses_3d (T, 17, 3): float32 mm, MuPoTS-17, world frame, right-handed, y up.
    source: the file, for messages.

    Raises DataError for a shape, a rate or values that cannot be.
    """

    name: str
    subject: str
    fps: float
    poses_3d: np.ndarray
    source: str = "clip"

    def __post_init__(self) -> None:
        poses = require(self.poses_3d, self.source, self.name, ("T", _J, 3), remedy="store one such array per clip")
        bad = ~np.isfinite(poses).all(axis=(1, 2))
        if bad.any():
            raise DataError(
                f"{self.source}: {self.name}: {int(bad.sum())} frames hold NaN or infinity, the first is "
                f"{int(np.flatnonzero(bad)[0])}; cut them out or fill them"
            )
        if not MIN_FPS <= self.fps <= MAX_FPS:
            raise DataError(f"{self.source}: {self.name}: fps={self.fps}: {MIN_FPS} to {MAX_FPS:g} is expected")
        object.__setattr__(self, "poses_3d", poses.astype(np.float32))
        object.__setattr__(self, "fps", float(self.fps))

    def __len__(self) -> int:
        return len(self.poses_3d)

    def __repr__(self) -> str:
        return f"Clip({self.name}, subject {self.subject}, {len(self)} frames at {self.fps:g} fps)"


def motion_files(folder: Path | str) -> list[Path]:
    """The files below `folder` that `read_clips` reads, sorted. Names that begin with a dot are passed over.

    Raises DataError, listing what is accepted, if there is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; give the folder that holds the motion capture files")
    files = [path for path in folder.rglob("*") if _kind(path) in ACCEPTED and path.name[0] != "." and path.is_file()]
    if not files:
        accepted = "; ".join(f"{ending}: {meaning}" for ending, meaning in ACCEPTED.items())
        raise DataError(f"{folder}: no motion capture file in it or below; accepted are {accepted}")
    skeletons = {_skeleton_of(path) for path in files if _kind(path) == ".amc"}
    return sorted({*files, *(path for path in skeletons if path is not None)})


def read_clips(folder: Path | str, fps: float | None = None, joint_map: Mapping[str, str] | None = None) -> list[Clip]:
    """Every clip of the motion capture files below `folder`, sorted by name.

    fps: the rate of files that do not state it: npz files without a key `fps` and without `NNfps` in their name, and
    AMC files (120 if None). joint_map: MuPoTS-17 joint -> its name in BVH files of an unknown naming.

    BVH files of one name in several folders become clips FOLDER_NAME. Of clips of one name that of the first kind in
    ACCEPTED is kept, and what was skipped is logged. Raises DataError naming the file, and the line where there is one.
    """
    folder = Path(folder)
    files = [path for path in motion_files(folder) if _kind(path) in ACCEPTED]
    files.sort(key=lambda path: list(ACCEPTED).index(_kind(path)))
    stems = Counter(path.stem for path in files if _kind(path) == ".bvh")
    clips: dict[str, Clip] = {}
    for path in files:
        if _kind(path) == ".npz":
            for clip in _read_npz(path, folder, fps):
                if not _known(clips, clip.name, path):
                    clips[clip.name] = clip
            continue
        ambiguous = _kind(path) == ".bvh" and stems[path.stem] > 1
        name = f"{path.parent.name}_{path.stem}" if ambiguous else path.stem
        if not _known(clips, name, path):
            poses, rate = _read_amc(path, fps) if _kind(path) == ".amc" else _read_bvh(path, joint_map)
            clips[name] = Clip(name, subject_of(path.stem, path, folder), rate, poses, str(path))
    return [clips[name] for name in sorted(clips)]


def subject_of(name: str, path: Path, folder: Path) -> str:
    """Whose motion a clip is: `SS` of `SS_TT`, `subjectN` in the name, else the file's own folder below `folder`,
    else the file's stem."""
    if found := _CMU_NAME.match(name):
        return found[1]
    if found := _SUBJECT_IN_NAME.search(name):
        return found[0]
    return path.stem if path.parent == folder else path.parent.name


# --- one file --------------------------------------------------------------------------------------------------------


def _kind(path: Path) -> str:
    return path.suffix.lower()


def _known(clips: dict[str, Clip], name: str, path: Path) -> bool:
    """Whether there is a clip of that name already; then `path` is logged as skipped."""
    if name in clips:
        logger.warning("%s: clip %s is skipped, it was read from %s", path, name, clips[name].source)
    return name in clips


def _skeleton_of(trial: Path) -> Path | None:
    """The skeleton of an AMC file: SS.asf for SS_TT.amc, else the only one in its folder."""
    own = trial.with_name(trial.stem.split("_")[0] + ".asf")
    if own.is_file():
        return own
    others = [path for path in trial.parent.iterdir() if _kind(path) == ".asf" and path.name[0] != "."]
    return others[0] if len(others) == 1 else None


def _read_amc(path: Path, fps: float | None) -> tuple[np.ndarray, float]:
    asf = _skeleton_of(path)
    if asf is None:
        raise DataError(f"{path}: its skeleton is not there; put {path.stem.split('_')[0]}.asf into the same folder")
    skeleton = read_asf(asf)
    poses = to_mupots(read_amc(path, skeleton), path)
    return poses * skeleton.mm_per_unit, CMU_FPS if fps is None else fps


def _read_bvh(path: Path, joint_map: Mapping[str, str] | None) -> tuple[np.ndarray, float]:
    motion, fps = read_bvh(path)
    return to_world_mm(to_mupots(motion, path, joint_map), fps, path), fps


def _read_npz(path: Path, folder: Path, fps: float | None) -> list[Clip]:
    arrays = read_npz(path)
    stated = arrays.pop("fps", None)
    if stated is not None:
        rate = float(require(stated.reshape(-1), path, "fps", (1,), remedy="give one number")[0])
    elif named := _RATE_IN_NAME.search(path.stem):
        rate = float(named[1])
    elif fps is not None:
        rate = fps
    else:
        raise DataError(
            f"{path}: its frame rate is not known; store a key fps, put it into the file's name (as clips_30fps.npz) "
            "or give fps"
        )
    return [Clip(name, subject_of(name, path, folder), rate, poses, str(path)) for name, poses in arrays.items()]
