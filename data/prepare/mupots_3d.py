"""MuPoTS-3D out of MultiPersonTestSet.zip or the folder that it unpacks to: annotations, pictures, detections.

`TS{1..20}/` hold annot.mat, occlusion.mat and img_%06d.jpg, from 0, one for each annotated frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from data.keypoints.detector import Detector
from data.prepare.detections import check_detection_options
from data.prepare.picture_sets import PictureSet
from data.prepare.sources import Shortfalls, source_folder
from data.prepare.steps import Step
from data.sets.mupots_3d import NUMBERS, image_size, read_annotation_2d, sequence_files
from data.sets.reader import check_numbers

ORIGIN = (
    "https://vcai.mpi-inf.mpg.de/projects/SingleShotMultiPerson (its own licence): mupots-3d-eval.zip with "
    "get_mupots-3d.sh, which fetches MultiPersonTestSet.zip"
)


def mupots_3d_steps(
    root: Path | str,
    source: Path | str | None,
    frames: bool = True,
    detector: Detector | None = None,
    keypoints: Path | str | None = None,
    sequences: Iterable[int] = NUMBERS,
) -> list[Step]:
    """Steps for `run_steps(root, ...)` that make root/MuPoTS as data.sets.mupots_3d reads it.

    source: the folder with MultiPersonTestSet.zip or MultiPersonTestSet/; it may be root/MuPoTS. frames: bring the
    pictures too. detector: run over the pictures for the 2D detections; or keypoints: a folder of detections made
    before, TS{n}/keypoints.json; with neither, none are written. Raises ConfigError for options, and DataError that
    lists all that is missing or damaged in the download.
    """
    check_detection_options(detector, keypoints)
    root, source = Path(root) / "MuPoTS", source_folder(source, "MuPoTS-3D")
    lacks = Shortfalls("mupots_3d", source, ORIGIN)
    folder = None if keypoints is None else Path(keypoints).absolute()
    numbers = check_numbers("sequences", sequences, NUMBERS)
    steps = _LAYOUT.steps(root, source, numbers, lacks, frames, detector, folder)
    lacks.check()
    return steps


def _output(root: Path, number: int) -> Path:
    return sequence_files(root, number)[2]


_LAYOUT = PictureSet(
    name="mupots_3d",
    folder="MultiPersonTestSet",
    archives=("MultiPersonTestSet.zip", "MuPoTS-3D.zip"),
    homes=("MuPoTS", "mupots-3d-eval"),
    annotations=("annot.mat", "occlusion.mat"),
    pictures="img_{:06d}.jpg",
    first=0,
    size=image_size,
    read=read_annotation_2d,
    output=_output,
    keys=("pose", "valid_pose"),
)
