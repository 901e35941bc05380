"""The classes that a lifter is made of, by name: whoever reads a lifter's settings finds its features here.

A name comes from a file that nobody has vetted. Nothing is imported for it but the project's own modules.
"""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from pose.errors import ConfigError

C = TypeVar("C")

#: Packages of the project that hold such classes.
_OWN = ("pose.", "lightning_modules.networks.")


def dotted_name(kind: type) -> str:
    """The name by which `component_class` finds a class again."""
    return f"{kind.__module__}.{kind.__qualname__}"


def component_class(key: str, target: Any, base: type[C]) -> type[C]:
    """The project's own subclass of `base` of that dotted name; ConfigError naming `key` if there is none.

    >>> from pose.features import Features
    >>> component_class("features", "pose.features.PublishedFeatures", Features).__name__
    'PublishedFeatures'
    """
    module, _, name = str(target).rpartition(".")
    if isinstance(target, str) and target.startswith(_OWN):
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
        if isinstance(found, type) and issubclass(found, base) and dotted_name(found) == target:
            return found
    raise ConfigError(f"{key}={target}: is no {base.__name__} of this project")
