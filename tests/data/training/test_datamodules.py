"""Training sets of lifters: counts and statistics of the reference sets, batches, fingerprints, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from data.sets.mpi_inf_3dhp import MpiInf3dhpTest, MpiInf3dhpTrain
from data.sets.muco_temp import MuCoTemp
from data.sets.reader import Reader
from data.synthetic.settings import SyntheticSettings
from data.training.datamodules import (
    BothDataModule,
    LifterDataModule,
    MpiInf3dhpDataModule,
    SyntheticDataModule,
)
from pose.coordinates import COORDINATES
from pose.errors import ConfigError, DataError

SETTINGS = SyntheticSettings(seed=0, mpi_frames=8, muco_frames=8, test_frames=6, mupots_frames=2, muco_videos=1)


def assert_agrees(found: Tensor, expected: np.ndarray) -> None:
    """The conformance tolerance: |a - b| <= 1e-4 max(1, |b|)."""
    expected_t = torch.from_numpy(np.asarray(expected, np.float32))
    assert found.shape == expected_t.shape
    assert ((found - expected_t).abs() <= 1e-4 * expected_t.abs().clamp(min=1)).all()


class GoldenDataModule(BothDataModule):
    """What tests/golden holds of both sets: three cameras of a recording and one video."""

    def train_readers(self) -> list[Reader]:
        mpi = self.root / "Mpi3DHP"
        return [
            MpiInf3dhpTrain(mpi, subjects=[1], cameras=range(3)),
            MuCoTemp(self.root / "MucoTemp", mpi, cameras=[1], videos=[4]),
        ]

    def validation_reader(self) -> Reader:
        return MpiInf3dhpTest(self.root / "Mpi3DHP", numbers=[1])


def test_windows_of_the_reference_sets(conformance: Path, monkeypatch) -> None:
    monkeypatch.setattr("data.sets.mpi_inf_3dhp.SEQUENCES", (1,))
    reference = np.load(conformance / "expected" / "training_data.npz")
    module = GoldenDataModule(conformance, receptive_field=27, augment_depth=False)
    module.setup("fit")
    assert (module.table.n_frames, module.fps) == (3 * 12 + 3 * 40, 25.0)
    starts, row = {}, 0
    for reader in module.train_readers():
        for sequence in reader.sequences("normal"):
            starts[sequence.sequence if reader.name == "mpi_inf_3dhp" else sequence.name] = row
            row += len(sequence)
    assert sorted(starts) == reference["sequence_names"].tolist()
    first = torch.tensor([starts[name] for name in reference["window_sequence"].tolist()])
    centres = first + torch.from_numpy(reference["window_position"])
    batch = module.table.gather(centres, torch.zeros(len(centres), dtype=torch.bool))
    assert_agrees(module.table.feature_standardiser.invert(batch["features"]), reference["window_features"])
    assert_agrees(module.table.target_standardiser.invert(batch["targets"]), reference["window_target"])


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_counts_and_statistics_of_the_whole_reference_sets(repo: Path, coordinates) -> None:
    """Means and standard deviations pin down every frame that the readers return; the sets are too large for golden."""
    whole = repo.parent / "shared" / "conformance"
    if not whole.is_dir():
        pytest.skip("needs the whole reference data beside the checkout, in ../shared/conformance")
    reference = np.load(whole / "expected" / "training_data.npz")
    module = BothDataModule(whole, coordinates=coordinates, receptive_field=27, augment_depth=False)
    module.setup("fit")
    assert (module.table.n_frames, module.fps) == (reference["n_mpi"] + reference["n_muco"], 25.0)
    assert len(module.table) == reference["n_valid"]
    assert sum(int((s.annotated & s.detected).sum()) for s in module.validation_sequences) == reference["n_test_scored"]
    for fitted, name in ((module.table.feature_standardiser, "2d"), (module.table.target_standardiser, "3d")):
        assert_agrees(fitted.mean, reference[f"{coordinates}_mean{name}"])
        assert_agrees(fitted.std, reference[f"{coordinates}_std{name}"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def synthetic(cache: Path) -> LifterDataModule:
    module = SyntheticDataModule(cache, SETTINGS, receptive_field=9, batch_size=32, seed=5)
    module.setup("fit")
    return module


def test_synthetic_data_yield_batches(synthetic: LifterDataModule) -> None:
    loader = synthetic.train_dataloader()
    batch = next(iter(loader))
    assert batch["features"].shape == (32, 9, 42) and batch["targets"].shape == (32, 51)
    assert len(loader) == len(synthetic.table) // 32
    assert synthetic.train_name == "synthetic"
    (sequences,) = synthetic.val_dataloader()
    assert [sequence.sequence for sequence in sequences] == [f"TS{n}" for n in range(1, 7)]
    assert sequences == synthetic.validation_sequences


def test_setup_reads_once(synthetic: LifterDataModule) -> None:
    table = synthetic.table
    synthetic.setup("fit")
    assert synthetic.table is table


def test_the_same_arguments_give_the_same_batches(synthetic: LifterDataModule, cache: Path) -> None:
    again = SyntheticDataModule(cache, SETTINGS, receptive_field=9, batch_size=32, seed=5)
    again.setup("fit")
    for one, other in zip(synthetic.train_dataloader(), again.train_dataloader(), strict=True):
        assert torch.equal(one["features"], other["features"]) and torch.equal(one["targets"], other["targets"])


def test_the_fingerprint_of_synthetic_data_is_their_settings(cache: Path) -> None:
    module = SyntheticDataModule(cache, SETTINGS)
    other = SyntheticSettings(**{**vars(SETTINGS), "seed": 1})
    assert module.fingerprint() == SyntheticDataModule(cache / "elsewhere", SETTINGS).fingerprint()
    assert module.fingerprint() != SyntheticDataModule(cache, other).fingerprint()


def real_folder(cache: Path, place: Path) -> Path:
    """A copy of synthetic data as a folder of data sets."""
    (made,) = (folder for folder in cache.iterdir() if folder.name.startswith("synthetic-"))
    return Path(shutil.copytree(made, place, ignore=shutil.ignore_patterns("MuPoTS")))


def test_the_fingerprint_of_files_is_their_content(synthetic, cache: Path, tmp_path: Path) -> None:
    one, two = real_folder(cache, tmp_path / "one"), real_folder(cache, tmp_path / "two")
    fingerprint = MpiInf3dhpDataModule(one).fingerprint()
    changed = two / "Mpi3DHP" / "S1" / "Seq1" / "annot.mat"
    os.utime(changed, (0, 0))
    assert MpiInf3dhpDataModule(two).fingerprint() == fingerprint
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    assert MpiInf3dhpDataModule(two).fingerprint() != fingerprint
    changed.unlink()
    with pytest.raises(DataError, match=r"1 of \d+ files are missing: .*annot\.mat"):
        MpiInf3dhpDataModule(two).fingerprint()
    with pytest.raises(DataError, match=r"files are missing: .*annot\.mat"):
        MpiInf3dhpDataModule(two, receptive_field=9).setup("fit")


def test_the_table_can_be_moved_to_the_training_device(cache: Path) -> None:
    module = SyntheticDataModule(cache, SETTINGS, receptive_field=9, batch_size=32)
    module.setup("fit")
    assert next(iter(module.train_dataloader()))["features"].device == torch.device("cpu")
    meta = module.table.to("meta")
    assert meta.features.is_meta and meta.first.is_meta and not meta.centres.is_meta
    assert not module.table.features.is_meta, "the original stays where it is"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0: must be"),
        ({"batch_size": 1e3}, r"batch_size=1000\.0: must be a whole number"),
        ({"seed": -1}, "seed=-1: must be"),
        ({"coordinates": "metric"}, "coordinates=metric: must be one of normal, universal"),
        ({"receptive_field": 4}, "receptive_field=4: must be"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BothDataModule(tmp_path, **options)


def test_use_before_setup_is_refused(cache: Path) -> None:
    module = SyntheticDataModule(cache, SETTINGS)
    with pytest.raises(ConfigError, match="receptive_field=null"):
        module.setup("fit")
    with pytest.raises(ConfigError, match=r"call setup\('fit'\)"):
        module.train_dataloader()
    with pytest.raises(ConfigError, match=r"call setup\('validate'\)"):
        module.val_dataloader()


def test_a_batch_larger_than_the_set_is_refused(cache: Path) -> None:
    module = SyntheticDataModule(cache, SETTINGS, receptive_field=9, batch_size=1_000_000)
    module.setup("fit")
    with pytest.raises(ConfigError, match=rf"batch_size=1000000: an epoch has only {len(module.table)} frames"):
        module.train_dataloader()
