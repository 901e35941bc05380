"""MPI-INF-3DHP's test part out of mpi_inf_3dhp_test_set.zip or the folder that it unpacks to.

`TS{1..6}/` hold annot_data.mat and imageSequence/img_%06d.jpg, from 1. TS3 and TS4 have one and two pictures more than
annotations.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.prepare.detections import THRESHOLD_PX
from data.prepare.picture_sets import PictureSet
from data.sets.mpi_inf_3dhp import IMAGES_WITHOUT_ANNOTATION, camera_of_test_set, testset_folder
from fileio.arrays import read_hdf5, require, require_mask


def _size(number: int) -> tuple[int, int]:
    camera = camera_of_test_set(number)
    return camera.width, camera.height


def _read(path: Path) -> np.ndarray:
    """The annotated poses (T, 17, 2) px of annot_data.mat, everything else in it checked too."""
    shapes = {"annot2": (17, 2), "annot3": (17, 3), "univ_annot3": (17, 3)}
    content = read_hdf5(path, [*shapes, "valid_frame"])
    sizes: dict[str, int] = {}
    values = {key: require(content[key], path, key, ("T", 1, *shape), sizes) for key, shape in shapes.items()}
    require_mask(content["valid_frame"], path, "valid_frame", ("T", 1), sizes)
    return values["annot2"][:, 0]


def _output(root: Path, number: int) -> Path:
    return testset_folder(root, number) / "hrnet.pkl"


TEST_SET = PictureSet(
    name="mpi_inf_3dhp",
    folder="mpi_inf_3dhp_test_set",
    archives=("mpi_inf_3dhp_test_set.zip",),
    homes=("mpi_inf_3dhp", "Mpi3DHP"),
    annotations=("annot_data.mat",),
    pictures="imageSequence/img_{:06d}.jpg",
    first=1,
    size=_size,
    read=_read,
    output=_output,
    surplus=IMAGES_WITHOUT_ANNOTATION,
    threshold_px=str(THRESHOLD_PX),
)
