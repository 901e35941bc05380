"""MATLAB v5 files that may come from anywhere: what they announce is checked before SciPy's reader is given them.

That reader is C code that believes a file: cells inside cells and unknown types of values end the process, announced
sizes take as much memory. The tags of a file say all that is needed to find out (MathWorks, "MAT-File Format", level
5). What passes comes back as an uncompressed file of the asked variables alone, so nothing is unpacked twice.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)
#: Types of the elements that hold an array's values: integers and floats, and for text UTF-8, 16 and 32 too.
_VALUES = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13))
_TEXT = _VALUES | {16, 17, 18}
_TAG = 8  # bytes of the least that an element can be

#: Structs in cells are two; a few more do no harm.
MAX_DEPTH = 8

Element = tuple[int, int, int]  # type, start and end of its content


def plain_variables(content: bytes, keys: Sequence[str] | None, check_size: Callable[[int], None]) -> bytes:
    """The variables `keys` (default all) of a v5 file as a v5 file.

    check_size: called with the bytes of all that is unpacked so far; raises for too many. Raises ValueError for what
    is not in the format, nested deeper than MAX_DEPTH, or announced larger than it is.
    """
    endian = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if endian is None or struct.unpack(endian + "H", content[124:126]) != (0x0100,):
        raise ValueError("no MATLAB v5 header")
    found, total = [content[:_HEADER]], 0
    for kind, start, stop in _elements(content, _HEADER, len(content), endian, padded=False):
        if kind == _COMPRESSED:
            if not _wanted(zlib.decompressobj().decompress(content[start:stop], 4096), keys, endian):
                continue
            variable = _unpacked(content[start:stop], lambda size, done=total: check_size(done + size))
        else:
            variable = content[start - _TAG : stop]
            if not _wanted(variable[:4096], keys, endian):
                continue
        total += len(variable)
        _check(memoryview(variable), endian)
        found.append(variable)
    return b"".join(found)


def _unpacked(content: bytes, check_size: Callable[[int], None]) -> bytes:
    stream, pieces, size = zlib.decompressobj(), [], 0
    while not stream.eof:
        piece = stream.decompress(content if not pieces else stream.unconsumed_tail, 2**24)
        if not piece:
            raise ValueError("a compressed variable breaks off")
        pieces.append(piece)
        size += len(piece)
        check_size(size)
    return b"".join(pieces)


def _elements(view: bytes | memoryview, at: int, end: int, endian: str, padded: bool = True) -> Iterator[Element]:
    """The elements between `at` and `end`. padded: to whole words of 8 bytes, as all but the outermost are."""
    while at < end:
        if end - at < _TAG:
            raise ValueError("a tag breaks off")
        kind, size = struct.unpack_from(endian + "II", view, at)
        if kind >> 16:  # the short form: four bytes of content in the tag itself
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            after = at + _TAG
            if size > 4:
                raise ValueError("a short element of more than four bytes")
        else:
            start = at + _TAG
            after = start + size + (-size % 8 if padded else 0)
        if start + size > end:
            raise ValueError(f"an element of {size} bytes where {end - start} are left")
        yield kind, start, start + size
        at = after


def _wanted(start: bytes, keys: Sequence[str] | None, endian: str) -> bool:
    """Whether the variable that begins so is asked for."""
    if len(start) < _TAG or struct.unpack_from(endian + "I", start)[0] != _MATRIX:
        raise ValueError("a variable is expected")
    if keys is None:
        return True
    parts = _elements(start, _TAG, len(start), endian)
    _, _, (_, at, stop) = next(parts), next(parts), next(parts)
    return bytes(start[at:stop]).decode("latin1") in keys


def _check(view: memoryview, endian: str) -> None:
    """ValueError unless everything in a variable is as large as it announces. Not recursive."""
    waiting = [(0, len(view), 1)]
    while waiting:
        at, end, depth = waiting.pop()
        for kind, start, stop in _elements(view, at, end, endian):
            if kind != _MATRIX:
                raise ValueError(f"an array is expected, found an element of type {kind}")
            if start == stop:  # an empty array
                continue
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
            inner = _check_array(view, start, stop, endian)
            if inner is not None:
                waiting.append((inner, stop, depth + 1))


def _check_array(view: memoryview, start: int, stop: int, endian: str) -> int | None:
    """Check the head of an array; where the arrays in it begin, None if it holds none."""
    parts = _elements(view, start, stop, endian)
    try:
        flags, dims, name = next(parts), next(parts), next(parts)
        word = struct.unpack_from(endian + "I", view, flags[1])[0]
        array_class, complex_ = word & 0xFF, bool(word & 0x800)
        if flags[2] - flags[1] < 4 or not 2 <= (dims[2] - dims[1]) // 4 <= 32:
            raise ValueError("the head of an array is damaged")
        shape = struct.unpack_from(f"{endian}{(dims[2] - dims[1]) // 4}i", view, dims[1])
        count, after = math.prod(shape), _after(name)
        if min(shape) < 0:
            raise ValueError(f"an array of shape {shape}")
        if array_class == _CELL:
            least = count * _TAG
        elif array_class == _STRUCT:
            length, names = next(parts), next(parts)
            width = struct.unpack_from(endian + "i", view, length[1])[0]
            if not 0 < width <= 256:
                raise ValueError(f"field names of {width} bytes")
            after = _after(names)
            least = count * max(1, (names[2] - names[1]) // width) * _TAG
        elif array_class == _CHAR or array_class in _NUMBERS:
            least = count
            known = _TEXT if array_class == _CHAR else _VALUES
            kinds = [kind for kind, _, _ in parts]
            if odd := [kind for kind in kinds if kind not in known]:
                raise ValueError(f"values of type {odd[0]}")
            if len(kinds) != 1 + complex_:  # the reader takes what follows, of whatever it is, for the imaginary part
                raise ValueError(f"{len(kinds)} elements of values, {1 + complex_} are expected")
        else:
            raise ValueError(f"an array of class {array_class}, which is not plain data")
    except (StopIteration, struct.error):
        raise ValueError("the head of an array breaks off") from None
    if least > stop - after:
        raise ValueError(f"an array of shape {shape} in {stop - after} bytes")
    return after if array_class in (_CELL, _STRUCT) else None


def _after(element: Element) -> int:
    """Where the next element begins: at the next word of 8 bytes, counted from this one's tag."""
    _, start, stop = element
    size = stop - start
    return stop + -size % 8 if size > 4 or start % 8 == 0 else start + 4
