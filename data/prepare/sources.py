"""What a user has downloaded: files in folders and in zip archives, found by the names of the official download.

Archives come from the network, so nothing in them is trusted: names that climb out of the folder, links and encrypted
or damaged members are refused, and every member's checksum is compared while it is read.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, overload

from fileio.atomic import cannot_write
from fileio.limits import reading
from pose.errors import ConfigError, DataError, ListedError

_ZIP = "a sound zip archive"
_LARGEST_READ = 2**27  # a picture or a text; videos and annotations are copied in pieces


@dataclass(frozen=True)
class Item:
    """A file that a user has: `path`, or where `member` is given that member of the zip archive `path`."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    def is_at(self, target: Path) -> bool:
        """Whether it already lies at `target`."""
        return not self.member and target.exists() and target.samefile(self.path)


@dataclass(frozen=True)
class NumberedFiles(Sequence[Path]):
    """`count` files of one folder whose names are `pattern.format(number)`, made up as they are asked for.

    A video's frames: a million Path objects would take a gigabyte.
    """

    folder: Path
    pattern: str
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Path]: ...

    def __getitem__(self, index: int | slice) -> Path | Sequence[Path]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.count))]
        if not -self.count <= index < self.count:
            raise IndexError(index)
        return self.folder / self.pattern.format(self.first + index % self.count)


def collect(places: Iterable[Path], pattern: str) -> dict[str, Item]:
    """Files below folders and in zip archives, by the first group of `pattern` in their relative names.

    Places that are not there are passed over; of two files for one name the one in the earlier place is taken.
    Raises DataError for an archive that cannot be used.
    """
    found: dict[str, Item] = {}
    for place in places:
        if place.is_dir():
            items = {_relative(place, folder, name): None for folder, _, names in os.walk(place) for name in names}
        elif place.is_file():
            items = dict.fromkeys(_member_names(place))
        else:
            continue
        for name in sorted(items):
            if match := re.search(pattern, name):
                item = Item(place / name) if place.is_dir() else Item(place, name)
                found.setdefault(match.group(1), item)
    return found


def _relative(place: Path, folder: str, name: str) -> str:
    return (Path(folder) / name).relative_to(place).as_posix()


def _member_names(path: Path) -> list[str]:
    """Names of an archive's files; DataError for names that climb out, links and encrypted members."""
    with reading(path, _ZIP), zipfile.ZipFile(path) as archive:
        names = []
        for info in archive.infolist():
            name = info.filename
            climbs = name.startswith(("/", "\\")) or ":" in name or ".." in PurePosixPath(name.replace("\\", "/")).parts
            if climbs or stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(
                    f"{path}: refused: member {name[:100]!r} leads out of its folder; fetch the archive from its source"
                )
            if info.flag_bits & 1:
                raise DataError(f"{path}: member {name[:100]!r} is encrypted; fetch the archive from its source")
            if info.file_size > max(_LARGEST_READ, 100 * info.compress_size):  # pictures and videos are packed already
                raise DataError(
                    f"{path}: refused: member {name[:100]!r} unpacks to {info.file_size / 2**20:.0f} MiB, more than "
                    "100 times its size; fetch the archive from its source"
                )
            if not info.is_dir():
                names.append(name)
        return names


def contents(items: Iterable[Item]) -> Iterator[tuple[Item, bytes]]:
    """Each item with its bytes, checksums compared. For small files: archives stay open from one item to the next."""
    archive: zipfile.ZipFile | None = None
    try:
        for item in items:
            with reading(item.path, _ZIP if item.member else "a file"):
                if not item.member:
                    content = item.path.read_bytes()
                else:
                    if archive is None or archive.filename != str(item.path):
                        archive = zipfile.ZipFile(item.path)
                    if archive.getinfo(item.member).file_size > _LARGEST_READ:
                        raise DataError(f"{item}: larger than {_LARGEST_READ >> 20} MB; fetch the archive again")
                    content = archive.read(item.member)
            yield item, content
    finally:
        if archive is not None:
            archive.close()


