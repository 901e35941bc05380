"""A second read: equal to a fresh one, and never out of an entry that is stale, damaged or foreign."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import reading
from data.sets import cache
from data.sets.cache import read_sequences
from data.sets.mpi_inf_3dhp import MpiInf3dhpTest
from data.sets.reader import Reader
from data.synthetic.generate import ensure_synthetic
from data.synthetic.settings import SyntheticSettings
from pose.errors import ConfigError, DataError
from pose.sequence import PoseSequence


def aged(reader: Reader) -> Reader:
    """What was written this very moment is not trusted; make it older."""
    for path in reader.files():
        os.utime(path, (1e9, 1e9))
    return reader


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return aged(reading.FORMATS["mpi_inf_3dhp_test"](tmp_path / "set", 0.002)[0])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The coordinates of every read of the files themselves."""
    found, genuine = [], MpiInf3dhpTest.sequences
    monkeypatch.setattr(MpiInf3dhpTest, "sequences", lambda self, v: found.append(v) or genuine(self, v))
    return found


def assert_equal(found: list[PoseSequence], expected: list[PoseSequence]) -> None:
    """Bit by bit, types included."""
    for ours, theirs in zip(found, expected, strict=True):
        for key, value in vars(theirs).items():
            other = vars(ours)[key]
            assert type(other) is type(value), key
            if isinstance(value, Tensor):
                assert (other.dtype, other.shape) == (value.dtype, value.shape), key
                assert other.numpy().tobytes() == value.numpy().tobytes(), key
            else:
                assert other == value, key


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "read").iterdir())


@pytest.mark.parametrize("name", reading.FORMATS)
def test_every_reader_s_second_read_equals_its_first(name: str, tmp_path: Path, monkeypatch) -> None:
    reader = aged(reading.FORMATS[name](tmp_path / "set", 0.001)[0])
    fresh = {coordinates: reader.sequences(coordinates) for coordinates in ("normal", "universal")}
    for coordinates in fresh:
        assert_equal(read_sequences(reader, coordinates, tmp_path), fresh[coordinates])
    monkeypatch.setattr(type(reader), "sequences", lambda *_: pytest.fail("the files are read again"))
    for coordinates in fresh:
        found = read_sequences(reader, coordinates, tmp_path)
        assert_equal(found, fresh[coordinates])
        found[0].keypoints_2d.add_(1)  # memory of its own, not the entry's
        assert_equal(read_sequences(reader, coordinates, tmp_path), fresh[coordinates])


def test_no_folder_no_cache(reader: Reader, reads: list[str], tmp_path: Path) -> None:
    read_sequences(reader, "normal", None)
    read_sequences(reader, "normal", None)
    assert reads == ["normal", "normal"]


def test_dates_are_compared_with_when_the_read_began(reader: Reader, reads, tmp_path: Path, monkeypatch) -> None:
    """A file may have been changed again in the same tick of coarse dates, however long the read took."""
    times = iter([1_000_000_001 * 10**9])
    monkeypatch.setattr("data.sets.cache.time.time_ns", lambda: next(times, 1_000_000_100 * 10**9))
    read_sequences(reader, "normal", tmp_path)
    assert reads == ["normal"]
    assert not list(tmp_path.rglob("*.safetensors"))


def _touch(path: Path) -> None:
    os.utime(path, (2e9 - 1e9 + 1, 1e9 + 1))


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, (1e9, 1e9))


def _rewrite_with_the_old_date(path: Path) -> None:
    time.sleep(0.05)  # the date of status is as fine as the kernel's clock
    path.write_bytes(path.read_bytes())
    os.utime(path, (1e9, 1e9))


def _replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, (1e9, 1e9))
    copy.replace(path)


@pytest.mark.parametrize("change", [_touch, _grow, _rewrite_with_the_old_date, _replace])
def test_a_changed_file_is_read_again(reader: Reader, reads, tmp_path: Path, change: Callable) -> None:
    read_sequences(reader, "normal", tmp_path)
    change(reader.root / "mpi_inf_3dhp_test_set" / "TS3" / "hrnet.pkl")
    read_sequences(reader, "normal", tmp_path)
    read_sequences(reader, "normal", tmp_path)
    assert reads == ["normal", "normal"]
    assert len(entries(tmp_path)) == 1  # the stale one is replaced


def test_other_arguments_variants_and_folders_have_entries_of_their_own(reader, reads, tmp_path: Path) -> None:
    assert len(read_sequences(reader, "normal", tmp_path)) == 6
    assert read_sequences(reader, "universal", tmp_path)[0].coordinates == "universal"
    assert len(read_sequences(MpiInf3dhpTest(reader.root, numbers=[2, 5]), "normal", tmp_path)) == 2
    link = tmp_path / "link"
    link.symlink_to(reader.root)
    assert len(read_sequences(MpiInf3dhpTest(link), "normal", tmp_path)) == 6
    assert len(entries(tmp_path)) == 3  # the link leads to a folder that is known
    with pytest.raises(ConfigError, match="metric"):
        read_sequences(reader, "metric", tmp_path)


def test_other_code_reads_again(reader: Reader, reads, tmp_path: Path, monkeypatch) -> None:
    read_sequences(reader, "normal", tmp_path)
    monkeypatch.setattr(cache, "_code", lambda: "another")
    read_sequences(reader, "normal", tmp_path)
    assert len(reads) == 2


