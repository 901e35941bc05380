"""There and back again, in both precisions: projection, encoding, standardisation, mirrors, joint sets."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pose.cameras import Camera, fit_intrinsics
from pose.coordinates import UNIVERSAL_KNEE_TO_NECK, universal_scale
from pose.features import Standardiser, decode_3d, encode_3d, flip_2d, flip_3d, scale_depth
from pose.joint_sets import JOINT_SETS, JointSet, remap_index

seeds = st.integers(0, 2**31)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    width, height = draw(st.integers(16, 8000)), draw(st.integers(16, 8000))
    focal = st.floats(0.3, 5).map(lambda fraction: fraction * width)
    return Camera(
        draw(focal), draw(focal), draw(st.floats(-0.5, 1.5)) * width, draw(st.floats(-0.5, 1.5)) * height, width, height
    )


@st.composite
def poses(draw: st.DrawFn, longest: int = 8) -> Tensor:
    """(T, 17, 3) mm in front of a camera, float64, 0.5 to 50 m away."""
    generator = torch.Generator().manual_seed(draw(seeds))
    frames, away = draw(st.integers(1, longest)), draw(st.floats(math.log(500), math.log(50_000)).map(math.exp))
    size = min(300.0, away / 8)
    noise = torch.randn(frames, 17, 3, generator=generator, dtype=torch.float64).clamp(-4, 4)
    return size * noise + torch.tensor([0.0, 0.0, away])


@given(cameras(), poses())
def test_pixels_and_depth_give_the_point_back(camera: Camera, points: Tensor) -> None:
    depth = points[..., 2]
    torch.testing.assert_close(camera.unproject(camera.project(points), depth), points, rtol=1e-12, atol=1e-8)
    single = camera.unproject(camera.project(points.float()), depth.float())
    # A pixel is right to 1e-7 of the image; so is a place in the plane that the image shows at that depth.
    seen = depth[..., None] * max(camera.width / camera.fx, camera.height / camera.fy, 1.0)
    assert bool(((single - points).abs() <= 4e-6 * seen).all())


@given(cameras(), poses())
def test_the_flipped_camera_sees_the_mirror_image(camera: Camera, points: Tensor) -> None:
    pixels = camera.project(points)
    there = camera.flipped().project(points * torch.tensor([-1.0, 1.0, 1.0]))
    torch.testing.assert_close(camera.width - there[..., 0], pixels[..., 0], rtol=1e-9, atol=1e-6)
    back = camera.flipped().flipped()
    assert dataclasses.replace(back, cx=camera.cx) == camera and back.cx == pytest.approx(camera.cx)


@given(cameras(), poses())
def test_intrinsics_are_found_from_what_the_camera_sees(camera: Camera, points: Tensor) -> None:
    found = fit_intrinsics(points.flatten(0, 1), camera.project(points).flatten(0, 1), camera.width, camera.height)
    for key in ("fx", "fy", "cx", "cy"):
        assert getattr(found, key) == pytest.approx(getattr(camera, key), rel=1e-6, abs=1e-6 * camera.fx)


@given(poses(), seeds)
def test_targets_and_their_standardisation(points: Tensor, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean, std = (torch.rand(51, generator=generator, dtype=torch.float64) * size + 0.5 for size in (3000, 300))
    standardise = Standardiser(mean, std)
    targets = encode_3d(points)
    torch.testing.assert_close(decode_3d(targets), points, rtol=1e-12, atol=1e-8)
    torch.testing.assert_close(standardise.invert(standardise(targets)), targets, rtol=1e-12, atol=1e-9)
    single = decode_3d(encode_3d(points.float()))
    # ln z is kept to half a unit in the last place of a number up to 11, which is 5e-7 of z, and exp adds its own.
    assert bool(((single - points).abs() <= 1e-6 * points[..., 2:] + 1e-3).all())


@given(poses(), st.floats(0.6, 1.5), seeds)
def test_mirrors_and_moves_undo_themselves(points: Tensor, scale: float, seed: int) -> None:
    assert torch.equal(flip_3d(flip_3d(points)), points)
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(len(points), 19, 2, generator=generator, dtype=torch.float64) * 1920
    scores = torch.rand(len(points), 19, generator=generator)
    there, back = flip_2d(pixels, scores, 1920), flip_2d(*flip_2d(pixels, scores, 1920), 1920)
    torch.testing.assert_close(back[0], pixels, rtol=0, atol=1e-9)
    assert torch.equal(back[1], scores) and not torch.equal(there[1], scores)
    for found, given_ in zip(
        scale_depth(*scale_depth(pixels, points, scale), 1 / scale), (pixels, points), strict=True
    ):
        torch.testing.assert_close(found, given_, rtol=1e-10, atol=1e-7)


@given(poses())
def test_universal_people_have_one_size_and_the_same_picture(points: Tensor) -> None:
    universal = points * universal_scale(points)
    assert float(universal_scale(universal)) == pytest.approx(1.0)
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    torch.testing.assert_close(camera.project(universal), camera.project(points), rtol=1e-9, atol=1e-6)
    assert UNIVERSAL_KNEE_TO_NECK == 920


@pytest.mark.parametrize("source", JOINT_SETS.values(), ids=JOINT_SETS)
def test_joint_sets_mirror_twice_to_themselves_and_remap_there_and_back(source: JointSet) -> None:
    flip = list(source.flip)
    assert [flip[i] for i in flip] == list(range(len(source)))
    order = np.random.default_rng(0).permutation(len(source))
    other = JointSet("shuffled", tuple(source.names[i] for i in order))
    there, back = remap_index(source, other), remap_index(other, source)
    assert [there[i] for i in back] == list(range(len(source)))
    # Mirroring and bringing into another order commute.
    assert [flip[i] for i in there] == [there[i] for i in other.flip]
