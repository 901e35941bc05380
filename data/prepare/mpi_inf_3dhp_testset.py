"""MPI-INF-3DHP's test part out of mpi_inf_3dhp_test_set.zip or the folder that it unpacks to.

`TS{1..6}/` hold annot_data.mat and imageSequence/img_%06d.jpg, from 1. TS3 and TS4 have one and two pictures more than
annotations.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from data.prepare.detections import (
    THRESHOLD_PX,
    Detector,
    check_any,
    detect,
    detected_before,
    matched_detections,
    write_detections,
)
from data.prepare.sources import Item, NumberedFiles, Shortfalls, collect, contents, copy_checked
from data.prepare.steps import Step
from data.sets.mpi_inf_3dhp import IMAGES_WITHOUT_ANNOTATION
from fileio.arrays import read_hdf5, require, require_mask
from fileio.images import check_jpeg, decode_jpeg, write_bytes
from pose.errors import ConfigError, DataError

NUMBERS = range(1, 7)
ARCHIVE = "mpi_inf_3dhp_test_set"


def check_detection_options(detector: Detector | None, keypoints: Path | str | None) -> None:
    """ConfigError if detections are to come from two places at once."""
    if detector is not None and keypoints is not None:
        raise ConfigError(f"keypoints={keypoints}: detections come from them or from a detector, not both; give one")
    if keypoints is not None and not Path(keypoints).is_dir():
        raise ConfigError(f"keypoints={keypoints}: no such folder; give the one with the keypoints files")


def mpi_inf_3dhp_testset_steps(
    root: Path, source: Path, lacks: Shortfalls, frames: bool, detector: Detector | None, keypoints: Path | None
) -> list[Step]:
    """Steps that make root/mpi_inf_3dhp_test_set; what the download misses goes onto `lacks`."""
    found: dict[str, Item] = {}
    homes = [source, source / "mpi_inf_3dhp", source / "Mpi3DHP", root]
    with lacks.noting():
        places = [place for home in homes for place in (home / ARCHIVE, home / f"{ARCHIVE}.zip")]
        found = collect(places, r"(?:^|/)(TS\d+/(?:annot_data\.mat|imageSequence/img_\d+\.jpg))$")
    steps: list[Step] = []
    for number in NUMBERS:
        place = f"{ARCHIVE}/TS{number}"
        annotations = found.get(f"TS{number}/annot_data.mat")
        if annotations is None:
            lacks.add(place, "annot_data.mat", f"get_testset.sh: {ARCHIVE}.zip")
        images = [found[name] for name in sorted(found) if name.startswith(f"TS{number}/imageSequence/")]
        if not images and (frames or detector is not None):
            lacks.add(place, "imageSequence/img_000001.jpg ...", f"get_testset.sh: {ARCHIVE}.zip")
        path = None if keypoints is None else keypoints / f"TS{number}" / "keypoints.json"
        if path is not None and not path.is_file():
            lacks.add(str(path.parent), path.name, "prepare.keypoints")
        if annotations is not None:
            steps += _steps_of(root / place, number, annotations, images, frames, detector, path)
    return steps


def _steps_of(
    folder: Path,
    number: int,
    annotations: Item,
    images: list[Item],
    frames: bool,
    detector: Detector | None,
    keypoints: Path | None,
) -> list[Step]:
    name, target = f"mpi_inf_3dhp TS{number}", folder / "annot_data.mat"
    copied = Step(
        f"{name}: annotations",
        (target,),
        partial(_copy_annotations, annotations, target),
        settings={"member": annotations.member},
        inputs=(annotations.path,),
    )
    steps = [copied]
    if frames and images:
        files = NumberedFiles(folder / "imageSequence", "img_{:06d}.jpg", 1, len(images))
        inputs = tuple({item.path: None for item in images} | {target: None})
        run = partial(_copy_images, images, files, target, number)
        steps.append(Step(f"{name}: images", files, run, {"count": len(images)}, inputs, (copied.name,)))
    run = None
    if detector is not None and images:
        run = partial(_detect, detector, images, target, number, folder / "hrnet.pkl")
        settings, inputs = {"detections": f"by {detector.name}"}, tuple({item.path: None for item in images})
    elif keypoints is not None:
        run = partial(_match_keypoints, keypoints, target, number, folder / "hrnet.pkl")
        settings, inputs = {"detections": "keypoints.json"}, (keypoints,)
    if run is not None:
        settings["threshold_px"] = str(THRESHOLD_PX)
        outputs = (folder / "hrnet.pkl",)
        steps.append(Step(f"{name}: detections", outputs, run, settings, (*inputs, target), (copied.name,)))
    return steps


def image_size(number: int) -> tuple[int, int]:
    """Width and height in pixels of TS`number`."""
    return (2048, 2048) if number <= 4 else (1920, 1080)


def _copy_annotations(item: Item, target: Path) -> None:
    copy_checked([item], [target], lambda paths: _read_annotations(paths[0]))


def _read_annotations(path: Path) -> np.ndarray:
    """The annotated poses (T, 17, 2) px of annot_data.mat, everything else in it checked too."""
    shapes = {"annot2": (17, 2), "annot3": (17, 3), "univ_annot3": (17, 3)}
    content = read_hdf5(path, [*shapes, "valid_frame"])
    sizes: dict[str, int] = {}
    values = {key: require(content[key], path, key, ("T", 1, *shape), sizes) for key, shape in shapes.items()}
    require_mask(content["valid_frame"], path, "valid_frame", ("T", 1), sizes)
    return values["annot2"][:, 0]


def _check_count(images: int, annotated: int, number: int, label: Path) -> None:
    if images not in (annotated, annotated + IMAGES_WITHOUT_ANNOTATION.get(number, 0)):
        raise DataError(
            f"{label}: TS{number} has {annotated} annotated frames and {images} pictures; fetch {ARCHIVE}.zip again"
        )


def _copy_images(images: list[Item], files: NumberedFiles, annotations: Path, number: int) -> None:
    _check_count(len(images), len(_read_annotations(annotations)), number, images[0].path)
    copy_images(images, files, image_size(number))


def copy_images(images: list[Item], files: NumberedFiles, size: tuple[int, int]) -> None:
    """Bring pictures of that size, numbered without a gap, to `files`; they are checked even where they lie already."""
    for (item, content), target in zip(contents(images), files, strict=True):
        if not str(item).endswith(target.name):
            raise DataError(f"{item}: {target.name} is expected after the pictures before it; fetch the download again")
        check_jpeg(content, str(item), size)
        if item.member or not (target.exists() and target.samefile(item.path)):
            write_bytes(target, content)


def _detect(detector: Detector, images: list[Item], annotations: Path, number: int, output: Path) -> None:
    people = _read_annotations(annotations)
    _check_count(len(images), len(people), number, images[0].path)
    pictures = (decode_jpeg(content, str(item)) for item, content in contents(images[: len(people)]))
    _write(people, list(detect(detector, pictures, str(images[0].path))), str(images[0].path), output)


def _match_keypoints(path: Path, annotations: Path, number: int, output: Path) -> None:
    people = _read_annotations(annotations)
    found = detected_before(path, len(people), first=1, surplus=IMAGES_WITHOUT_ANNOTATION.get(number, 0))
    _write(people, found, str(path), output)


def _write(people: np.ndarray, found: list[np.ndarray], label: str, output: Path) -> None:
    poses, detected = matched_detections(people[:, None], found)
    check_any(detected, label)
    write_detections(output, poses[:, 0], detected[:, 0])
