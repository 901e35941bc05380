"""Damage: to the bytes of a file, and to a tree of the values in it. Everything is drawn from one generator."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator

# --- bytes -----------------------------------------------------------------------------------------------------------

_WORDS = [b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80", b"\n", b"[[", b'"']


def damage_bytes(content: bytes, rng: Random) -> bytes:
    """One change: cut, flipped bits, bytes put in, taken out or doubled, another number, a piece put elsewhere."""
    if not content:
        return bytes(rng.integers(0, 256, 8, dtype=np.uint8))
    at, other = (int(i) for i in rng.integers(0, len(content), 2))
    length = int(min(len(content), 2 ** rng.uniform(0, 8)))
    kind = rng.integers(0, 9)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + content[at + length :]
    if kind == 2:
        return content[:at] + bytes(rng.integers(0, 256, length, dtype=np.uint8)) + content[at:]
    if kind == 3:
        return content[:at] + content[other : other + length] + content[at:]
    if kind == 4:
        return content[:at] + content[at : at + length] * int(rng.integers(2, 20)) + content[at + length :]
    changed = bytearray(content)
    if kind == 5:
        for place in rng.integers(0, len(content), int(rng.integers(1, 16))):
            changed[place] ^= 1 << int(rng.integers(0, 8))
    elif kind == 6:
        changed[at] ^= 1 << int(rng.integers(0, 8))
    elif kind == 7:
        changed[at] = int(rng.integers(0, 256))
    else:
        word = _WORDS[rng.integers(0, len(_WORDS))]
        changed[at : at + len(word)] = word
    return bytes(changed)


# --- trees -----------------------------------------------------------------------------------------------------------

Place = tuple[Any, Any]  # a container, and the key or index in it


def _deep(levels: int, inner: Any = 0) -> Any:
    value = inner
    for _ in range(levels):
        value = [value]
    return value


def _shared(levels: int) -> Any:
    """Lists of one list: small in memory, 10 ** levels numbers when written out."""
    value: Any = [0.0] * 10
    for _ in range(levels - 1):
        value = [value] * 10
    return value


#: What takes the place of a value. Functions, so that nothing is shared between cases.
_STRANGE: list[Callable[[Random], Any]] = [
    lambda rng: None,
    lambda rng: True,
    lambda rng: 0,
    lambda rng: -1,
    lambda rng: int(rng.integers(-(2**62), 2**62)),
    lambda rng: 10**400,
    lambda rng: 2**31,
    lambda rng: 2**63,
    lambda rng: 1e308,
    lambda rng: 1e-308,
    lambda rng: float("nan"),
    lambda rng: float("inf"),
    lambda rng: -float("inf"),
    lambda rng: float(rng.normal(0, 1000)),
    lambda rng: "",
    lambda rng: "x",
    lambda rng: "two\nlines\r\x1b[31m",
    lambda rng: "\u202e\u2028é漢😀",
    lambda rng: "\ud800",
    lambda rng: "../../etc/passwd",
    lambda rng: "9" * 5000,
    lambda rng: "a" * 20000,
    lambda rng: [],
    lambda rng: {},
    lambda rng: [[]],
    lambda rng: {"": {}},
    lambda rng: _deep(int(rng.integers(2, 400))),
    lambda rng: [1, [2, 3]],
    lambda rng: ["a", 1, None],
    lambda rng: b"bytes\xff",
    lambda rng: 1 + 2j,
    lambda rng: np.zeros(0),
    lambda rng: np.zeros((0, 17, 3)),
    lambda rng: np.zeros((3, 0)),
    lambda rng: np.zeros((1,) * 20),
    lambda rng: np.array(["a", "b"]),
    lambda rng: np.array([1 + 2j]),
    lambda rng: np.array([None, "a", 3], dtype=object),
    lambda rng: np.array(3),
    lambda rng: np.array([2**63 - 1, -(2**63)]),
    lambda rng: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    lambda rng: np.array(["2020-01-01"], dtype="M8[D]"),
    lambda rng: _shared(3),
]


def _places(value: Any, limit: int = 2000) -> list[Place]:
    """Every place of a tree that can be changed, the outermost first."""
    found: list[Place] = []
    queue = [value]
    for container in queue:
        if len(found) >= limit:
            break
        if isinstance(container, dict):
            own: list[Place] = [(container, key) for key in container]
        elif isinstance(container, list):
            own = [(container, index) for index in range(min(len(container), 200))]
        elif isinstance(container, np.ndarray) and container.dtype == object:
            own = [(container, index) for index in list(np.ndindex(container.shape))[:200]]
        elif isinstance(container, np.ndarray) and container.dtype.hasobject and container.dtype.names:
            own = [
                (container[name], i) for name in container.dtype.names for i in list(np.ndindex(container.shape))[:50]
            ]
        else:
            continue
        found += own
        queue += [holder[key] for holder, key in own]
    return found


def damage_tree(value: Any, rng: Random, shared: bool = False) -> Any:
    """A copy of `value` with one change somewhere in it. shared: its format writes a list that is shared once."""
    root = [copy.deepcopy(value)]
    places = [(root, 0), *_places(root[0])]
    # Half of the time near the root, where most is decided.
    last = len(places) if rng.random() < 0.5 else min(len(places), 12)
    container, key = places[int(rng.integers(0, last))]
    old = container[key]
    kind = rng.integers(0, 8)
    if kind == 0 and isinstance(container, dict):
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[str(_strange(rng))[:50] if rng.random() < 0.5 else f"{key}2"] = container.pop(key)
    elif kind == 2 and isinstance(container, list) and container is not root:
        if rng.random() < 0.5:
            del container[key]
        else:
            container[key:key] = [copy.deepcopy(old)] * int(rng.integers(1, 60))
    elif kind == 3:
        other_container, other_key = places[int(rng.integers(0, len(places)))]
        container[key] = copy.deepcopy(other_container[other_key])
    elif isinstance(old, np.ndarray) and kind < 7:
        _put(container, key, damage_array(old, rng))
    elif isinstance(old, int | float) and not isinstance(old, bool) and kind < 6:
        _put(container, key, _number(old, rng))
    elif isinstance(old, dict) and kind == 4:
        old[str(rng.integers(0, 100))] = _strange(rng, shared)
    elif isinstance(old, list) and kind in (4, 5):
        old.insert(int(rng.integers(0, len(old) + 1)), _strange(rng, shared))
    else:
        _put(container, key, _strange(rng, shared))
    return root[0]


def _put(container: Any, key: Any, value: Any) -> None:
    """`container[key] = value`, also an array into an array of objects."""
    if isinstance(container, np.ndarray):
        cell = np.empty((), dtype=object)
        cell[()] = value
        container[key] = cell if not isinstance(value, np.ndarray) else value
    else:
        container[key] = value


def _strange(rng: Random, shared: bool = False) -> Any:
    number = int(rng.integers(0, len(_STRANGE)))
    return _shared(8) if shared and number == len(_STRANGE) - 1 else _STRANGE[number](rng)


def _number(old: float, rng: Random) -> Any:
    changes = [-old, old * 1000, old + 1, old - 1, old * 1e30, old + 0.5, str(old), [old], 0, 10**9, 10**15, 1e-9]
    return changes[int(rng.integers(0, len(changes)))]


def damage_array(array: np.ndarray, rng: Random) -> Any:
    """Another shape, type or content."""
    kind = int(rng.integers(0, 12))
    try:
        if kind == 0:
            types = ("c8", "i8", "u1", "f2", "f4", ">f8", "?", "U3", "S4", object)
            return array.astype(types[int(rng.integers(0, len(types)))])
        if kind == 1:
            return array.T
        if kind == 2:
            return array[None]
        if kind == 3:
            return array.reshape(-1)
        if kind == 4:
            return array[..., : array.shape[-1] // 2]
        if kind == 5:
            return array[: len(array) // 2]
        if kind == 6:
            return array[:0]
        if kind == 7:
            return np.concatenate([array, array])
        if kind == 8:
            return array.tolist()
        changed = array.copy()
        if changed.dtype == object:
            return _strange(rng)
        value = (np.nan, np.inf, -1, 0, 1e30, 1e300, 2**62, 7)[int(rng.integers(0, 8))]
        flat = changed.reshape(-1)
        if kind == 9:
            flat[int(rng.integers(0, flat.size))] = value
        elif kind == 10:
            flat[:] = value
        else:
            flat[rng.random(flat.size) < 0.5] = value
        return changed
    except (ValueError, TypeError, IndexError, OverflowError):  # not every change suits every array
        return _strange(rng)
