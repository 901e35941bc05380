"""The errors that a user can cause. `run.py` prints one of these as a single line and exits with code 2.

Every message says where (file or key), what was found, what was expected and what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: Frame rates that are one: a picture a day is 1.2e-5.
RATES = (1e-5, 1e4)
#: Messages quote what files hold; longer ones, and longer words in them, lose their middle.
_MAX_LENGTH, _WORD = 8000, re.compile(r"\S{500,}")


class PoseError(Exception):
    """Base of all errors that come from the user's input rather than from a fault in the program.

    Its text is one printable line: names and values in it can come from files that nobody has vetted, and must not
    break a line, steer a terminal or stop a log from being written.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """`text` with everything that is not printable as escapes, and not longer than some thousand characters.

    >>> printable("a\\nb")
    'a\\\\nb'
    """
    if len(text) > _MAX_LENGTH:
        text = f"{text[: _MAX_LENGTH - 600]} ... {text[-500:]}"
    return escaped(_WORD.sub(lambda word: f"{word[0][:300]}...{word[0][-100:]}", text))


def escaped(text: str) -> str:
    """`text` with everything that is not printable, line breaks too, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class ConfigError(PoseError):
    """A configuration value that cannot be used: key, value, what is allowed, what to do."""


class DataError(PoseError):
    """A file that is missing, unreadable or not in its format: file, what was expected, the remedy."""


class ListedError(DataError):
    """A DataError whose text is a list, an item in each line."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)

    def __str__(self) -> str:
        return "\n".join(map(printable, self.lines))


class ShapeError(PoseError, ValueError):
    """An array of the wrong shape. Carries `name`, `expected` (a pattern) and `actual` (the shape found)."""

    def __init__(self, name: str, expected: Sequence[int | str], actual: Sequence[int]):
        self.name, self.expected, self.actual = name, tuple(expected), tuple(actual)
        pattern = ", ".join(str(size) for size in expected)
        super().__init__(f"{name}: expected shape ({pattern}), found {tuple(actual)}")


class MismatchError(PoseError, ValueError):
    """Two things that must agree (coordinates, joint set, width, frame rate) do not; both are named."""


def check_shape(name: str, array: Any, pattern: Sequence[int | str], sizes: dict[str, int] | None = None) -> None:
    """Raise `ShapeError` unless `array.shape` fits `pattern`.

    An int in the pattern is an exact size, a letter is any size (the same letter means the same size; known
    letters may be given in `sizes`, and letters met here are added to it), a leading "..." any leading axes.

    >>> import torch
    >>> check_shape("poses_3d", torch.zeros(5, 17, 3), ("T", 17, 3))
    >>> check_shape("poses_3d", torch.zeros(5, 16, 3), ("T", 17, 3))
    Traceback (most recent call last):
    ...
    pose.errors.ShapeError: poses_3d: expected shape (T, 17, 3), found (5, 16, 3)
    """
    sizes = {} if sizes is None else sizes
    actual, expected = tuple(array.shape), tuple(pattern)
    if expected and expected[0] == "...":
        expected = expected[1:]
        tail = actual[len(actual) - len(expected) :] if len(actual) >= len(expected) else None
    else:
        tail = actual if len(actual) == len(expected) else None
    if tail is not None:
        for size, want in zip(tail, expected, strict=True):
            if size != (want if isinstance(want, int) else sizes.setdefault(want, size)):
                break
        else:
            return
    raise ShapeError(name, tuple(pattern), actual)


def check_number(
    key: str,
    value: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    whole: bool = False,
    hint: str = "",
) -> Any:
    """`value` if it is a finite number (`whole`: an integer) within low..high and above `above`, else ConfigError.

    key: as the user types it. hint: what to do, the end of the message.

    >>> check_number("people", 2, low=1, whole=True)
    2
    >>> check_number("fps", -1, above=0, hint="frames per second")
    Traceback (most recent call last):
    ...
    pose.errors.ConfigError: fps=-1: must be a number > 0; frames per second
    """
    kinds = Integral if whole else Real
    number: Any = value  # compared once it is known to be one
    good = isinstance(value, kinds) and not isinstance(value, bool) and isfinite(number)
    good = good and (low is None or number >= low) and (high is None or number <= high)
    if good and (above is None or number > above):
        return value
    limits = {">=": low, "<=": high, ">": above}
    wanted = " and ".join(f"{sign} {limit:g}" for sign, limit in limits.items() if limit is not None)
    what = "a whole number" if whole else "a number"
    raise ConfigError(f"{key}={value}: must be {what} {wanted}".rstrip() + (f"; {hint}" if hint else ""))


def check_rate(fps: Any) -> None:
    """Raise ConfigError unless `fps` is a frame rate: from less than a picture a day to 10,000 a second.

    >>> check_rate(1e-9)
    Traceback (most recent call last):
    ...
    pose.errors.ConfigError: fps=1e-09: must be a number >= 1e-05 and <= 10000; frames per second
    """
    check_number("fps", fps, *RATES, hint="frames per second")


def check_finite(name: str, array: Tensor, hint: str = "") -> None:
    """Raise `DataError` if `array` holds a NaN or an infinity, naming the first place."""
    bad = ~array.isfinite()
    if bool(bad.any()):
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise DataError(
            f"{name}: {int(bad.sum())} values are NaN or infinite, the first at index {first}; all must be finite"
            + (f"; {hint}" if hint else "")
        )
