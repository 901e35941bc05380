"""Training windows: every frame's features are computed once, and a batch of windows is one indexed copy.

`FrameTable` holds the frames of all training sequences as rows, standardised, and a second time mirrored, so that
neither flips nor normalisation cost anything when a batch is gathered. `EpochSampler` draws the batches of an epoch.
A window is named by the row of its target frame: its centre, in a causal network its last frame. Past the ends of a
sequence it repeats the first or last frame, so windows never mix sequences (docs/method.md §4 and §6).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from pose.errors import ConfigError, DataError
from pose.features import (
    Features,
    PublishedFeatures,
    Standardiser,
    draw_depth_scale,
    mirrored,
    scale_depth,
)
from pose.joint_sets import COCO_19, MUPOTS_17, same_joint_set
from pose.sequence import PoseSequence, one_coordinates


def window_offsets(receptive_field: int, causal: bool) -> Tensor:
    """Positions of a window's frames relative to its target frame: (T,) int32. ConfigError for an impossible length."""
    if receptive_field < 1 or (receptive_field % 2 == 0 and not causal):
        raise ConfigError(
            f"receptive_field={receptive_field}: must be a positive odd number of frames "
            "(even only with causal=true), it is the product of the network's filter widths"
        )
    left = receptive_field - 1 if causal else (receptive_field - 1) // 2
    return torch.arange(-left, receptive_field - left, dtype=torch.int32)


