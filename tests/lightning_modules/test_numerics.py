"""What must not change a lifter's poses: the mirror, the order, the calls, the threads, and how much precision does."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lightning_modules.builtin import PREFIX
from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter
from lightning_modules.prediction import lift
from pose.cameras import Camera
from pose.features import PublishedFeatures, flip_2d, flip_3d
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence
from tests.cases import cases

CAMERA = Camera(1500.0, 1400.0, 1000.0, 500.0, 1920, 1080)


@st.composite
def sequences(draw: st.DrawFn, shortest: int = 1, longest: int = 40) -> PoseSequence:
    """Keypoints at random places; some joints and some frames undetected."""
    frames = draw(st.integers(shortest, longest))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    keypoints_2d = 1000 * torch.rand(frames, len(COCO_19), 2, generator=generator)
    confidence = torch.rand(frames, len(COCO_19), generator=generator)
    detected = torch.rand(frames, generator=generator) < 0.9
    keypoints_2d[~detected], confidence[~detected] = 0, 0
    return PoseSequence("TS1", 0, CAMERA, 25.0, keypoints_2d, confidence, detected)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def poses(lifter: Lifter, sequence: PoseSequence, **options) -> Tensor:
    (found,) = lift(lifter, [sequence], **options)
    assert found.poses_3d is not None
    return found.poses_3d


def mirrored(sequence: PoseSequence) -> PoseSequence:
    points, scores = flip_2d(sequence.keypoints_2d, sequence.confidence, CAMERA.width)
    assert sequence.camera is not None
    return dataclasses.replace(sequence, keypoints_2d=points, confidence=scores, camera=sequence.camera.flipped())


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    """A pretrained lifter: with weights that mean something, errors are those that matter."""
    return load_lifter(f"{PREFIX}mocap_normal")


@given(sequence=sequences())
def test_the_mirrored_person_is_lifted_to_the_mirror_image(lifter: Lifter, sequence: PoseSequence) -> None:
    there = mirrored(sequence)
    torch.testing.assert_close(flip_3d(poses(lifter, there)), poses(lifter, sequence), rtol=1e-5, atol=0.02)
    torch.testing.assert_close(
        poses(lifter, mirrored(there), flip=False), poses(lifter, sequence, flip=False), rtol=1e-5, atol=0.02
    )


@cases(0.5)
@given(people=st.lists(sequences(), min_size=2, max_size=4), frames_per_call=st.integers(1, 200))
def test_company_order_and_calls_do_not_matter(
    lifter: Lifter, people: list[PoseSequence], frames_per_call: int
) -> None:
    backward = lift(lifter, people[::-1], frames_per_call=frames_per_call)[::-1]
    for own, found in zip(people, backward, strict=True):
        assert found.poses_3d is not None
        torch.testing.assert_close(found.poses_3d, poses(lifter, own), rtol=1e-5, atol=0.02)


@given(sequence=sequences(shortest=120, longest=160), data=st.data())
def test_a_frame_needs_no_more_than_its_window(lifter: Lifter, sequence: PoseSequence, data) -> None:
    """Of a window cut out of a sequence all but the borders is predicted as in the whole: exactly with published
    features; canonical views are smoothed without an end, which moves frames near the borders.
    """
    field = lifter.network.receptive_field
    first = data.draw(st.integers(0, len(sequence) - field))
    last = data.draw(st.integers(first + field, len(sequence)))
    cut = {
        f.name: value[first:last]
        for f in dataclasses.fields(sequence)
        if isinstance(value := getattr(sequence, f.name), Tensor)
    }
    window, whole = poses(lifter, dataclasses.replace(sequence, **cut)), poses(lifter, sequence)[first:last]
    inner = slice(field // 2, len(whole) - field // 2)
    if isinstance(lifter.features, PublishedFeatures):
        torch.testing.assert_close(window[inner], whole[inner], rtol=1e-5, atol=0.02)
    elif len(whole) > 2 * (field // 2):
        moved = (window[inner] - whole[inner]).norm(dim=-1) / whole[inner].norm(dim=-1)
        assert float(moved.median()) < 0.02


@given(sequence=sequences())
def test_single_precision_is_right_to_a_tenth_of_a_millimetre(lifter: Lifter, sequence: PoseSequence) -> None:
    """The network in float64; features and decoding are float32 in both, as everywhere."""
    double = copy.deepcopy(lifter).double()
    found, exact = poses(lifter, sequence), poses(double, sequence)
    limit = 0.1 + 1e-5 * exact.norm(dim=-1)  # a root that random keypoints put 100 m away is right to a millimetre
    assert bool(((found - exact).norm(dim=-1) <= limit).all())


def test_the_same_bits_each_time_and_nearly_the_same_on_other_numbers_of_threads(lifter: Lifter, make_person) -> None:
    person = make_person(frames=500)
    one, two = [], []
    for count, found in ((1, one), (2, two)):
        with threads(count):
            found += [poses(lifter, person) for _ in range(2)]
    assert torch.equal(one[0], one[1]) and torch.equal(two[0], two[1])
    torch.testing.assert_close(one[0], two[0], rtol=1e-5, atol=0.02)
