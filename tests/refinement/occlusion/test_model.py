"""The product's refinement: invariances, occlusions bridged, flags, errors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pose.cameras import Camera
from pose.errors import ConfigError
from pose.features import flip_2d, flip_3d
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence
from refinement.occlusion.model import OcclusionRefinement

CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
SHARED_JOINTS = [name for name in COCO_19.names if name in MUPOTS_17.names]


def walk(
    frames: int, fps: float = 30.0, noise: float = 0.0, seed: int = 0, hidden: slice | None = None
) -> PoseSequence:
    """A stiff person moving sideways and away, turning to and fro; detected where the joints are unless hidden."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(99).normal(0, 250, (17, 3))
    shape[14] = 0
    seconds = np.arange(frames) / fps
    root = np.stack([-800 + 500 * seconds, 50 * np.sin(4 * seconds), 4000 + 300 * seconds], axis=1)
    angle = 0.4 * np.sin(3 * seconds + 1)
    turn = np.zeros((frames, 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 0, 2], turn[:, 2, 0], turn[:, 1, 1] = np.sin(angle), -np.sin(angle), 1
    poses = root[:, None] + shape @ turn.transpose(0, 2, 1)
    poses = torch.from_numpy(poses).float()
    points = torch.zeros(frames, 19, 2)
    for name in SHARED_JOINTS:
        points[:, COCO_19.index(name)] = CAMERA.project(poses[:, MUPOTS_17.index(name)])
    points[:, :5] = CAMERA.project(poses[:, [MUPOTS_17.index("head")] * 5])
    confidence, detected = torch.full((frames, 19), 0.9), torch.ones(frames, dtype=torch.bool)
    given = poses + torch.from_numpy(rng.normal(0, noise, poses.shape)).float() if noise else poses.clone()
    if hidden is not None:
        confidence[hidden], points[hidden], detected[hidden] = 0, 0, False
        given[hidden] += torch.tensor([300.0, -200.0, -1500.0])
    return PoseSequence(
        "S",
        0,
        CAMERA,
        fps,
        points,
        confidence,
        detected,
        given,
        coordinates="normal",
        annotation_2d=CAMERA.project(poses),
    )


def refined(sequence: PoseSequence, **keys) -> torch.Tensor:
    poses = OcclusionRefinement(**keys)([sequence]).sequences[0].poses_3d
    assert poses is not None
    return poses


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm(dim=-1).mean())


def test_an_occlusion_is_bridged_and_the_rest_is_left() -> None:
    truth, given = walk(150).poses_3d, walk(150, noise=5, hidden=slice(60, 85))
    poses = refined(given)
    assert truth is not None and given.poses_3d is not None
    assert error(poses[60:85], truth[60:85]) < 0.12 * error(given.poses_3d[60:85], truth[60:85])
    seen = torch.ones(150, dtype=torch.bool)
    seen[50:95] = False
    assert error(poses[seen], truth[seen]) < 15


def test_observed_and_standard_deviations_tell_what_was_inferred() -> None:
    given = walk(120, noise=5, hidden=slice(50, 70))
    plain = {"root_std_factor": 1.0, "observed_std_factor": 1.0, "inferred_std_factor": 1.0}
    (refined,) = OcclusionRefinement(**plain)([given]).sequences  # type: ignore[arg-type]
    observed, std = refined.observed, refined.std_mm
    assert observed is not None and std is not None
    assert observed.shape == std.shape == (120, 17)
    assert not observed[50:70].any()
    assert observed[:50].all() and observed[70:].all()
    assert float(std[60].mean()) > 2 * float(std[20].mean())
    assert bool((std > 0).all())
    thrice = {key: 3 * value for key, value in plain.items()}
    (calibrated,) = OcclusionRefinement(**thrice)([given]).sequences  # type: ignore[arg-type]
    torch.testing.assert_close(calibrated.std_mm, 3 * std)