class FrameTable(Dataset):
    """All frames of the training sequences, ready to be cut into windows.

    sequences: people with annotations, all of one coordinates, COCO-19 detections, MuPoTS-17 poses and a camera.
    augment_depth: add a copy of each sequence at another distance, one scale per sequence drawn from `seed`.
    flip: keep the mirrored frames as well, for `gather(..., flipped)`.
    undetected: also learn frames without a detection where a frame of their window has one. Published lifters don't.
    kind: what features and targets are; None: the published ones.
    standardisers: of features and targets, those of a lifter that is trained on; None: fitted to this set.

    features (R, F), targets (R, O): standardised rows, the N plain ones, then the N mirrored ones.
    feature_standardiser, target_standardiser: given, or fitted to the N plain rows, undetected ones included.
    centres (M,): rows with an annotation and a valid detection, the windows' target frames.

    Raises DataError for no or unusable sequences, MismatchError for mixed coordinates or other joint sets.
    """

    def __init__(
        self,
        sequences: list[PoseSequence],
        receptive_field: int,
        causal: bool = False,
        augment_depth: bool = False,
        flip: bool = True,
        seed: int = 0,
        undetected: bool = False,
        kind: Features | None = None,
        standardisers: tuple[Standardiser, Standardiser] | None = None,
    ):
        one_coordinates(sequences)
        self.flip, self.causal, self.kind = flip, causal, kind or PublishedFeatures()
        self.offsets = window_offsets(receptive_field, causal)
        scaled = [(sequence, 1.0) for sequence in sequences]
        if augment_depth:
            scaled += _depth_scales(sequences, seed)
        self.n_frames = sum(len(sequence) for sequence, _ in scaled)
        if self.n_frames == 0:
            raise DataError("the training set has no frames; check the data folder and the choice of sequences")

        n_rows = self.n_frames * (2 if flip else 1)
        self.features = torch.empty(n_rows, self.kind.n_features)
        self.targets = torch.empty(n_rows, self.kind.n_targets)
        self.first = torch.empty(self.n_frames, dtype=torch.int32)
        self.last = torch.empty(self.n_frames, dtype=torch.int32)
        usable = torch.empty(self.n_frames, dtype=torch.bool)
        row = 0
        for sequence, scale in scaled:
            end = row + len(sequence)
            self._fill(row, end, sequence, scale)
            self.first[row:end], self.last[row:end] = row, end - 1
            detected = self._in_some_frame(sequence.detected) if undetected else sequence.detected
            usable[row:end] = detected & sequence.annotated
            self._check_rows(sequence.name, row, usable[row:end])
            row = end
        self.centres = usable.nonzero()[:, 0]
        self._standardise(standardisers)

    def _fill(self, row: int, end: int, sequence: PoseSequence, scale: float) -> None:
        """Write the rows of one sequence, moved to `scale` times its distance, plain and mirrored."""
        keypoints_2d, poses_3d = _trainable(sequence)
        if scale != 1.0:
            keypoints_2d, poses_3d = scale_depth(keypoints_2d, poses_3d, scale)
        person = dataclasses.replace(sequence, keypoints_2d=keypoints_2d, poses_3d=poses_3d)
        self._encode(slice(row, end), person, poses_3d)
        if self.flip:
            turned = mirrored(person)
            self._encode(slice(self.n_frames + row, self.n_frames + end), turned, turned.require("poses_3d"))

    def _encode(self, rows: slice, person: PoseSequence, poses_3d: Tensor) -> None:
        self.features[rows], view = self.kind.encode(person, self.causal)
        self.targets[rows] = self.kind.targets(poses_3d, view)

    def _check_rows(self, name: str, row: int, usable: Tensor) -> None:
        """DataError naming the first frame of a sequence with features or with a usable target that are not finite."""
        for start in (row, self.n_frames + row) if self.flip else (row,):
            rows = slice(start, start + len(usable))
            bad = usable & ~self.targets[rows].isfinite().all(1)
            if bool(bad.any()):
                raise DataError(
                    f"{name}: frame {int(bad.nonzero()[0])}: its pose is no target to learn (a hip at or "
                    "behind the camera has no logarithm of its depth); leave it out or mark it as not annotated"
                )
            bad = ~self.features[rows].isfinite().all(1)
            if bool(bad.any()):
                raise DataError(
                    f"{name}: frame {int(bad.nonzero()[0])}: its features ({type(self.kind).__name__}) are NaN or "
                    "infinite; features must be finite in every frame, undetected ones included"
                )

    def _in_some_frame(self, detected: Tensor) -> Tensor:
        """(T,) bool: some frame of the window around a frame is detected."""
        found = torch.nn.functional.pad(detected.int().cumsum(0), (1, 0))
        frames, length = torch.arange(len(detected)), len(detected)
        first = (frames + self.offsets[0]).clamp(0, length)
        last = (frames + self.offsets[-1] + 1).clamp(0, length)
        return found[last] > found[first]

    def _standardise(self, given: tuple[Standardiser, Standardiser] | None) -> None:
        """In place, the set is large; mirrored rows use the mean and std of the plain ones."""
        plain = (self.features[: self.n_frames], self.targets[: self.n_frames])
        fitted = given or (Standardiser.fit(plain[0]), Standardiser.fit(plain[1]))
        self.feature_standardiser, self.target_standardiser = fitted
        for rows, fitted in ((self.features, self.feature_standardiser), (self.targets, self.target_standardiser)):
            rows.sub_(fitted.mean).div_(fitted.std)

    @property
    def nbytes(self) -> int:
        """Memory of the rows."""
        return self.features.nbytes + self.targets.nbytes

    def to(self, device: torch.device | str) -> FrameTable:
        """The table with its rows on `device`, where its batches are then made; centres stay where they are drawn."""
        moved = copy.copy(self)
        for name in ("features", "targets", "first", "last", "offsets"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def gather(self, centres: Tensor, flipped: Tensor) -> dict[str, Tensor]:
        """Windows around rows `centres` (B,), mirrored where `flipped` (B,) bool is true.

        -> {"features": (B, T, F), "targets": (B, O)}, standardised, on the table's device.
        """
        device = self.features.device
        centres, flipped = centres.to(device), flipped.to(device)
        rows = centres.int()[:, None] + self.offsets
        rows = rows.clamp(self.first[centres][:, None], self.last[centres][:, None])
        half = flipped.int() * self.n_frames
        windows = self.features.index_select(0, (rows + half[:, None]).flatten())
        return {
            "features": windows.view(*rows.shape, self.kind.n_features),
            "targets": self.targets.index_select(0, centres.int() + half),
        }

    def __len__(self) -> int:
        return len(self.centres)

    def __getitem__(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return self.gather(*batch)


class EpochSampler(DistributedSampler):
    """Batches of an epoch: tensors (centres (B,), flipped (B,) bool) in an order that depends on seed and epoch only.

    Whole batches only; every rank gets its own part of each global batch of world_size * batch_size windows. Being a
    DistributedSampler tells Lightning to call `set_epoch` and not to split the batches again. windows: at most so many
    in an epoch, drawn again each time; None: all. accumulate: batches that one step of the optimiser takes; only
    whole steps are in an epoch.

    Raises ConfigError if there are fewer windows than one step takes.
    """

    def __init__(
        self,
        table: FrameTable,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        windows: int | None = None,
        accumulate: int = 1,
    ):
        super().__init__(table, num_replicas=world_size, rank=rank, seed=seed, drop_last=True)
        self.centres, self.flip = table.centres, table.flip
        self.batch_size, self.accumulate, self.windows = batch_size, accumulate, len(self.centres)
        if windows is not None:
            self.windows = min(windows, self.windows)
        if len(self) == 0:
            raise ConfigError(
                f"data.batch_size={batch_size * world_size * accumulate}: an epoch has only {self.windows} frames with "
                "a valid detection; use a smaller batch_size or more data"
            )

    def __len__(self) -> int:
        return self.windows // (self.batch_size * self.num_replicas * self.accumulate) * self.accumulate

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator()
        generator.manual_seed(int(np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)[0]))
        order = self.centres[torch.randperm(len(self.centres), generator=generator)]
        flipped = torch.rand(len(order), generator=generator) < (0.5 if self.flip else 0.0)
        shape = (len(self), self.num_replicas, self.batch_size)
        own = (values[: prod(shape)].view(shape)[:, self.rank] for values in (order, flipped))
        yield from zip(*own, strict=True)


def training_loader(table: FrameTable, sampler: EpochSampler) -> DataLoader:
    """Plain DataLoader over whole batches. Its own generator keeps it from drawing on the global random state."""
    return DataLoader(table, sampler=sampler, batch_size=None, generator=torch.Generator())


def _depth_scales(sequences: list[PoseSequence], seed: int) -> list[tuple[PoseSequence, float]]:
    """Each sequence with the scale of its copy at another distance (docs/method.md §4)."""
    generator = torch.Generator().manual_seed(seed)
    scaled = []
    for sequence in sequences:
        poses_3d = _trainable(sequence)[1][sequence.annotated]
        if len(poses_3d):
            scaled.append((sequence, draw_depth_scale(poses_3d, generator)))
    return scaled


def _trainable(sequence: PoseSequence) -> tuple[Tensor, Tensor]:
    """(keypoints_2d, poses_3d) of a sequence that the lifter can be trained on, or an error naming it."""
    same_joint_set(f"{sequence.name}: detections", sequence.joints_2d, COCO_19)
    same_joint_set(f"{sequence.name}: annotations", sequence.joints_3d, MUPOTS_17)
    if sequence.camera is None or sequence.poses_3d is None:
        missing = "camera" if sequence.camera is None else "3D annotation"
        raise DataError(f"{sequence.name}: has no {missing}; training needs detections, 3D poses and a camera")
    learnt = torch.where(sequence.annotated[:, None, None], sequence.poses_3d, 0.0)
    for what, values, remedy in (
        ("detections", sequence.keypoints_2d, "mark the frame as undetected, with zeros for its places and scores"),
        ("scores", sequence.confidence, "a joint that was not found has score 0"),
        ("annotated poses", learnt, "mark the frame as not annotated or leave it out"),
    ):
        bad = ~values.isfinite().flatten(1).all(1)
        if bool(bad.any()):
            raise DataError(
                f"{sequence.name}: {what} of {int(bad.sum())} frames hold NaN or infinite values, the first is frame "
                f"{int(bad.nonzero()[0])}; {remedy}"
            )
    return sequence.keypoints_2d, sequence.poses_3d
