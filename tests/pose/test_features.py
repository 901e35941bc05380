"""Preprocessing against an independent implementation's numbers, hand-computed cases and invariants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from data.sets.mupots_3d import MuPoTS3D
from pose.cameras import Camera
from pose.errors import DataError, ShapeError
from pose.features import (
    Standardiser,
    decode_3d,
    draw_depth_scale,
    encode_3d,
    features_2d,
    flip_2d,
    flip_3d,
    scale_depth,
    with_derived_joints,
)
from pose.joint_sets import COCO_19, COMMON_14, MUPOTS_17

CAMERA = Camera(1000.0, 2000.0, 900.0, 500.0, 1920, 1080)
HEIGHTS = {2048: 2048, 1920: 1080}


def assert_agrees(found: Tensor, expected: np.ndarray) -> None:
    """The conformance tolerance: |a - b| <= 1e-4 max(1, |b|)."""
    expected_t = torch.from_numpy(np.asarray(expected, np.float32))
    assert found.shape == expected_t.shape
    assert ((found - expected_t).abs() <= 1e-4 * expected_t.abs().clamp(min=1)).all()


def cameras(arrays) -> list[Camera]:
    return [
        Camera(*(float(arrays[key][row]) for key in ("fx", "fy", "cx", "cy")), int(width), HEIGHTS[int(width)])
        for row, width in enumerate(arrays["width"])
    ]


def features_of(poses2d: np.ndarray, of: list[Camera], flipped: bool = False) -> Tensor:
    rows = []
    for row, camera in zip(torch.from_numpy(poses2d), of, strict=True):
        keypoints_2d, confidence = row[:, :2], row[:, 2]
        if flipped:
            keypoints_2d, confidence = flip_2d(keypoints_2d, confidence, camera.width)
            camera = camera.flipped()
        rows.append(features_2d(keypoints_2d, confidence, camera))
    return torch.stack(rows)


@pytest.fixture(scope="module")
def expected(golden: Path):
    return dict(np.load(golden / "preprocess.npz"))


@pytest.mark.parametrize("flipped", [False, True])
def test_features_and_targets_agree_with_the_golden_rows(expected, flipped: bool) -> None:
    suffix = "_flipped" if flipped else ""
    standardise_2d = Standardiser(torch.tensor(expected["mean2d"]), torch.tensor(expected["std2d"]))
    standardise_3d = Standardiser(torch.tensor(expected["mean3d"]), torch.tensor(expected["std3d"]))
    poses_3d = torch.from_numpy(expected["poses3d"])
    targets = encode_3d(flip_3d(poses_3d) if flipped else poses_3d)
    found = features_of(expected["poses2d"], cameras(expected), flipped)
    assert_agrees(standardise_2d(found), expected[f"features{suffix}"])
    assert_agrees(standardise_3d(targets), expected[f"targets{suffix}"])


def test_decoding_agrees_with_the_golden_rows(expected) -> None:
    standardise_3d = Standardiser(torch.tensor(expected["mean3d"]), torch.tensor(expected["std3d"]))
    assert_agrees(decode_3d(standardise_3d.invert(torch.from_numpy(expected["targets"]))), expected["decoded"])


def test_statistics_agree_with_the_reference(expected, conformance: Path) -> None:
    """Fitted on every frame of MuPoTS-3D as its reader returns it."""
    people = MuPoTS3D(conformance / "MuPoTS", fps=30).sequences("normal")
    features = torch.cat([features_2d(person.keypoints_2d, person.confidence, person.camera) for person in people])
    fitted_2d, fitted_3d = (
        Standardiser.fit(features),
        Standardiser.fit(torch.cat([encode_3d(p.poses_3d) for p in people])),
    )
    assert_agrees(fitted_2d.mean, expected["mean2d"])
    assert_agrees(fitted_2d.std, expected["std2d"])
    assert_agrees(fitted_3d.mean, expected["mean3d"])
    assert_agrees(fitted_3d.std, expected["std3d"])


def detections(frames: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 1000 * torch.rand(frames, 19, 2, generator=generator), 0.2 + 0.8 * torch.rand(
        frames, 19, generator=generator
    )


def people(frames: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 300 * torch.randn(frames, 17, 3, generator=generator) + torch.tensor([100.0, 200.0, 4000.0])


def test_features_by_hand() -> None:
    keypoints_2d, confidence = detections()
    keypoints_2d[0, COCO_19.index("hip")] = torch.tensor([1000.0, 700.0])
    keypoints_2d[0, COCO_19.index("left_knee")] = torch.tensor([1100.0, 900.0])
    confidence[0, COCO_19.index("left_knee")] = 0.5
    features = features_2d(keypoints_2d, confidence, CAMERA)[0]
    knee = 3 * (COMMON_14.index("left_knee") - 1)
    assert features[knee : knee + 3].tolist() == pytest.approx([0.1, 0.1, 0.5])
    assert features[-3:-1].tolist() == pytest.approx([0.1, 0.1])


def test_a_joint_below_the_least_score_is_put_at_the_missing_place_but_the_hip_stays() -> None:
    keypoints_2d, confidence = detections()
    confidence[0, COCO_19.index("left_wrist")] = 0.0999
    confidence[0, COCO_19.index("right_wrist")] = 0.1
    confidence[0, COCO_19.index("hip")] = 0.0
    features = features_2d(keypoints_2d, confidence, CAMERA)[0]
    left, right = (3 * (COMMON_14.index(name) - 1) for name in ("left_wrist", "right_wrist"))
    assert features[left : left + 2].tolist() == pytest.approx([-1.7, -0.85])
    hip = (keypoints_2d[0, COCO_19.index("hip")] - torch.tensor([900.0, 500.0])) / torch.tensor([1000.0, 2000.0])
    wrist = keypoints_2d[0, COCO_19.index("right_wrist")] - keypoints_2d[0, COCO_19.index("hip")]
    assert features[right : right + 2].tolist() == pytest.approx((wrist / torch.tensor([1000.0, 2000.0])).tolist())
    assert features[-3:].tolist() == pytest.approx([*hip.tolist(), 0.0])


def test_targets_by_hand_and_back() -> None:
    poses_3d = people()
    targets = encode_3d(poses_3d)
    assert targets.shape == (4, 51)
    assert targets[0, :3].tolist() == pytest.approx((poses_3d[0, 0] - poses_3d[0, 14]).tolist())
    assert targets[0, -1].item() == pytest.approx(float(np.log(poses_3d[0, 14, 2])))
    torch.testing.assert_close(decode_3d(targets), poses_3d, rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(decode_3d(encode_3d(poses_3d.double())), poses_3d.double(), rtol=0, atol=1e-8)


def test_flips_are_their_own_inverse_and_commute_with_projection() -> None:
    poses_3d, (keypoints_2d, confidence) = people(), detections(4)
    torch.testing.assert_close(flip_3d(flip_3d(poses_3d)), poses_3d)
    back = flip_2d(*flip_2d(keypoints_2d, confidence, 1920), 1920)
    torch.testing.assert_close(back[0], keypoints_2d, rtol=0, atol=1e-3)
    torch.testing.assert_close(back[1], confidence)
    mirrored = CAMERA.project(poses_3d)[:, list(MUPOTS_17.flip)]
    mirrored[..., 0] = 1920 - mirrored[..., 0]
    torch.testing.assert_close(CAMERA.flipped().project(flip_3d(poses_3d)), mirrored, rtol=0, atol=1e-2)


def test_an_undetected_joint_is_flipped_to_the_other_edge() -> None:
    flipped, scores = flip_2d(torch.zeros(1, 19, 2), torch.zeros(1, 19), 1920)
    assert (flipped[..., 0] == 1920).all() and (flipped[..., 1] == 0).all() and (scores == 0).all()


def test_derived_joints_by_hand() -> None:
    keypoints_2d, confidence = torch.zeros(2, 17, 2), torch.zeros(2, 17)
    left, right = COCO_19.index("left_hip"), COCO_19.index("right_hip")
    keypoints_2d[0, left], keypoints_2d[0, right] = torch.tensor([10.0, 20.0]), torch.tensor([30.0, 60.0])
    confidence[0, left], confidence[0, right] = 0.5, 1.0
    points, scores = with_derived_joints(keypoints_2d, confidence)
    assert points[0, COCO_19.index("hip")].tolist() == [20.0, 40.0]
    assert scores[0, COCO_19.index("hip")].item() == pytest.approx(2 / (1 / 0.5 + 1), abs=1e-5)
    assert scores[0, COCO_19.index("neck")].item() == pytest.approx(1e-6)
    assert (points[1] == 0).all() and (scores[1] == 0).all(), "nobody stays nobody"


def test_depth_scale_keeps_the_relative_pose_and_the_hip_in_the_image() -> None:
    poses_3d, (keypoints_2d, _) = people(), detections(4)
    nearer_2d, nearer_3d = scale_depth(keypoints_2d, poses_3d, 0.5)
    torch.testing.assert_close(nearer_3d[:, 14], poses_3d[:, 14] * 0.5)
    torch.testing.assert_close(nearer_3d - nearer_3d[:, 14:15], poses_3d - poses_3d[:, 14:15], rtol=0, atol=1e-3)
    hip = COCO_19.index("hip")
    torch.testing.assert_close(nearer_2d[:, hip], keypoints_2d[:, hip])
    torch.testing.assert_close(
        nearer_2d - nearer_2d[:, hip : hip + 1], (keypoints_2d - keypoints_2d[:, hip : hip + 1]) * 2, rtol=0, atol=1e-3
    )


def test_drawn_depth_scales_keep_their_limits() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([draw_depth_scale(people(), generator) for _ in range(2000)])
    assert drawn.min() >= 0.6 and drawn.max() <= 1.5
    assert abs(drawn.mean() - 1.0) < 0.02 and 0.17 < drawn.std() < 0.2
    near = torch.zeros(1, 17, 3)
    near[..., 2] = 1000.0
    near[0, 3, 2] = 100.0  # a hand 900 mm before the hip: no scale below 0.9 keeps it in front of the camera
    assert all(0.9 + 1e-5 <= draw_depth_scale(near, generator) <= 1.5 for _ in range(100))


def test_standardiser_by_hand() -> None:
    samples = torch.tensor([[1.0, 5.0, 2.0], [3.0, 5.0, float("nan")], [8.0, 5.0, 4.0]])
    fitted = Standardiser.fit(samples)
    assert fitted.mean.tolist() == pytest.approx([4.0, 5.0, 3.0])
    assert fitted.std.tolist() == pytest.approx([np.std([1, 3, 8]), 1.0, 1.0])
    good = torch.tensor([[2.0, 7.0, 1.0]])
    torch.testing.assert_close(fitted.invert(fitted(good)), good)


def test_standardiser_refuses_what_it_cannot_divide_by() -> None:
    with pytest.raises(DataError, match=r"std\[1\]=0"):
        Standardiser(torch.zeros(2), torch.tensor([1.0, 0.0]))
    with pytest.raises(ShapeError, match="std"):
        Standardiser(torch.zeros(2), torch.ones(3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: features_2d(torch.zeros(4, 17, 2), torch.zeros(4, 19), CAMERA),
        lambda: features_2d(torch.zeros(4, 19, 2), torch.zeros(4, 17), CAMERA),
        lambda: encode_3d(torch.zeros(4, 16, 3)),
        lambda: decode_3d(torch.zeros(4, 50)),
        lambda: flip_2d(torch.zeros(4, 17, 2), torch.zeros(4, 17), 100),
        lambda: flip_3d(torch.zeros(4, 17, 2)),
        lambda: scale_depth(torch.zeros(19, 2), torch.zeros(17, 2), 1.0),
        lambda: draw_depth_scale(torch.zeros(17, 3)),
        lambda: with_derived_joints(torch.zeros(19, 2), torch.zeros(19)),
    ],
)
def test_other_shapes_are_refused(call) -> None:
    with pytest.raises(ShapeError):
        call()