def test_people_do_not_influence_each_other() -> None:
    people = [walk(80, noise=20, seed=1), walk(50, noise=20, seed=2), walk(1)]
    together = OcclusionRefinement()(people).sequences
    for person, alone in zip(together, people, strict=True):
        assert torch.equal(person.poses_3d, refined(alone))  # type: ignore[arg-type]
    turned = OcclusionRefinement()(people[::-1]).sequences[::-1]
    assert all(torch.equal(a.poses_3d, b.poses_3d) for a, b in zip(together, turned, strict=True))  # type: ignore[arg-type]


def reverse(sequence: PoseSequence) -> PoseSequence:
    per_frame = {
        f.name: getattr(sequence, f.name).flip(0)
        for f in dataclasses.fields(sequence)
        if isinstance(getattr(sequence, f.name), torch.Tensor) and f.name != "frame"
    }
    return dataclasses.replace(sequence, **per_frame)


def test_time_reversal() -> None:
    given = walk(90, noise=30, hidden=slice(30, 45))
    assert error(refined(reverse(given)).flip(0), refined(given)) < 0.01


def test_mirror() -> None:
    given = walk(90, noise=30, hidden=slice(30, 45))
    points, confidence = flip_2d(given.keypoints_2d, given.confidence, CAMERA.width)
    mirrored = dataclasses.replace(
        given,
        keypoints_2d=points,
        confidence=confidence,
        camera=CAMERA.flipped(),
        poses_3d=flip_3d(given.poses_3d),  # type: ignore[arg-type]
    )
    assert error(flip_3d(refined(mirrored)), refined(given)) < 0.01


def test_shift_without_a_camera() -> None:
    given = dataclasses.replace(walk(90, noise=30, hidden=slice(30, 45)), camera=None)
    low = dataclasses.replace(given, poses_3d=given.poses_3d - torch.tensor([0.0, 0.0, 4000.0]))  # type: ignore[operator]
    far = dataclasses.replace(low, poses_3d=low.poses_3d + torch.tensor([5000.0, 7000.0, 0.0]))  # type: ignore[operator]
    assert error(refined(far) - torch.tensor([5000.0, 7000.0, 0.0]), refined(low)) < 0.01


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_frame_rates_agree(fps: float) -> None:
    """The same motion at another rate, a joint's error included, gives the same trajectory within 5 mm."""
    wave = lambda s: torch.stack([40 * torch.sin(2 * s), 30 * torch.cos(1.5 * s), 80 * torch.sin(s)], dim=-1)  # noqa: E731
    results = []
    for rate in (30.0, fps):
        given = walk(int(5 * rate), rate)
        seconds = torch.arange(len(given)) / rate
        hidden = (seconds >= 2) & (seconds < 2.8)
        confidence = given.confidence * torch.where(hidden, 0.0, 1.0)[:, None]
        poses = given.poses_3d + wave(seconds)[:, None]  # type: ignore[operator]
        poses[hidden] += torch.tensor([200.0, 0.0, -800.0])
        changed = dataclasses.replace(given, confidence=confidence, detected=~hidden, poses_3d=poses)
        results.append((seconds.numpy(), refined(changed).numpy()))
    (at_30, poses_30), (at_fps, poses_fps) = results
    common = np.arange(0, 4.9, 0.2)
    sampled = [
        np.stack([np.interp(common, at, column) for column in poses.reshape(len(poses), -1).T], axis=1)
        for at, poses in ((at_30, poses_30), (at_fps, poses_fps))
    ]
    distance = np.linalg.norm((sampled[0] - sampled[1]).reshape(len(common), 17, 3), axis=-1)
    assert distance.max() < 5


