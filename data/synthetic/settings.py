"""What decides the content of the synthetic data, and its fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from pose.errors import check_number

#: Raise it with every change that alters what is generated: cached folders and trained lifters are found by it.
GENERATOR_VERSION = 1


@dataclass(frozen=True)
class SyntheticSettings:
    """Sizes of the synthetic data sets.

    seed: the same seed gives the same files. mpi_frames: frames at 25 fps of each MPI-INF-3DHP training recording
    (twice as many in the recordings at 50 fps). muco_frames: of each MuCo-Temp video. test_frames: of each
    MPI-INF-3DHP test recording. mupots_frames: of each MuPoTS-3D sequence. muco_videos: videos per MuCo-Temp camera,
    7 in the published set. Raises ConfigError for values out of range.
    """

    seed: int
    mpi_frames: int
    muco_frames: int
    test_frames: int
    mupots_frames: int
    muco_videos: int = 7

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            least, most = {"seed": (0, 2**63), "muco_videos": (1, 7)}.get(field.name, (2, 100_000))
            check_number(f"settings.{field.name}", getattr(self, field.name), least, most, whole=True)


def synthetic_fingerprint(settings: SyntheticSettings) -> str:
    """12 hexadecimal digits that differ between settings and between versions of the generator."""
    content = {"version": GENERATOR_VERSION, **dataclasses.asdict(settings)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
