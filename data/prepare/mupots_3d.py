"""MuPoTS-3D out of MultiPersonTestSet.zip or the folder that it unpacks to: annotations, pictures, detections.

`TS{1..20}/` hold annot.mat, occlusion.mat and img_%06d.jpg, from 0, one for each annotated frame.
"""

from __future__ import annotations

from collections.abc import Iterable
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
from data.prepare.mpi_inf_3dhp_testset import check_detection_options, copy_images
from data.prepare.sources import Item, NumberedFiles, Shortfalls, collect, contents, copy_checked, source_folder
from data.prepare.steps import Step
from data.sets.mupots_3d import NUMBERS, image_size, read_annotation_2d
from data.sets.reader import check_numbers
from fileio.images import decode_jpeg
from pose.errors import DataError

ORIGIN = (
    "https://vcai.mpi-inf.mpg.de/projects/SingleShotMultiPerson (its own licence): mupots-3d-eval.zip with "
    "get_mupots-3d.sh, which fetches MultiPersonTestSet.zip"
)
ARCHIVES = ("MultiPersonTestSet.zip", "MuPoTS-3D.zip")
_ANNOTATIONS = ("annot.mat", "occlusion.mat")


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
    found: dict[str, Item] = {}
    with lacks.noting():
        homes = [source, source / "MuPoTS", source / "mupots-3d-eval", root]
        places = [home / name for home in homes for name in ("MultiPersonTestSet", *ARCHIVES)]
        found = collect(places, r"(?:^|/)(TS\d+/(?:annot\.mat|occlusion\.mat|img_\d+\.jpg))$")
    keypoints = None if keypoints is None else Path(keypoints).absolute()
    steps: list[Step] = []
    for number in check_numbers("sequences", sequences, NUMBERS):
        place = f"TS{number}"
        missing = [name for name in _ANNOTATIONS if f"{place}/{name}" not in found]
        images = [found[name] for name in sorted(found) if name.startswith(f"{place}/img_")]
        if not images and (frames or detector is not None):
            missing.append("img_000000.jpg ...")
        for name in missing:
            lacks.add(f"MultiPersonTestSet/{place}", name, ARCHIVES[0])
        path = None if keypoints is None else keypoints / place / "keypoints.json"
        if path is not None and not path.is_file():
            lacks.add(str(path.parent), path.name, "prepare.keypoints")
        if not missing:
            annotations = [found[f"{place}/{name}"] for name in _ANNOTATIONS]
            steps += _steps_of(root, number, annotations, images, frames, detector, path)
    lacks.check()
    return steps


def _steps_of(
    root: Path,
    number: int,
    annotations: list[Item],
    images: list[Item],
    frames: bool,
    detector: Detector | None,
    keypoints: Path | None,
) -> list[Step]:
    name, folder = f"mupots_3d TS{number}", root / "MultiPersonTestSet" / f"TS{number}"
    targets = tuple(folder / file for file in _ANNOTATIONS)
    copied = Step(
        f"{name}: annotations",
        targets,
        partial(_copy_annotations, annotations, targets),
        settings={"members": [item.member for item in annotations]},
        inputs=tuple({item.path: None for item in annotations}),
    )
    steps, containers = [copied], tuple({item.path: None for item in images})
    if frames:
        files = NumberedFiles(folder, "img_{:06d}.jpg", 0, len(images))
        run = partial(_copy_images, images, files, targets, number)
        inputs = (*containers, *targets)
        steps.append(Step(f"{name}: images", files, run, {"count": len(images)}, inputs, (copied.name,)))
    output = root / "hrnet_pose2d" / f"TS{number}.pkl"
    if detector is not None:
        run, inputs, what = partial(_detect, detector, images, targets, output), containers, f"by {detector.name}"
    elif keypoints is not None:
        run, inputs, what = partial(_match_keypoints, keypoints, targets, output), (keypoints,), "keypoints.json"
    else:
        return steps
    settings = {"detections": what, "threshold_px": THRESHOLD_PX}
    steps.append(Step(f"{name}: detections", (output,), run, settings, (*inputs, *targets), (copied.name,)))
    return steps


# --- what the steps do -----------------------------------------------------------------------------------------------


def _copy_annotations(items: list[Item], targets: tuple[Path, ...]) -> None:
    copy_checked(items, targets, lambda paths: read_annotation_2d(*paths))


def _check_count(images: list[Item], people: np.ndarray, annotations: Path) -> None:
    if len(images) != len(people):
        raise DataError(
            f"{images[0].path}: {len(images)} pictures are there, {len(people)} are expected as in {annotations}; "
            "fetch the download again"
        )


def _copy_images(images: list[Item], files: NumberedFiles, annotations: tuple[Path, ...], number: int) -> None:
    _check_count(images, read_annotation_2d(*annotations)[0], annotations[0])
    copy_images(images, files, image_size(number))


def _detect(detector: Detector, images: list[Item], annotations: tuple[Path, ...], output: Path) -> None:
    people, _ = read_annotation_2d(*annotations)
    _check_count(images, people, annotations[0])
    pictures = (decode_jpeg(content, str(item)) for item, content in contents(images))
    _write(people, list(detect(detector, pictures, str(images[0].path))), str(images[0].path), output)


def _match_keypoints(path: Path, annotations: tuple[Path, ...], output: Path) -> None:
    people, _ = read_annotation_2d(*annotations)
    _write(people, detected_before(path, len(people), first=0), str(path), output)


def _write(people: np.ndarray, found: list[np.ndarray], label: str, output: Path) -> None:
    poses, detected = matched_detections(people, found)
    check_any(detected, label)
    write_detections(output, poses, detected, keys=("pose", "valid_pose"))