def test_files_that_are_still_written_are_not_kept(reader: Reader, reads, tmp_path: Path, monkeypatch) -> None:
    path = reader.files()[0]
    path.touch()
    read_sequences(reader, "normal", tmp_path)
    assert not (tmp_path / "read").exists()
    aged(reader)
    genuine = type(reader).sequences

    def meanwhile(self, coordinates):
        found = genuine(self, coordinates)
        _touch(path)
        return found

    monkeypatch.setattr(type(reader), "sequences", meanwhile)
    read_sequences(reader, "normal", tmp_path)
    assert not (tmp_path / "read").exists()


def test_a_missing_file_is_an_error_even_with_an_entry(reader: Reader, tmp_path: Path) -> None:
    read_sequences(reader, "normal", tmp_path)
    reader.files()[0].unlink()
    with pytest.raises(DataError, match="1 of 12 files are missing"):
        read_sequences(reader, "normal", tmp_path)


def _flip(at: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return flip


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit of the header": _flip(0.0),
    "a bit of the description": _flip(0.05),
    "a bit of an array": _flip(0.6),
    "the last bit": _flip(1.0),
    "cut in two": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("something else"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_told_and_replaced(reader: Reader, reads, tmp_path: Path, caplog, damage: str) -> None:
    fresh = read_sequences(reader, "normal", tmp_path)
    (entry,) = entries(tmp_path)
    DAMAGE[damage](entry)
    with caplog.at_level(logging.INFO):
        assert_equal(read_sequences(reader, "normal", tmp_path), fresh)
    lines = [record.getMessage() for record in caplog.records]
    assert any(str(entry) in line and "reading the files again" in line for line in lines)
    assert all("\n" not in line for line in lines)
    if damage != "a folder":
        assert len(lines) == 1
        assert_equal(read_sequences(reader, "normal", tmp_path), fresh)
        assert len(reads) == 2


def test_a_foreign_entry_is_not_trusted(reader: Reader, reads, tmp_path: Path) -> None:
    normal = read_sequences(reader, "normal", tmp_path)
    (ours,) = entries(tmp_path)
    content = ours.read_bytes()
    read_sequences(reader, "universal", tmp_path)
    (other,) = set(entries(tmp_path)) - {ours}
    other.write_bytes(content)
    assert read_sequences(reader, "universal", tmp_path)[0].coordinates == "universal"
    assert_equal(read_sequences(reader, "normal", tmp_path), normal)
    assert reads == ["normal", "universal", "universal"]


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), OSError(28, "No space left on device")])
def test_where_nothing_can_be_written_the_run_is_told_once(reader, reads, tmp_path, monkeypatch, caplog, error) -> None:
    def refuse(*_):
        raise error

    monkeypatch.setattr(cache, "save_file", refuse)
    for coordinates in ("normal", "normal", "universal"):
        assert len(read_sequences(reader, coordinates, tmp_path)) == 6
    assert len(reads) == 3
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and "cannot be kept" in warnings[0] and "\n" not in warnings[0]
    assert not [path for path in (tmp_path / "read").iterdir()]  # nothing half written


def test_a_file_in_the_folder_s_place(reader: Reader, tmp_path: Path, caplog) -> None:
    (tmp_path / "read").write_text("")
    assert len(read_sequences(reader, "normal", tmp_path)) == 6
    assert "cannot be kept" in caplog.text


def test_many_at_once(reader: Reader, tmp_path: Path) -> None:
    fresh, found, errors = reader.sequences("normal"), [], []

    def work() -> None:
        try:
            for _ in range(3):
                found.append(read_sequences(reader, "normal", tmp_path))
                for entry in entries(tmp_path):
                    if not entry.name.startswith("."):
                        entry.unlink(missing_ok=True)  # so that all of them read, write and replace
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(found) == 12
    for sequences in found:
        assert_equal(sequences, fresh)


def test_the_folder_is_bounded(reader: Reader, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "read").mkdir()
    left = tmp_path / "read" / ".unfinished.safetensors"
    left.write_bytes(bytes(1000))
    os.utime(left, (1, 1))
    read_sequences(reader, "normal", tmp_path)
    assert left in entries(tmp_path)
    (normal,) = set(entries(tmp_path)) - {left}
    os.utime(normal, (2, 2))
    monkeypatch.setattr(cache, "LARGEST_FOLDER", int(1.5 * normal.stat().st_size))
    read_sequences(reader, "universal", tmp_path)
    assert len(entries(tmp_path)) == 1 and normal not in entries(tmp_path)


def test_an_entry_has_the_usual_permissions(reader: Reader, tmp_path: Path) -> None:
    read_sequences(reader, "normal", tmp_path)
    (tmp_path / "plain").touch()
    assert entries(tmp_path)[0].stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_reading_the_same_files_gives_the_same_bits(tmp_path: Path) -> None:
    """The cameras of MuPoTS-3D are fitted, by a method that does not depend on where in memory its input lies."""
    reader = reading.FORMATS["mupots_3d"](tmp_path, 0.05)[0]
    first = reader.sequences("normal")
    keep = []
    for i in range(4):
        keep.append(torch.empty(17 * i + 1))
        assert_equal(reader.sequences("normal"), first)


def test_the_stand_in_needs_the_folder() -> None:
    with pytest.raises(ConfigError, match=r"paths\.cache=null"):
        ensure_synthetic(None, SyntheticSettings(0, 2, 2, 2, 2))
