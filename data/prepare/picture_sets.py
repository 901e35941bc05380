"""Test sets that come as annotations and pictures: recordings `TS{n}/` in a zip archive or the folder it unpacks to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from data.keypoints.detector import Detector
from data.prepare.detections import THRESHOLD_PX, detect, detected_before, write_matched
from data.prepare.sources import Item, NumberedFiles, Shortfalls, collect, contents, copy_checked
from data.prepare.steps import Step
from fileio.images import check_jpeg, decode_jpeg, write_picture
from pose.errors import DataError


@dataclass(frozen=True)
class PictureSet:
    """How such a set is laid out. Its functions are a module's own, so that steps can go to other processes.

    name: begins the steps' names. folder: of the recordings, below the set's root; the download has it, or one of
    `archives`, at its top or in one of `homes`. annotations: their files in `TS{n}`. pictures: their pattern there,
    numbered from `first`. size: number of a recording -> width and height, px. read: the annotation files -> (T, [P,]
    17, 2) px, everything else in them checked. output: root and number -> the detections' file, with its `keys`.
    surplus: pictures that a recording may have beyond its annotations. threshold_px: as manifests have recorded it from
    the start.
    """

    name: str
    folder: str
    archives: tuple[str, ...]
    homes: tuple[str, ...]
    annotations: tuple[str, ...]
    pictures: str
    first: int
    size: Callable[[int], tuple[int, int]]
    read: Callable[..., np.ndarray]
    output: Callable[[Path, int], Path]
    keys: tuple[str, str] = ("poses", "is_valid")
    surplus: Mapping[int, int] = field(default_factory=dict)
    threshold_px: float | str = THRESHOLD_PX

    def steps(
        self,
        root: Path,
        source: Path,
        numbers: Iterable[int],
        lacks: Shortfalls,
        frames: bool,
        detector: Detector | None,
        keypoints: Path | None,
    ) -> list[Step]:
        """Steps that make the set below `root` out of the download `source`; what it misses goes onto `lacks`.

        frames: bring the pictures too. Detections: by `detector`, or out of `keypoints`, a folder with
        TS{n}/keypoints.json.
        """
        found: dict[str, Item] = {}
        with lacks.noting():
            homes = [source, *(source / name for name in self.homes), root]
            places = [home / name for home in homes for name in (self.folder, *self.archives)]
            files = "|".join((*self.annotations, self.pictures.replace("{:06d}", r"\d+")))
            found = collect(places, rf"(?:^|/)(TS\d+/(?:{files}))$")
        steps: list[Step] = []
        for number in numbers:
            place = f"TS{number}"
            missing = [name for name in self.annotations if f"{place}/{name}" not in found]
            start = f"{place}/{self.pictures.partition('{')[0]}"
            pictures = [found[name] for name in sorted(found) if name.startswith(start)]
            if not pictures and (frames or detector is not None):
                missing.append(f"{self.pictures.format(self.first)} ...")
            for name in missing:
                lacks.add(f"{self.folder}/{place}", name, self.archives[0])
            path = None if keypoints is None else keypoints / place / "keypoints.json"
            if path is not None and not path.is_file():
                lacks.add(str(path.parent), path.name, "prepare.keypoints")
            if not missing:
                annotations = [found[f"{place}/{name}"] for name in self.annotations]
                recording = _Recording(self, root, number)
                steps.append(recording.annotation_step(annotations))
                if frames:
                    steps.append(recording.picture_step(pictures))
                if detector is not None:
                    run = partial(_detect, recording, detector, pictures)
                    steps.append(recording.detection_step(run, f"by {detector.name}", _containers(pictures)))
                elif path is not None:
                    run = partial(_match_keypoints, recording, path)
                    steps.append(recording.detection_step(run, "keypoints.json", (path,)))
        return steps


@dataclass(frozen=True)
class _Recording:
    layout: PictureSet
    root: Path
    number: int

    @property
    def name(self) -> str:
        return f"{self.layout.name} TS{self.number}"

    @property
    def folder(self) -> Path:
        return self.root / self.layout.folder / f"TS{self.number}"

    @property
    def annotations(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in self.layout.annotations)

    @property
    def detections(self) -> Path:
        return self.layout.output(self.root, self.number)

    def people(self) -> np.ndarray:
        """The annotated people, (T, [P,] 17, 2) px."""
        return self.layout.read(*self.annotations)

    def annotation_step(self, items: list[Item]) -> Step:
        members = [item.member for item in items]
        settings = {"members": members} if len(members) > 1 else {"member": members[0]}
        run = partial(copy_checked, items, self.annotations, partial(_check, self.layout))
        return Step(f"{self.name}: annotations", self.annotations, run, settings, _containers(items))

    def picture_step(self, pictures: list[Item]) -> Step:
        files = NumberedFiles(self.folder, self.layout.pictures, self.layout.first, len(pictures))
        run = partial(_copy_pictures, self, pictures, files)
        inputs = (*_containers(pictures), *self.annotations)
        return Step(
            f"{self.name}: images", files, run, {"count": len(pictures)}, inputs, (f"{self.name}: annotations",)
        )

    def detection_step(self, run: Callable[[], None], what: str, found_in: tuple[Path, ...]) -> Step:
        settings = {"detections": what, "threshold_px": self.layout.threshold_px}
        inputs, after = (*found_in, *self.annotations), (f"{self.name}: annotations",)
        return Step(f"{self.name}: detections", (self.detections,), run, settings, inputs, after)


def _containers(items: Iterable[Item]) -> tuple[Path, ...]:
    return tuple({item.path: None for item in items})


# --- what the steps do -----------------------------------------------------------------------------------------------


def _check(layout: PictureSet, annotations: list[Path]) -> None:
    layout.read(*annotations)


def _copy_pictures(recording: _Recording, pictures: list[Item], files: NumberedFiles) -> None:
    """Bring the pictures, numbered without a gap, to `files`; they are checked even where they lie already."""
    _check_count(recording, pictures, len(recording.people()))
    size = recording.layout.size(recording.number)
    for (item, content), target in zip(contents(pictures), files, strict=True):
        if not str(item).endswith(target.name):
            raise DataError(f"{item}: {target.name} is expected after the pictures before it; fetch the download again")
        check_jpeg(content, str(item), size)
        if not item.is_at(target):
            write_picture(target, content)


def _check_count(recording: _Recording, pictures: list[Item], annotated: int) -> None:
    if len(pictures) - annotated not in (0, recording.layout.surplus.get(recording.number, 0)):
        raise DataError(
            f"{pictures[0].path}: TS{recording.number} has {annotated} annotated frames and {len(pictures)} pictures; "
            "fetch the download again"
        )


def _detect(recording: _Recording, detector: Detector, pictures: list[Item]) -> None:
    people, label = recording.people(), str(pictures[0].path)
    _check_count(recording, pictures, len(people))
    images = (decode_jpeg(content, str(item)) for item, content in contents(pictures[: len(people)]))
    write_matched(recording.detections, people, detect(detector, images, label), label, recording.layout.keys)


def _match_keypoints(recording: _Recording, path: Path) -> None:
    people, layout = recording.people(), recording.layout
    found = detected_before(path, len(people), layout.first, layout.surplus.get(recording.number, 0))
    write_matched(recording.detections, people, found, str(path), layout.keys)
