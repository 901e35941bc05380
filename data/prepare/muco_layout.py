"""Where the files of a MuCo-Temp in the making are, and what its steps hand on to each other in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.prepare.muco_clips import Clip, Recording
from data.prepare.sources import NumberedFiles
from fileio.arrays import atomic_path, member, read_pickle, reading, require

_REMEDY = "delete it and prepare again"


@dataclass(frozen=True)
class MucoFiles:
    """The files below `root`, the folder of all data sets; Mpi3DHP is read, MucoTemp is written."""

    root: Path

    @property
    def mpi(self) -> Path:
        return self.root / "Mpi3DHP"

    @property
    def muco(self) -> Path:
        return self.root / "MucoTemp"

    @property
    def metadata(self) -> Path:
        return self.muco / "sequence_meta.pkl"

    @property
    def description(self) -> Path:
        return self.muco / "generated.json"

    def clips(self, camera: int) -> Path:
        return self.muco / "frames" / f"cam_{camera}" / "clips.json"

    def annotations(self, camera: int) -> Path:
        return self.muco / "frames" / f"cam_{camera}" / "gt.pkl"

    def images(self, camera: int, video: int, start: int, stop: int) -> NumberedFiles:
        folder = self.muco / "frames" / f"cam_{camera}" / f"vid_{video}"
        return NumberedFiles(folder, "img_{:04d}.jpg", start, stop - start)

    def found(self, camera: int, video: int, start: int) -> Path:
        """All people that a detector found in a chunk of frames, not yet matched."""
        return self.muco / "detector" / f"cam_{camera}" / f"vid_{video}" / f"from_{start:04d}.npz"

    def detections(self, camera: int, video: int) -> Path:
        return self.muco / "hrnet_keypoints" / f"cam_{camera}" / "gt_match_posedist_80" / f"vid_{video}.pkl"


def write_clips(path: Path, videos: Sequence[Sequence[Clip]], lengths: dict[Recording, int]) -> None:
    """The clips of a camera's videos, and the raw frames of the recordings that they are from."""
    content = {
        "videos": [[[clip.subject, clip.sequence, clip.first_frame] for clip in clips] for clips in videos],
        "recordings": [[*recording, length] for recording, length in sorted(lengths.items())],
    }
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_clips(path: Path) -> tuple[list[list[Clip]], dict[Recording, int]]:
    """What `write_clips` wrote."""
    with reading(path, "a file of clips", _REMEDY):
        content = json.loads(path.read_text(encoding="utf-8"))
        videos = [[Clip(*map(int, clip)) for clip in clips] for clips in content["videos"]]
        return videos, {(int(s), int(q)): int(length) for s, q, length in content["recordings"]}


def read_video_annotations(path: Path, video: int) -> dict[str, np.ndarray]:
    """annot2 (F, P, 17, 2) px and annot3 (F, P, 17, 3) mm of a video out of the gt.pkl of its camera."""
    entry = member(read_pickle(path), video, path, f"video {video}")
    sizes: dict[str, int] = {}
    return {
        key: require(member(entry, key, path), path, f"[{video}].{key}", ("F", "P", 17, axes), sizes, _REMEDY)
        for key, axes in (("annot2", 2), ("annot3", 3))
    }
