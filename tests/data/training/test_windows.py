"""Training windows: against an independent implementation's, by hand at the ends, and what an epoch is made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from data.training.windows import EpochSampler, FrameTable, training_loader, window_offsets
from pose.cameras import Camera
from pose.canonical import CanonicalFeatures
from pose.errors import ConfigError, DataError, MismatchError
from pose.features import Features, PublishedFeatures, encode_3d, features_2d, flip_2d, flip_3d, scale_depth
from pose.joint_sets import COCO_17, MUPOTS_17
from pose.sequence import PoseSequence

CAMERA = Camera(1500.0, 1400.0, 1000.0, 500.0, 1920, 1080)


def assert_agrees(found: Tensor, expected: np.ndarray) -> None:
    """The conformance tolerance: |a - b| <= 1e-4 max(1, |b|)."""
    expected_t = torch.from_numpy(np.asarray(expected, np.float32))
    assert found.shape == expected_t.shape
    assert ((found - expected_t).abs() <= 1e-4 * expected_t.abs().clamp(min=1)).all()


def person(name: str, frames: int, undetected: tuple[int, ...] = (), **fields) -> PoseSequence:
    generator = torch.Generator().manual_seed(len(name) + frames)
    keypoints_2d = 1000 * torch.rand(frames, 19, 2, generator=generator)
    confidence = 0.2 + 0.8 * torch.rand(frames, 19, generator=generator)
    detected = torch.ones(frames, dtype=torch.bool)
    for frame in undetected:
        keypoints_2d[frame], confidence[frame], detected[frame] = 0, 0, False
    poses_3d = 300 * torch.randn(frames, 17, 3, generator=generator) + torch.tensor([0.0, 0.0, 4000.0])
    whole = PoseSequence(name, 0, CAMERA, 25.0, keypoints_2d, confidence, detected, poses_3d, coordinates="normal")
    return dataclasses.replace(whole, **fields)


def raw(table: FrameTable, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Features and targets of a batch before standardisation."""
    return table.feature_standardiser.invert(batch["features"]), table.target_standardiser.invert(batch["targets"])


def unflipped(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.bool)


@pytest.fixture(scope="module")
def reference(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "windows.npz"))


@pytest.fixture(scope="module")
def reference_sequences(reference) -> list[PoseSequence]:
    found = []
    while f"poses_{len(found)}" in reference:
        i = len(found)
        detections, camera = torch.from_numpy(reference[f"keypoints_{i}"]), reference[f"camera_{i}"]
        found.append(
            PoseSequence(
                sequence=str(i),
                person=0,
                camera=Camera(*(float(value) for value in camera[:4]), int(camera[4]), int(camera[5])),
                fps=25.0,
                keypoints_2d=detections[..., :2],
                confidence=detections[..., 2],
                detected=torch.from_numpy(reference[f"detected_{i}"]),
                poses_3d=torch.from_numpy(reference[f"poses_{i}"]),
                coordinates="normal",
            )
        )
    return found


def test_windows_agree_with_the_golden_ones(reference, reference_sequences) -> None:
    table = FrameTable(reference_sequences, 27)
    starts = np.cumsum([0] + [len(sequence) for sequence in reference_sequences])
    centres = torch.from_numpy(starts[reference["window_sequence"]] + reference["window_position"])
    features, targets = raw(table, table.gather(centres, unflipped(len(centres))))
    assert_agrees(features, reference["window_features"])
    assert_agrees(targets, reference["window_target"])


def test_depth_copies_agree_with_the_golden_ones(reference, reference_sequences) -> None:
    for row in range(len(reference["aug_scale"])):
        sequence = reference_sequences[reference["aug_sequence"][row]]
        at = int(reference["aug_position"][row])
        assert sequence.poses_3d is not None
        keypoints_2d, poses_3d = scale_depth(
            sequence.keypoints_2d[at], sequence.poses_3d[at], float(reference["aug_scale"][row])
        )
        assert_agrees(keypoints_2d, reference["aug_poses2d"][row, :, :2])
        assert_agrees(poses_3d, reference["aug_poses3d"][row])


