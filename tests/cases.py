"""What tests share: how many cases a property test tries, and when two lists of people are the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from hypothesis import settings

from pose.sequence import PoseSequence


def cases(factor: float) -> settings:
    """As many cases as the profile (tests/conftest.py) says, times `factor`: for tests that are cheaper or dearer."""
    return settings(max_examples=int(factor * settings().max_examples))


def assert_same_people(
    found: Sequence[PoseSequence],
    expected: Sequence[PoseSequence],
    but: Sequence[str] = ("annotation_2d", "annotated", "visible"),
) -> None:
    """All fields are the same, to the last bit, but those that no file of predictions holds."""
    assert [person.name for person in found] == [person.name for person in expected]
    for one, other in zip(found, expected, strict=True):
        for field in dataclasses.fields(PoseSequence):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if field.name not in but:
                same = torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b
                assert same, (one.name, field.name, a, b)
