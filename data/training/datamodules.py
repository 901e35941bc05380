"""LightningDataModules: what a lifter is trained on (`data=` in the configuration) and validated with.

Constructor arguments are the keys of `conf/data/*.yaml`. Training batches are {"features": (B, T, F),
"targets": (B, O)}, standardised; a validation batch is the list of whole sequences of the MPI-INF-3DHP test set.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from data.mocap.sets import mocap_folder, mocap_training
from data.sets.mpi_inf_3dhp import MpiInf3dhpTest, MpiInf3dhpTrain
from data.sets.muco_temp import MuCoTemp
from data.sets.reader import Reader, read_sequences
from data.synthetic.generate import ensure_synthetic
from data.synthetic.settings import SyntheticSettings, synthetic_fingerprint
from data.training.windows import EpochSampler, FrameTable, training_loader, window_offsets
from pose.coordinates import Coordinates, check_coordinates
from pose.errors import ConfigError, check_number
from pose.features import Features, Standardiser
from pose.metrics.mpi_inf_3dhp import scored_sequences
from pose.sequence import PoseSequence

MPI_FOLDER = "Mpi3DHP"
MUCO_FOLDER = "MucoTemp"
_FINGERPRINT_BYTES = 65536


class LifterDataModule(pl.LightningDataModule, ABC):
    """Base of the training sets; a subclass says which readers make one up.

    root: the folder that holds Mpi3DHP/ and MucoTemp/.
    coordinates: "normal" or "universal".
    receptive_field, causal: of the network that is trained; None until it is known, needed by `setup`.
    batch_size: windows per batch and device.
    seed: of order, flips and depth augmentation.
    augment_depth: double the set by copies at other distances; flip: mirror each window with probability 0.5.
    undetected: learn frames without a detection too, where a frame of their window has one.
    windows_per_epoch: at most so many windows in an epoch, drawn again each time; None: every one.
    features: what features and targets are; None: the published ones. standardisers: of both, those of a lifter that
    is trained on; None: fitted to this set.

    Raises ConfigError for values outside these.
    """

    train_name: ClassVar[str]

    def __init__(
        self,
        root: str | Path,
        coordinates: Coordinates = "normal",
        receptive_field: int | None = None,
        causal: bool = False,
        batch_size: int = 1024,
        seed: int = 0,
        augment_depth: bool = True,
        flip: bool = True,
        undetected: bool = False,
        windows_per_epoch: int | None = None,
        features: Features | None = None,
        standardisers: tuple[Standardiser, Standardiser] | None = None,
    ):
        super().__init__()
        check_number("batch_size", batch_size, 1, whole=True)
        check_number("seed", seed, 0, whole=True)
        if windows_per_epoch is not None:
            check_number("windows_per_epoch", windows_per_epoch, 1, whole=True)
        if receptive_field is not None:
            window_offsets(receptive_field, causal)
        self.root, self.coordinates = Path(root), check_coordinates(coordinates)
        self.receptive_field, self.causal = receptive_field, causal
        self.batch_size, self.seed = batch_size, seed
        self.augment_depth, self.flip, self.undetected = augment_depth, flip, undetected
        self.windows_per_epoch, self.features, self.standardisers = windows_per_epoch, features, standardisers
        self._table: FrameTable | None = None
        self._fps: float | None = None
        self._validation: list[PoseSequence] | None = None

    @abstractmethod
    def train_readers(self) -> list[Reader]:
        """Readers of the training sequences, in order."""

    def validation_reader(self) -> Reader:
        """Reader of the validation sequences."""
        return MpiInf3dhpTest(self.root / MPI_FOLDER)

    def fingerprint(self) -> str:
        """Hash of the training files: for each its name relative to `root`, size, first and last 64 kB; no dates."""
        digest = hashlib.sha256(self.train_name.encode())
        readers = self.train_readers()
        for reader in readers:
            reader.check_files()
        for path in sorted({path for reader in readers for path in reader.files()}):
            size = path.stat().st_size
            digest.update(f"\n{path.relative_to(self.root).as_posix()} {size} ".encode())
            with path.open("rb") as file:
                digest.update(file.read(_FINGERPRINT_BYTES))
                file.seek(max(size - _FINGERPRINT_BYTES, 0), os.SEEK_SET)
                digest.update(file.read())
        return digest.hexdigest()

    def setup(self, stage: str | None = None) -> None:
        """Read the files and build the table, once.

        DataError naming what is missing or damaged, and where no validation sequence could be scored.
        """
        if stage in (None, "fit") and self._table is None:
            self._table = self._read_training_set()
        if stage in (None, "fit", "validate") and self._validation is None:
            self._validation = scored_sequences(read_sequences(self.validation_reader(), self.coordinates))

    def _read_training_set(self) -> FrameTable:
        if self.receptive_field is None:
            raise ConfigError("receptive_field=null: must be that of the network before the training set is read")
        readers = self.train_readers()
        sequences = [s for reader in readers for s in reader.sequences(self.coordinates)]
        rates = Counter(sequence.fps for sequence in sequences for _ in range(len(sequence)))
        self._fps = rates.most_common(1)[0][0] if rates else None
        return FrameTable(
            sequences, self.receptive_field, self.causal, self.augment_depth, self.flip, self.seed, self.undetected,
            self.features, self.standardisers,
        )  # fmt: skip

    @property
    def table(self) -> FrameTable:
        """The training frames; ConfigError before `setup`."""
        if self._table is None:
            raise ConfigError(f"data={self.train_name}: call setup('fit') before using the training set")
        return self._table

    @property
    def fps(self) -> float | None:
        """Rate of the training material in frames per second: in a mixed set, that of most frames."""
        return self._fps

    @property
    def validation_sequences(self) -> list[PoseSequence]:
        """The validation set, sequences that cannot be scored left out; ConfigError before `setup`."""
        if self._validation is None:
            raise ConfigError(f"data={self.train_name}: call setup('validate') before using the validation set")
        return self._validation

    def train_dataloader(self) -> DataLoader:
        """Batches of the trainer's process; without a trainer all of them, on the CPU.

        They are made on the trainer's device if that is CUDA and the table takes at most half of its free memory.
        """
        device, rank, world_size, accumulate = torch.device("cpu"), 0, 1, 1
        if self.trainer is not None:
            device, rank = self.trainer.strategy.root_device, self.trainer.global_rank
            world_size, accumulate = self.trainer.world_size, self.trainer.accumulate_grad_batches
        if device.type == "cuda" and self.table.nbytes <= torch.cuda.mem_get_info(device)[0] / 2:
            self._table = self.table.to(device)
        sampler = EpochSampler(
            self.table, self.batch_size, self.seed, rank, world_size, self.windows_per_epoch, accumulate
        )
        return training_loader(self.table, sampler)

    def val_dataloader(self) -> DataLoader:
        """One batch, the list of all validation sequences."""
        whole: Any = [self.validation_sequences]
        return DataLoader(whole, batch_size=None, collate_fn=_unchanged, generator=torch.Generator())


class MpiInf3dhpDataModule(LifterDataModule):
    """MPI-INF-3DHP, single people in a studio."""

    train_name = MpiInf3dhpTrain.name

    def train_readers(self) -> list[Reader]:
        return [MpiInf3dhpTrain(self.root / MPI_FOLDER)]


class MuCoTempDataModule(LifterDataModule):
    """MuCo-Temp, two to four people who occlude each other."""

    train_name = MuCoTemp.name

    def train_readers(self) -> list[Reader]:
        return [MuCoTemp(self.root / MUCO_FOLDER, self.root / MPI_FOLDER)]


class BothDataModule(LifterDataModule):
    """MPI-INF-3DHP and MuCo-Temp, what the published lifter is trained on."""

    train_name = f"{MpiInf3dhpTrain.name}+{MuCoTemp.name}"

    def train_readers(self) -> list[Reader]:
        return [MpiInf3dhpTrain(self.root / MPI_FOLDER), MuCoTemp(self.root / MUCO_FOLDER, self.root / MPI_FOLDER)]


class SyntheticDataModule(LifterDataModule):
    """Synthetic data in place of MPI-INF-3DHP and MuCo-Temp, generated into `folder` when it is first needed.

    settings: what is generated. parts: mpi_inf_3dhp, muco_temp or both: which of the two to train on. root: where real
    data sets are; not used, accepted because every set is built with it. Further arguments are those of
    LifterDataModule.
    """

    train_name = "synthetic"

    def __init__(
        self,
        folder: str | Path | None,
        settings: SyntheticSettings,
        parts: str = "both",
        root: str | Path | None = None,
        **options: Any,
    ):
        super().__init__(root="." if root is None else root, **options)
        if parts not in (allowed := ("mpi_inf_3dhp", "muco_temp", "both")):
            raise ConfigError(f"data.parts={parts}: must be one of {', '.join(allowed)}")
        self.folder, self.settings, self.parts = folder, settings, parts

    def train_readers(self) -> list[Reader]:
        folder = ensure_synthetic(self.folder, self.settings)
        mpi, videos = folder / MPI_FOLDER, range(self.settings.muco_videos)
        readers = [MpiInf3dhpTrain(mpi), MuCoTemp(folder / MUCO_FOLDER, mpi, videos=videos)]
        return [reader for reader in readers if self.parts in (reader.name, "both")]

    def validation_reader(self) -> Reader:
        return MpiInf3dhpTest(ensure_synthetic(self.folder, self.settings) / MPI_FOLDER)

    def fingerprint(self) -> str:
        """Hash of the settings and of the generator's version."""
        return synthetic_fingerprint(self.settings)


class MocapDataModule(LifterDataModule):
    """Motion capture prepared by `experiment=prepare prepare=mocap`: scenes of one to four people."""

    train_name = "mocap"

    def __init__(self, root: str | Path, **options: Any):
        super().__init__(root=mocap_folder(root), **options)

    def train_readers(self) -> list[Reader]:
        return [mocap_training(self.root)]


def _unchanged(batch: Any) -> Any:
    return batch