@pytest.mark.parametrize(("causal", "expected"), [(False, [-2, -1, 0, 1, 2]), (True, [-4, -3, -2, -1, 0])])
def test_a_window_is_about_its_centre_or_its_last_frame(causal: bool, expected: list[int]) -> None:
    assert window_offsets(5, causal).tolist() == expected


@pytest.mark.parametrize(("receptive_field", "causal"), [(0, False), (4, False), (-1, True)])
def test_impossible_windows_are_refused(receptive_field: int, causal: bool) -> None:
    with pytest.raises(ConfigError, match=f"receptive_field={receptive_field}: must be"):
        window_offsets(receptive_field, causal)


@pytest.mark.parametrize("causal", [False, True])
def test_past_the_ends_the_first_and_last_frame_repeat(causal: bool) -> None:
    first, second = person("a", 4), person("bb", 6)
    table = FrameTable([first, second], 5, causal=causal)
    features, targets = raw(table, table.gather(torch.tensor([0, 3, 4, 9]), unflipped(4)))
    frames = [[0, 0, 0, 0, 0], [0, 0, 1, 2, 3], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]]
    if not causal:
        frames = [[0, 0, 0, 1, 2], [1, 2, 3, 3, 3], [0, 0, 0, 1, 2], [3, 4, 5, 5, 5]]
    for row, (sequence, target) in enumerate(((first, 0), (first, 3), (second, 0), (second, 5))):
        expected = features_2d(sequence.keypoints_2d, sequence.confidence, CAMERA)[frames[row]]
        torch.testing.assert_close(features[row], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(targets[row], encode_3d(sequence.poses_3d)[target], rtol=1e-5, atol=1e-3)


def test_flipped_windows_are_the_windows_of_mirrored_sequences() -> None:
    sequence = person("a", 9, undetected=(3,))
    table = FrameTable([sequence], 3)
    flipped = torch.tensor([True, False, True])
    features, targets = raw(table, table.gather(torch.tensor([4, 4, 8]), flipped))
    mirrored_2d = features_2d(*flip_2d(sequence.keypoints_2d, sequence.confidence, 1920), CAMERA.flipped())
    mirrored_3d = encode_3d(flip_3d(sequence.poses_3d))
    torch.testing.assert_close(features[0], mirrored_2d[[3, 4, 5]], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features[2], mirrored_2d[[7, 8, 8]], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(targets[[0, 2]], mirrored_3d[[4, 8]], rtol=1e-5, atol=1e-3)
    plain = features_2d(sequence.keypoints_2d, sequence.confidence, CAMERA)
    torch.testing.assert_close(features[1], plain[[3, 4, 5]], rtol=1e-5, atol=1e-5)


def test_rows_are_standardised_by_the_plain_ones_undetected_included() -> None:
    sequence = person("a", 50, undetected=tuple(range(10)))
    table = FrameTable([sequence], 3)
    assert table.features.shape == (100, 42) and table.targets.shape == (100, 51)
    torch.testing.assert_close(table.features[:50].mean(0), torch.zeros(42), rtol=0, atol=1e-5)
    torch.testing.assert_close(table.features[:50].std(0, correction=0), torch.ones(42), rtol=0, atol=1e-5)
    assert table.features[50:].mean(0).abs().max() > 0.1, "mirrored rows use the statistics of the plain ones"


def test_only_detected_and_annotated_frames_are_centres() -> None:
    annotated = torch.ones(6, dtype=torch.bool)
    annotated[5] = False
    sequence = person("a", 6, undetected=(0, 2), annotated=annotated)
    assert sequence.poses_3d is not None
    sequence.poses_3d[5] = torch.nan
    table = FrameTable([sequence], 3, augment_depth=True)
    assert table.centres.tolist() == [1, 3, 4, 7, 9, 10]
    batch = table.gather(table.centres, unflipped(6))
    assert batch["features"].isfinite().all() and batch["targets"].isfinite().all()


def test_depth_augmentation_doubles_the_set_by_one_scale_per_sequence() -> None:
    sequences = [person("a", 5), person("bb", 7)]
    table = FrameTable(sequences, 5, augment_depth=True, seed=3)
    assert table.n_frames == 24 and len(table) == 24
    _, targets = raw(table, table.gather(torch.arange(24), unflipped(24)))
    for rows, copies in ((slice(0, 5), slice(12, 17)), (slice(5, 12), slice(17, 24))):
        scale = (targets[copies, -1] - targets[rows, -1]).exp()
        torch.testing.assert_close(scale, scale[:1].expand(len(scale)), rtol=1e-4, atol=0)
        assert 0.6 <= scale[0] <= 1.5 and scale[0] != 1
        torch.testing.assert_close(targets[copies, :48], targets[rows, :48], rtol=1e-4, atol=1e-2)
    features, _ = raw(table, table.gather(torch.tensor([12]), unflipped(1)))
    torch.testing.assert_close(features[0, 0], features[0, 2])
    again = FrameTable(sequences, 5, augment_depth=True, seed=3)
    assert torch.equal(table.features, again.features)
    assert not torch.equal(table.features, FrameTable(sequences, 5, augment_depth=True, seed=4).features)


def test_the_table_is_half_as_large_without_flips() -> None:
    table = FrameTable([person("a", 8)], 3, flip=False)
    assert table.features.shape == (8, 42)
    batches = list(EpochSampler(table, 4))
    assert not torch.cat([flipped for _, flipped in batches]).any()


def batches_of(table: FrameTable, epoch: int, **options) -> list[tuple[Tensor, Tensor]]:
    sampler = EpochSampler(table, 4, **options)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


def test_an_epoch_depends_on_seed_and_epoch_only() -> None:
    table = FrameTable([person("a", 30)], 3)

    def drawn(epoch: int, seed: int) -> Tensor:
        torch.rand(epoch + 1)  # whatever happened to the global random state
        return torch.cat([torch.stack([c, f.long()]) for c, f in batches_of(table, epoch, seed=seed)], dim=1)

    assert torch.equal(drawn(2, seed=5), drawn(2, seed=5))
    assert not torch.equal(drawn(2, seed=5), drawn(3, seed=5))
    assert not torch.equal(drawn(2, seed=5), drawn(2, seed=6))
    centres, flipped = drawn(0, seed=0)
    assert len(centres) == 28 and len(centres.unique()) == 28, "whole batches, each window once"
    assert 4 < flipped.sum() < 24


def test_ranks_share_an_epoch() -> None:
    table = FrameTable([person("a", 30)], 3)
    ranks = [batches_of(table, 1, rank=rank, world_size=2) for rank in (0, 1)]
    centres = torch.cat([centre for batches in ranks for centre, _ in batches])
    assert len(ranks[0]) == len(ranks[1]) == 3
    assert len(centres.unique()) == len(centres) == 24


def test_fewer_windows_than_a_batch_are_refused() -> None:
    table = FrameTable([person("a", 9, undetected=(0, 1))], 3)
    with pytest.raises(ConfigError, match=r"batch_size=8: an epoch has only 7 frames"):
        EpochSampler(table, 8)
    for parts in ({"world_size": 2}, {"accumulate": 2}):
        with pytest.raises(ConfigError, match=r"batch_size=8: an epoch has only 7 frames"):
            EpochSampler(table, 4, **parts)


def test_an_epoch_of_some_windows_draws_others_each_time() -> None:
    table = FrameTable([person("a", 60)], 3)
    first, second = (torch.cat([c for c, _ in batches_of(table, epoch, windows=20)]) for epoch in (0, 1))
    assert len(first) == 20 == len(first.unique()) and set(first.tolist()) != set(second.tolist())
    assert len(EpochSampler(table, 4, windows=1000)) == 15
    assert len(EpochSampler(table, 4, accumulate=4)) == 12, "the steps are whole"
    with pytest.raises(ConfigError, match=r"batch_size=8: an epoch has only 7 frames"):
        EpochSampler(table, 8, windows=7)


def test_undetected_frames_are_learnt_where_their_window_holds_a_detection() -> None:
    gap = tuple(range(4, 12))
    usual = FrameTable([person("a", 20, undetected=gap)], 5)
    more = FrameTable([person("a", 20, undetected=gap)], 5, undetected=True)
    assert set(more.centres.tolist()) - set(usual.centres.tolist()) == {4, 5, 10, 11}
    causal = FrameTable([person("a", 20, undetected=gap)], 5, causal=True, undetected=True)
    assert set(causal.centres.tolist()) - set(usual.centres.tolist()) == {4, 5, 6, 7}


def test_the_loader_yields_batches_and_leaves_the_global_random_state_alone() -> None:
    table = FrameTable([person("a", 30, undetected=(3,))], 9)
    before = torch.random.get_rng_state()
    batches = list(training_loader(table, EpochSampler(table, 8)))
    assert torch.equal(before, torch.random.get_rng_state())
    assert [tuple(batch["features"].shape) for batch in batches] == [(8, 9, 42)] * 3
    assert [tuple(batch["targets"].shape) for batch in batches] == [(8, 51)] * 3
    assert batches[0]["features"].is_contiguous() and batches[0]["features"].dtype == torch.float32


def test_unusable_sequences_are_refused_by_name() -> None:
    good = person("good", 5)
    with pytest.raises(DataError, match="no frames"):
        FrameTable([], 3)
    with pytest.raises(DataError, match="bad/0: has no camera"):
        FrameTable([good, person("bad", 5, camera=None)], 3)
    with pytest.raises(DataError, match="bad/0: has no 3D annotation"):
        FrameTable([good, person("bad", 5, poses_3d=None)], 3)
    with pytest.raises(MismatchError, match=r"normal.*universal"):
        FrameTable([good, person("bad", 5, coordinates="universal")], 3)
    with pytest.raises(MismatchError, match="bad/0: detections: joint set COCO-17"):
        FrameTable(
            [person("bad", 5, keypoints_2d=torch.zeros(5, 17, 2), confidence=torch.zeros(5, 17), joints_2d=COCO_17)], 3
        )
    for field in ("keypoints_2d", "confidence", "poses_3d"):
        broken = getattr(good, field).clone()
        broken[2] = torch.nan
        annotated = torch.tensor([False, True, True, True, True])
        with pytest.raises(DataError, match=r"bad/0: .*NaN .*the first is frame 2; "):
            FrameTable([good, person("bad", 5, **{field: broken, "annotated": annotated})], 3)


@pytest.mark.parametrize("kind", [PublishedFeatures(), CanonicalFeatures()])
def test_a_hip_behind_the_camera_is_no_target(kind: Features) -> None:
    good = person("bad", 5)
    poses_3d = good.require("poses_3d").clone()
    poses_3d[3, :, 2] -= 2 * poses_3d[3, MUPOTS_17.index("hip"), 2]
    with pytest.raises(DataError, match=r"bad/0: frame 3: its pose is no target to learn \(a hip at or behind"):
        FrameTable([person("bad", 5, poses_3d=poses_3d)], 3, kind=kind)
    annotated = torch.arange(5) != 3
    assert len(FrameTable([person("bad", 5, poses_3d=poses_3d, annotated=annotated)], 3, kind=kind)) == 4


def test_features_that_are_no_numbers_are_refused_by_name() -> None:
    class Broken(PublishedFeatures):
        def encode(self, sequence, causal):
            features, view = super().encode(sequence, causal)
            features[4, 7] = torch.inf
            return features, view

    with pytest.raises(DataError, match=r"a/0: frame 4: its features \(Broken\) are NaN or infinite"):
        FrameTable([person("a", 6)], 3, kind=Broken())


def test_empty_sequences_do_no_harm() -> None:
    table = FrameTable([person("a", 0), person("bb", 5), person("ccc", 0)], 3, augment_depth=True)
    assert table.n_frames == 10 and len(table) == 10
