"""Every metric against the plain second implementation, single against double precision, and what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pose.features import flip_3d
from pose.metrics import joint_errors as err
from pose.metrics.mupots import AnnotatedScene, PredictedScene, pair_by_2d, score_scenes
from pose.metrics.occlusion import errors_by_part, occlusion_lengths, split_errors
from tests.pose.metrics import plain

seeds = st.integers(0, 2**32 - 1)


@st.composite
def poses_and_truth(draw: st.DrawFn, longest: int = 12) -> tuple[Tensor, Tensor]:
    """(T, 17, 3) mm, float64: errors from a tenth of a millimetre to metres, near the camera and far from it."""
    rng, frames = np.random.default_rng(draw(seeds)), draw(st.integers(1, longest))
    truth = rng.normal(0, 300, (frames, 17, 3)) + [0, 0, draw(st.sampled_from((1500.0, 4000.0, 20000.0)))]
    off = draw(st.sampled_from((0.1, 30.0, 100.0, 2000.0)))
    return torch.from_numpy(truth + rng.normal(0, off, truth.shape)), torch.from_numpy(truth)


def every_score(poses: Tensor, truth: Tensor) -> dict[str, float]:
    return {key: errors.mean for key, errors in err.sequence_errors(poses, truth).items()}


def scores_of(poses: Tensor, truth: Tensor) -> dict[str, float]:
    return {key: value for key, value in every_score(poses, truth).items() if key.endswith(("mpjpe_mm", "mrpe_mm"))}


@given(poses_and_truth())
def test_errors_of_aligned_poses(pair: tuple[Tensor, Tensor]) -> None:
    lists = [values.tolist() for values in pair]
    expected = plain.millimetre_scores(*lists) | {"pa_mpjpe_mm": plain.pa_mpjpe(*lists)}
    assert scores_of(*pair) == pytest.approx(expected)
    scores, absolute = every_score(*pair), plain.errors(*lists, range(14))
    assert scores["r_pck_raw_pct"] == pytest.approx(plain.pck(plain.relative_errors(*lists, range(14))))
    assert scores["r_auc_raw_pct"] == pytest.approx(plain.auc(plain.relative_errors(*lists, range(14))))
    assert scores["a_pck_raw_pct"] == pytest.approx(plain.pck(absolute))
    assert scores["a_auc_raw_pct"] == pytest.approx(plain.auc(absolute))


@given(poses_and_truth(), seeds)
def test_accelerations(pair: tuple[Tensor, Tensor], seed: int) -> None:
    rng, frames = np.random.default_rng(seed), len(pair[0])
    counts = rng.random(frames) < 0.8
    expected = plain.acceleration_errors(*(values.tolist() for values in pair), counts.tolist(), list(range(frames)))
    found, counted = err.acceleration_errors(*pair, torch.from_numpy(counts))
    assert bool(counted.any()) == bool(expected)
    if expected:
        assert float(found[counted].mean()) == pytest.approx(plain.mean(expected))


@given(st.integers(1, 6), st.integers(0, 4), st.integers(1, 3), seeds)
def test_average_precision_of_roots(frames: int, rows: int, people: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths, roots = rng.normal(0, 200, (frames, people, 3)), rng.normal(0, 200, (frames, rows, 3))
    annotated, present = rng.random((frames, people)) < 0.7, rng.random((frames, rows)) < 0.8
    annotated[0, 0] = True
    arguments = (roots, present, truths, annotated, rng.random((frames, rows)))
    found = err.root_ap(*(torch.from_numpy(values) for values in arguments))
    assert float(found) == pytest.approx(plain.root_ap(*(values.tolist() for values in arguments)), abs=1e-4)


@given(st.integers(1, 140), st.floats(0, 1), seeds)
def test_splits_by_occlusion(frames: int, change: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    visible = np.cumsum(rng.random((frames, 2, 17)) < change**3, axis=0) % 2 == 0
    lengths = occlusion_lengths(torch.from_numpy(visible))
    expected = np.stack([plain.occlusion_lengths(track) for track in visible.reshape(frames, 34).T.tolist()], axis=1)
    np.testing.assert_array_equal(lengths.reshape(frames, 34), expected)
    truth = rng.normal(0, 300, (frames, 2, 17, 3)) + [0, 0, 4000]
    poses = truth + rng.normal(0, 100, truth.shape)
    flat = [values.reshape(-1, 17, 3).tolist() for values in (poses, truth)]
    values, own = plain.errors(*flat), lengths.flatten().tolist()
    assert split_errors(torch.tensor(values), lengths.flatten()) == pytest.approx(plain.split(values, own), rel=1e-5)
    errors = err.sequence_errors(torch.from_numpy(poses), torch.from_numpy(truth))
    found = {
        key: {part.removeprefix("joints:"): mean for part, mean in parts.items() if part.startswith("joints:")}
        for key, parts in errors_by_part([errors], None, [lengths]).items()
    }
    assert found["a_mpjpe_mm"] == pytest.approx(plain.split(values, own))
    assert found["mpjpe_mm"] == pytest.approx(plain.split(plain.relative_errors(*flat), own))
    roots = expected.reshape(frames, 2, 17)[..., plain.HIP].flatten().tolist()
    assert found["mrpe_mm"] == pytest.approx(plain.split(plain.errors(*flat, [plain.HIP]), roots))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[AnnotatedScene, PredictedScene]:
    """People near each other in the image, some invalid, undetected or with absent rows. As many rows as people."""
    rng, shape = np.random.default_rng(draw(seeds)), (draw(st.integers(1, 8)), draw(st.integers(1, 3)))
    truths = rng.normal(0, 300, (*shape, 17, 3)) + [0, 0, 4000]
    points = rng.normal(500, 60, (*shape, 17, 2)).round()
    valid = rng.random(shape) < draw(st.sampled_from((0.0, 0.8, 1.0)))
    present = rng.random(shape) < draw(st.sampled_from((0.0, 0.8, 1.0)))
    poses = truths + rng.normal(0, draw(st.sampled_from((20.0, 70.0, 200.0))), truths.shape)
    keypoints = (points + rng.normal(0, 25, points.shape)).round()
    keypoints[rng.random(shape) < 0.2] = 0.0
    poses[~present], truths[~valid] = np.nan, np.nan
    return AnnotatedScene(points, truths, valid), PredictedScene(poses, present, keypoints)


def plain_protocol(annotated: AnnotatedScene, predicted: PredictedScene, switches: str) -> dict[str, float]:
    assert predicted.keypoints_2d is not None
    arrays = (
        annotated.annotation_2d,
        annotated.annotation_3d,
        annotated.valid,
        predicted.poses_3d,
        predicted.keypoints_2d,
        predicted.present,
    )
    return plain.protocol(*(array.tolist() for array in arrays), *switches.split("/"))


@given(st.lists(scenes(), min_size=1, max_size=3))
def test_the_mupots_protocol_in_all_its_switches(made: list[tuple[AnnotatedScene, PredictedScene]]) -> None:
    annotated = {f"TS{i}": scene for i, (scene, _) in enumerate(made)}
    predicted = {f"TS{i}": scene for i, (_, scene) in enumerate(made)}
    for switches, result in score_scenes(annotated, predicted).items():
        each = [plain_protocol(*scenes, switches) for scenes in made]
        for name, expected in zip(annotated, each, strict=True):
            assert result["per_sequence"][name] == pytest.approx(expected, abs=1e-9)
        keys = {key for scores in each for key in scores}
        means = {key: plain.mean([scores[key] for scores in each if key in scores]) for key in keys}
        assert result["metrics"] == pytest.approx(means, abs=1e-9)


@given(scenes(), st.integers(0, 5), seeds)
def test_pairs_by_2d_with_other_numbers_of_rows(
    made: tuple[AnnotatedScene, PredictedScene], rows: int, seed: int
) -> None:
    annotated, rng = made[0], np.random.default_rng(seed)
    shape = (len(annotated.valid), rows)
    keypoints, present = rng.normal(500, 60, (*shape, 17, 2)).round(), rng.random(shape) < 0.7
    found = pair_by_2d(annotated, PredictedScene(np.zeros((*shape, 17, 3)), present, keypoints))
    arrays = (annotated.annotation_2d, annotated.valid, keypoints, present)
    expected = plain.pairs(*(array.tolist() for array in arrays), "by2d")
    assert {(t, p): int(found[t, p]) for t, p in np.argwhere(found >= 0).tolist()} == expected


# ---- what must not matter


@given(poses_and_truth())
def test_mirrored_both_nothing_changes(pair: tuple[Tensor, Tensor]) -> None:
    mirrored = flip_3d(pair[0]), flip_3d(pair[1])
    assert scores_of(*mirrored) == pytest.approx(scores_of(*pair))
    assert every_score(*mirrored)["a_auc_raw_pct"] == pytest.approx(every_score(*pair)["a_auc_raw_pct"])


@given(poses_and_truth(), seeds)
def test_order_of_frames_and_turns_of_the_camera_change_nothing(pair: tuple[Tensor, Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed % 2**31)
    order = torch.randperm(len(pair[0]), generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    expected = scores_of(*pair)
    assert scores_of(pair[0][order], pair[1][order]) == pytest.approx(expected)
    assert scores_of(pair[0] @ turn, pair[1] @ turn) == pytest.approx(expected)


@given(poses_and_truth(), st.floats(0.1, 10.0), st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_what_each_metric_does_not_see(pair: tuple[Tensor, Tensor], scale: float, by) -> None:
    poses, truth = pair
    shift, scores = torch.tensor(by, dtype=poses.dtype), scores_of(poses, truth)
    for moved, keys in (
        (poses + shift, ["mpjpe_mm"]),
        (poses * scale + shift, ["pa_mpjpe_mm"]),
        (poses * scale, ["n_mrpe_mm", "n_mpjpe_mm"]),
    ):
        found = scores_of(moved, truth)
        assert all(found[key] == pytest.approx(scores[key]) for key in keys)
    # Aligned, the squared errors can only have become fewer than with the hips or the centres laid together.
    centred = [values - values.mean(1, keepdim=True) for values in pair]
    aligned = (err.procrustes_aligned(poses, truth) - truth).square().sum((1, 2))
    assert bool((aligned <= (centred[0] - centred[1]).square().sum((1, 2)) * (1 + 1e-9)).all())


@given(poses_and_truth())
def test_single_precision(pair: tuple[Tensor, Tensor]) -> None:
    """float32 tells places 20 m away apart by 0.002 mm; mean errors are right to 0.01 mm or 1e-5 of themselves."""
    single = tuple(values.float() for values in pair)
    assert scores_of(*single) == pytest.approx(scores_of(*pair), rel=1e-5, abs=0.01)
    # A share can change only by joints on the edge of a threshold.
    values = err.joint_errors(*pair)
    edge = float(((values % 5 - 2.5).abs() > 2.49).double().mean()) * 100
    assert abs(every_score(*single)["a_auc_raw_pct"] - every_score(*pair)["a_auc_raw_pct"]) <= edge + 1e-4
    assert math.isclose(float(err.joint_errors(*single).max()), float(values.max()), rel_tol=1e-5, abs_tol=0.01)


@given(scenes())
def test_the_order_of_people_does_not_matter_to_given_pairs(made: tuple[AnnotatedScene, PredictedScene]) -> None:
    annotated, predicted = made
    order = np.arange(annotated.valid.shape[1])[::-1]
    turned = [
        {"TS1": type(scene)(*(None if array is None else array[:, order] for array in vars(scene).values()))}
        for scene in (annotated, predicted)
    ]
    found, other = score_scenes({"TS1": annotated}, {"TS1": predicted}), score_scenes(*turned)
    for switches in ("given/all", "given/matched"):
        assert other[switches]["metrics"] == pytest.approx(found[switches]["metrics"], abs=1e-9)