def copy_checked(items: Sequence[Item], targets: Sequence[Path], check: Callable[[list[Path]], object]) -> None:
    """Bring files to `targets` once `check`, called with their paths so far, raises no DataError.

    Nothing is copied where they already lie there. Messages of `check` are brought to name the files of the download.
    """
    places = [t if i.is_at(t) else t.with_name(f".{t.name}") for i, t in zip(items, targets, strict=True)]
    try:
        for item, target, place in zip(items, targets, places, strict=True):
            if place != target:
                _copy_bytes(item, place)
        check(places)
        for target, place in zip(targets, places, strict=True):
            if place != target:
                with open(place, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(place, target)
    except DataError as error:
        text = str(error)
        for item, place in zip(items, places, strict=True):
            text = text.replace(str(place), str(item))
        raise DataError(text) from error
    finally:
        for target, place in zip(targets, places, strict=True):
            if place != target:
                place.unlink(missing_ok=True)


def _copy_bytes(item: Item, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            if item.member:
                with reading(item.path, _ZIP), zipfile.ZipFile(item.path) as archive, archive.open(item.member) as file:
                    _copy_pieces(file, out)
            else:
                with reading(item.path, "a file"), open(item.path, "rb") as file:
                    _copy_pieces(file, out)
    except OSError as error:
        raise cannot_write(target, error) from error


def _copy_pieces(file: IO[bytes], out: IO[bytes]) -> None:
    while piece := file.read(2**20):
        try:
            out.write(piece)
        except OSError as error:  # of the disk written to, not of the archive
            raise cannot_write(out.name, error) from error


@contextmanager
def on_disk(item: Item, temporary: Path) -> Iterator[Path]:
    """A path that decoders can open: the file itself, or the member unpacked to `temporary` for as long as needed.

    temporary: always the same for the same purpose, so that what a killed program leaves is overwritten by the next.
    """
    if not item.member:
        yield item.path
        return
    try:
        _copy_bytes(item, temporary)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


class Shortfalls:
    """What a download lacks, said all at once: `add` each, then `check`."""

    def __init__(self, name: str, source: Path, origin: str) -> None:
        self._name, self._source, self._origin = name, source, origin
        self._missing: dict[tuple[str, str], list[str]] = {}
        self._damaged: list[str] = []

    def add(self, folder: str, file: str, part: str) -> None:
        """A missing file of `folder` below the source; part: which piece of the download holds it."""
        self._missing.setdefault((folder, part), []).append(file)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """A DataError inside goes onto the list too."""
        try:
            yield
        except DataError as error:
            self._damaged.append(str(error))

    def check(self) -> None:
        """DataError listing everything, and where it comes from."""
        if not self._missing and not self._damaged:
            return
        count = sum(map(len, self._missing.values()))
        lines = [f"{self._name}: {count} files are missing and {len(self._damaged)} damaged in {self._source}"]
        lines += [f"  {folder}: {_ranges(files)} ({part})" for (folder, part), files in self._missing.items()]
        lines += [f"  {text}" for text in self._damaged]
        lines.append(f"  from: {self._origin}")
        raise ListedError(lines)


def _ranges(files: list[str]) -> str:
    return ", ".join(files) if len(files) <= 14 else f"{', '.join(files[:3])} ... {files[-1]}, {len(files)} files"


def source_folder(source: Path | str | None, name: str) -> Path:
    """`source`, the folder with the downloads of `name`. ConfigError or DataError if there is none."""
    if source is None:
        raise ConfigError(f"prepare.source: not given; name the folder with the download of {name} (docs/datasets.md)")
    if not Path(source).is_dir():
        raise DataError(f"prepare.source={source}: no such folder; name the one with the download of {name}")
    return Path(source).absolute()  # the manifest knows files by it, wherever the command is given