def test_short_unseen_and_other_skeletons() -> None:
    one = walk(1)
    torch.testing.assert_close(refined(one, keypoint_joint_std_mm=1e6, keypoint_root_std_mm=1e6), one.poses_3d)
    unseen = walk(40, hidden=slice(0, 40))
    assert bool(refined(unseen).isfinite().all())
    body = walk(60, noise=10)
    other = dataclasses.replace(
        body,
        poses_3d=body.poses_3d[:, :1].repeat(1, 19, 1),  # type: ignore[index]
        joints_3d=COCO_19,
        visible=torch.ones(60, 19, dtype=torch.bool),
        annotation_2d=None,
    )
    assert refined(other).shape == (60, 19, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [("lag", -1), ("rounds", 0), ("bone_weight_growth", 0.5), ("joint_std_mm", 0.0), ("joint_score_exponent", -1.0)],
)
def test_unusable_keys_are_named(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{key}={value}"):
        OcclusionRefinement(**{key: value})  # type: ignore[arg-type]


def test_fixed_lag_is_near_the_offline_result_and_sees_no_further() -> None:
    given = walk(140, noise=20, hidden=slice(60, 75))
    truth = walk(140).poses_3d
    offline, lagged = refined(given), refined(given, lag=15)
    seen = given.detected.clone()
    seen[50:85] = False
    assert truth is not None
    assert error(lagged[seen], truth[seen]) < 1.1 * error(offline[seen], truth[seen])
    later = dataclasses.replace(given, poses_3d=torch.cat([given.poses_3d[:100], given.poses_3d[100:] + 500]))  # type: ignore[index]
    assert torch.equal(refined(later, lag=15)[:85], lagged[:85])


def test_below_every_published_refinement_on_the_reference_noise(conformance: Path) -> None:
    """The reference's simulated predictions: with cameras and 2D, and with nothing but poses and scores."""
    from data.sets.mupots_3d import MuPoTS3D
    from pose.metrics.mupots import score_scenes
    from pose.metrics.scenes import predicted_scenes, scenes_from_sequences

    people = MuPoTS3D(conformance / "MuPoTS", fps=30).sequences("normal")
    noisy = torch.from_numpy(np.load(conformance / "expected/noisy_pred.npz")["pred"])
    parts = torch.split(noisy, [len(person) for person in people])
    given = [person.with_poses(poses, "normal") for person, poses in zip(people, parts, strict=True)]
    scenes = scenes_from_sequences(people)
    expected = json.loads((conformance / "expected/metrics.json").read_text())
    published = [values["stacked_valid"] for name, values in expected.items() if name.startswith("refined_")]
    for blind in (False, True):
        bare = [dataclasses.replace(person, camera=None) if blind else person for person in given]
        result = predicted_scenes(OcclusionRefinement()(bare).sequences, scenes)
        scores = score_scenes(scenes, result, pairings=["given"])["given/all"]["metrics"]
        assert scores["mrpe_mm"] < min(values["test_mrpe"] for values in published)
        assert scores["mpjpe_mm"] < min(values["test_rel_error"] for values in published)


def test_the_middles_of_hips_and_shoulders_are_not_taken_for_hip_and_neck() -> None:
    given = walk(60, noise=10)
    points = given.keypoints_2d.clone()
    points[:, [COCO_19.index("hip"), COCO_19.index("neck")]] += 50.0
    assert torch.equal(refined(dataclasses.replace(given, keypoints_2d=points)), refined(given))
    points[:, COCO_19.index("left_hip")] += 50.0
    assert error(refined(dataclasses.replace(given, keypoints_2d=points)), refined(given)) > 1


def test_a_single_root_behind_the_camera_is_an_error_like_others() -> None:
    truth, given = walk(100).poses_3d, walk(100, noise=5)
    poses = given.poses_3d.clone()  # type: ignore[union-attr]
    poses[50] -= torch.tensor([0.0, 0.0, 6000.0])
    found = refined(dataclasses.replace(given, poses_3d=poses))
    assert error(found[40:60], truth[40:60]) < 40  # type: ignore[index]
