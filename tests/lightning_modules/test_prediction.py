"""Prediction of whole sequences: the reference's poses, and that batching, length and neighbours change nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lightning_modules.lifter import Lifter
from lightning_modules.prediction import lift, lift_newest
from pose.cameras import Camera
from pose.errors import ConfigError, DataError, MismatchError
from pose.features import decode_3d, features_2d, flip_2d, flip_3d
from pose.joint_sets import COCO_17
from pose.sequence import PoseSequence

HEIGHTS = {2048: 2048, 1920: 1080}


def sequences_of(arrays: dict[str, np.ndarray]) -> list[tuple[PoseSequence, np.ndarray]]:
    """Person sequences of stacked rows, each with its rows."""
    found = []
    for number in np.unique(arrays["seq_num"]):
        for person in np.unique(arrays["person"][arrays["seq_num"] == number]):
            rows = np.nonzero((arrays["seq_num"] == number) & (arrays["person"] == person))[0]
            width, detections = int(arrays["width"][rows[0]]), torch.from_numpy(arrays["poses2d"][rows])
            intrinsics = (float(arrays[key][rows[0]]) for key in ("fx", "fy", "cx", "cy"))
            camera = Camera(*intrinsics, width, HEIGHTS[width])
            found.append(
                (PoseSequence(f"TS{number}", int(person), camera, 30.0, detections[..., :2], detections[..., 2]), rows)
            )
    return found


def assert_predicts(lifter: Lifter, arrays: dict[str, np.ndarray], expected: np.ndarray, **options) -> None:
    """The conformance tolerance: 0.05 mm, for every joint of every frame."""
    pairs = sequences_of(arrays)
    predicted = lift(lifter, [sequence for sequence, _ in pairs], **options)
    for sequence, (_, rows) in zip(predicted, pairs, strict=True):
        assert sequence.poses_3d is not None
        assert (sequence.poses_3d - torch.from_numpy(expected[rows])).norm(dim=-1).max() <= 0.05


def test_poses_agree_with_the_golden_ones(golden_lifter: Lifter, network_numbers) -> None:
    arrays = {key.removeprefix("sequence_"): value for key, value in network_numbers.items() if "sequence_" in key}
    assert (arrays["poses2d"][:, :, 2] == 0).all(axis=1).sum() > 5, "undetected frames are among them"
    assert_predicts(golden_lifter, arrays, arrays["pred"])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("flip", [False, True])
def test_prediction_by_definition(make_lifter, make_person, causal: bool, flip: bool) -> None:
    """Pad by repeating, run, decode, mirror back, average: spelled out for one person."""
    lifter = make_lifter(network={"channels": 8, "filter_widths": [3, 3], "causal": causal}).eval()
    person = make_person(frames=12)
    views = [(person.keypoints_2d, person.confidence, person.camera)]
    if flip:
        views.append((*flip_2d(person.keypoints_2d, person.confidence, 1920), person.camera.flipped()))
    poses = []
    for keypoints_2d, confidence, camera in views:
        features = lifter.feature_standardiser(features_2d(keypoints_2d, confidence, camera))
        left = 8 if causal else 4
        padded = torch.cat([features[:1].expand(left, -1), features, features[-1:].expand(8 - left, -1)])
        with torch.no_grad():
            poses.append(decode_3d(lifter.target_standardiser.invert(lifter.network(padded[None])[0])))
    expected = (poses[0] + flip_3d(poses[1])) / 2 if flip else poses[0]
    found = lift(lifter, [person], flip=flip)[0]
    torch.testing.assert_close(found.poses_3d, expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_neighbours_and_calls_do_not_matter(make_lifter, make_person, norm: str) -> None:
    lifter = make_lifter(network={"channels": 8, "filter_widths": [3, 3], "norm": norm})
    people = [
        make_person("a", 30),
        make_person("b", 1 if norm == "batch" else 2),
        make_person("c", 4),
        make_person("d", 17),
    ]
    alone = [lift(lifter, [person])[0].poses_3d for person in people]
    for frames_per_call in (1, 7, 4096):
        together = lift(lifter, people, frames_per_call=frames_per_call)
        for one, many in zip(alone, together, strict=True):
            torch.testing.assert_close(many.poses_3d, one, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("frames", [1, 6, 30, 250])
def test_frames_per_call_bounds_the_calls(make_lifter, make_person, frames: int) -> None:
    lifter, called = make_lifter(), []  # receptive field 9
    people = [make_person(str(number), frames) for number in range(900 // frames)]

    def note(network: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        called.append(inputs[0].shape[0] * inputs[0].shape[1])

    lifter.network.register_forward_pre_hook(note)
    several = lift(lifter, people, frames_per_call=100)
    assert max(called) <= 2 * (100 + 8)
    together = lift(lifter, people, frames_per_call=10_000)
    assert len(called) > 9 and max(called) > 1000
    for one, other in zip(several, together, strict=True):
        torch.testing.assert_close(one.poses_3d, other.poses_3d, rtol=1e-5, atol=1e-2)


def test_a_causal_prediction_does_not_see_the_future(make_lifter, make_person) -> None:
    lifter = make_lifter(network={"channels": 8, "filter_widths": [3, 3], "causal": True})
    person = make_person(frames=20)
    changed = person.keypoints_2d.clone()
    changed[12:] += 50
    other = dataclasses.replace(person, keypoints_2d=changed)
    before, after = (lift(lifter, [sequence])[0].poses_3d for sequence in (person, other))
    torch.testing.assert_close(before[:12], after[:12], rtol=0, atol=1e-3)
    assert (before[12:] - after[12:]).norm(dim=-1).mean() > 1


def test_what_comes_back(make_lifter, make_person) -> None:
    lifter = make_lifter(coordinates="universal").train()
    person = make_person(frames=5)
    found, empty = lift(lifter, [person, make_person(frames=0)])
    assert lifter.training, "the mode is restored"
    assert found.coordinates == "universal" and found.poses_3d.shape == (5, 17, 3)
    assert found.poses_3d.isfinite().all(), "undetected frames are predicted too"
    assert found.detected is person.detected and found.keypoints_2d is person.keypoints_2d
    assert empty.poses_3d.shape == (0, 17, 3)
    assert lift(lifter, []) == []
    (found.poses_3d * torch.ones(1, requires_grad=True)).sum().backward()  # an ordinary tensor, not an inference one


def test_unusable_sequences_are_refused(make_lifter, make_person) -> None:
    lifter, person = make_lifter(), make_person()
    coco_17 = {
        "keypoints_2d": person.keypoints_2d[:, :17],
        "confidence": person.confidence[:, :17],
        "joints_2d": COCO_17,
    }
    with pytest.raises(MismatchError, match=r"TS1/0: detections are COCO-17.*COCO-19"):
        lift(lifter, [dataclasses.replace(person, **coco_17)])
    with pytest.raises(DataError, match="TS1/0: has no camera"):
        lift(lifter, [dataclasses.replace(person, camera=None)])
    broken = person.keypoints_2d.clone()
    broken[7, 3, 1] = torch.nan
    with pytest.raises(DataError, match=r"TS1/0: detections: 1 values are NaN.*\(7, 3, 1\)"):
        lift(lifter, [dataclasses.replace(person, keypoints_2d=broken)])
    with pytest.raises(DataError, match="TS1/0: has a single frame"):
        instance = make_lifter(network={"channels": 8, "filter_widths": [3, 3], "norm": "instance"})
        lift(instance, [make_person(frames=1)])
    with pytest.raises(ConfigError, match="frames_per_call=0"):
        lift(lifter, [person], frames_per_call=0)


def test_mixed_precision_of_training_does_not_reach_it(make_lifter, make_person) -> None:
    lifter, person = make_lifter(), make_person(frames=20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = lift(lifter, [person])[0].poses_3d
    assert torch.equal(found, lift(lifter, [person])[0].poses_3d)


@pytest.mark.parametrize("frames", [1, 5, 30])
def test_the_newest_pose_alone(make_lifter, make_person, frames: int) -> None:
    """As `lift` finds it; of people of any length, and of the last frames alone."""
    lifter = make_lifter(network={"channels": 8, "filter_widths": [3, 3], "causal": True}).eval()
    people = [make_person(frames=frames), make_person(frames=12)]
    expected = torch.stack([one.require("poses_3d")[-1] for one in lift(lifter, people)])
    assert (lift_newest(lifter, people) - expected).abs().max() < 0.05
    with pytest.raises(MismatchError, match="looks at later frames"):
        lift_newest(make_lifter(network={"channels": 8, "filter_widths": [3, 3]}), people)
