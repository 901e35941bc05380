"""What all readers share: a set is read once by a process, and the same files give the same bits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import reading
from data.sets.mpi_inf_3dhp import MpiInf3dhpTest
from data.sets.reader import Reader, read_sequences
from data.synthetic.generate import ensure_synthetic
from data.synthetic.settings import SyntheticSettings
from pose.errors import ConfigError, DataError


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return reading.FORMATS["mpi_inf_3dhp_test"](tmp_path / "set", 0.002)[0]


def test_a_set_is_read_once_by_a_process(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, genuine = [], MpiInf3dhpTest.sequences
    monkeypatch.setattr(MpiInf3dhpTest, "sequences", lambda self, v: reads.append(v) or genuine(self, v))
    first = read_sequences(reader, "normal")
    again = read_sequences(MpiInf3dhpTest(reader.root), "normal")
    assert reads == ["normal"] and again is not first
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert read_sequences(reader, "universal")[0].coordinates == "universal"
    assert len(read_sequences(MpiInf3dhpTest(reader.root, numbers=[2, 5]), "normal")) == 2
    path = reader.root / "mpi_inf_3dhp_test_set" / "TS3" / "hrnet.pkl"
    os.utime(path, (1e9, 1e9))
    read_sequences(reader, "normal")
    path.write_bytes(path.read_bytes() + b"\0")
    read_sequences(reader, "normal")
    assert reads == ["normal", "universal", "normal", "normal", "normal"]
    path.unlink()
    with pytest.raises(DataError, match="1 of 12 files are missing"):
        read_sequences(reader, "normal")


def test_reading_the_same_files_gives_the_same_bits(tmp_path: Path) -> None:
    """The cameras of MuPoTS-3D are fitted, by a method that does not depend on where in memory its input lies."""
    reader = reading.FORMATS["mupots_3d"](tmp_path, 0.05)[0]
    first = reader.sequences("normal")
    keep = []
    for i in range(4):
        keep.append(torch.empty(17 * i + 1))
        for ours, theirs in zip(reader.sequences("normal"), first, strict=True):
            for key, value in vars(theirs).items():
                other = vars(ours)[key]
                same = (
                    other.numpy().tobytes() == value.numpy().tobytes() if isinstance(value, Tensor) else other == value
                )
                assert same, key


def test_synthetic_data_need_a_folder() -> None:
    with pytest.raises(ConfigError, match=r"paths\.synthetic=null"):
        ensure_synthetic(None, SyntheticSettings(0, 2, 2, 2, 2))
