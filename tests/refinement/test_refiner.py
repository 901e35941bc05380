from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pose.errors import ConfigError, DataError, MismatchError, ShapeError
from pose.features import flip_3d
from pose.joint_sets import MUPOTS_17, PANOPTIC_19, JointSet
from pose.sequence import PoseSequence
from refinement import (
    FastRefinement,
    InterpolationRefinement,
    NoRefinement,
    OcclusionRefinement,
    PaperRefinement,
    refine,
)
from refinement.published import refinements

MakePerson = Callable[..., PoseSequence]


def poses(sequence: PoseSequence) -> torch.Tensor:
    assert sequence.poses_3d is not None
    return sequence.poses_3d


def test_none_leaves_everything(make_person: MakePerson) -> None:
    people = [make_person(5), make_person(7)]
    result = NoRefinement()(people)
    for given, refined in zip(people, result.sequences, strict=True):
        assert poses(refined) is poses(given) and refined.lifted_3d is given.poses_3d
    assert result.energies is None


def test_a_walk_through_an_occlusion_comes_out_nearer_to_the_truth() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([0.0, 0.0, 4000.0]) + torch.arange(60)[:, None, None] * torch.tensor([5.0, 0.0, 5.0])
    truth = (truth + 300 * torch.randn(1, 17, 3, generator=generator)).expand(60, 17, 3)
    score = torch.full((60,), 0.95)
    score[20:40] = 0
    predicted = truth + 20 * torch.randn(truth.shape, generator=generator)
    predicted[20:40] += torch.tensor([300.0, 0.0, 1500.0])
    refined = poses(refine(predicted, score, PaperRefinement()))
    assert (refined - truth)[20:40].norm(dim=-1).mean() < 0.1 * (predicted - truth)[20:40].norm(dim=-1).mean()
    assert (refined - truth)[:15].norm(dim=-1).mean() < (predicted - truth)[:15].norm(dim=-1).mean()


def test_result_keeps_order_metadata_and_reports_each_person(make_person: MakePerson) -> None:
    people = [make_person(30, seed=1, person=2), make_person(1, seed=2, person=0), make_person(25, seed=3, person=1)]
    result = PaperRefinement()(people)
    assert [s.name for s in result.sequences] == ["TS1/2", "TS1/0", "TS1/1"]
    assert result.energies is not None
    assert result.energies.converged.tolist() == [True, True, True]
    assert (result.energies.after <= result.energies.before).all()
    assert (result.energies.iterations % 50 == 0).all()
    for before, after in zip(people, result.sequences, strict=True):
        for field in dataclasses.fields(before):
            if field.name not in ("poses_3d", "observed", "lifted_3d"):
                assert getattr(before, field.name) is getattr(after, field.name)


@pytest.mark.parametrize(
    "method",
    [NoRefinement(), PaperRefinement(num_iter=3), FastRefinement(), OcclusionRefinement(), InterpolationRefinement()],
    ids=lambda method: method.name,
)
def test_the_result_says_what_was_observed_and_keeps_the_lifted_poses(method, make_person: MakePerson) -> None:
    person = make_person(30)
    person = dataclasses.replace(person, detected=torch.arange(30) != 25)
    person.confidence[10:20] = 0
    (refined,) = method([person]).sequences
    assert refined.observed.tolist() == [[t != 25 and not 10 <= t < 20] * 17 for t in range(30)]
    assert refined.lifted_3d is person.poses_3d
    assert (refined.std_mm is not None) == (method.name == "occlusion")
    (again,) = method([refined]).sequences
    assert again.lifted_3d is person.poses_3d


def test_order_and_company_do_not_matter(make_person: MakePerson, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [make_person(frames, seed=frames, person=frames) for frames in (30, 3, 45, 22)]
    method = PaperRefinement()
    together = method(people).sequences
    reversed_ = method(people[::-1]).sequences[::-1]
    monkeypatch.setattr(refinements, "FRAMES_AT_ONCE", 40)
    in_groups = method(people).sequences
    for a, b, c in zip(together, reversed_, in_groups, strict=True):
        torch.testing.assert_close(poses(a), poses(b), rtol=0, atol=0.01)
        torch.testing.assert_close(poses(a), poses(c), rtol=0, atol=0.01)


def test_the_mirror_image_is_refined_to_the_mirror_image(make_person: MakePerson) -> None:
    person = make_person(40)
    mirrored = person.with_poses(flip_3d(poses(person)), "normal")
    a, b = (poses(PaperRefinement()([s]).sequences[0]) for s in (person, mirrored))
    torch.testing.assert_close(flip_3d(a), b, rtol=0, atol=0.01)


def test_a_shift_of_the_scene_shifts_the_result(make_person: MakePerson) -> None:
    person, shift = make_person(40), torch.tensor([250.0, -500.0, 1000.0])
    shifted = person.with_poses(poses(person) + shift, "normal")
    a, b = (poses(PaperRefinement()([s]).sequences[0]) for s in (person, shifted))
    torch.testing.assert_close(a + shift, b, rtol=0, atol=0.2)


@pytest.mark.parametrize("settings", [{}, {"learning_rate": 0.01, "num_iter": 50}], ids=str)
def test_a_person_standing_still_stays_to_the_bit(make_person: MakePerson, settings: dict) -> None:
    person = make_person(50)
    still = person.with_poses(poses(person)[:1].repeat(50, 1, 1), "normal")
    result = PaperRefinement(**settings)([still])
    assert torch.equal(poses(result.sequences[0]), poses(still))


def test_one_frame_comes_back_unchanged(make_person: MakePerson) -> None:
    person = make_person(1)
    assert torch.equal(poses(PaperRefinement()([person]).sequences[0]), poses(person))


@pytest.mark.parametrize(("order", "frames"), [("step_zero_velocity_loss", 20), ("step_const_velocity_loss", 40)])
def test_short_sequences_have_no_large_steps(make_person: MakePerson, order: str, frames: int) -> None:
    settings = {"smoothness_loss_hip": order, "smoothness_loss_rel": order, "max_iter": 100}
    plain = PaperRefinement(**settings)
    heavy = PaperRefinement(smoothness_weight_hip_large=10.0, smoothness_weight_rel_large=10.0, **settings)
    for length, same in ((frames, True), (frames + 1, False)):
        person = make_person(length)
        a, b = (poses(method([person]).sequences[0]) for method in (plain, heavy))
        assert torch.equal(a, b) == same


def test_no_person_to_refine() -> None:
    assert PaperRefinement()([]).sequences == []


def test_two_skeletons_in_one_list(make_person: MakePerson) -> None:
    person = make_person(10)
    other = dataclasses.replace(
        person,
        poses_3d=torch.cat([poses(person), poses(person)[:, :2]], dim=1),
        visible=torch.ones(10, 19, dtype=torch.bool),
        joints_3d=PANOPTIC_19,
    )
    result = PaperRefinement()([person, other])
    assert [poses(s).shape[1] for s in result.sequences] == [17, 19]


def test_too_few_iterations_are_reported(make_person: MakePerson, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "refinement.refiner"):
        PaperRefinement(max_iter=50)([make_person(30)])
    assert "max_iter=50" in caplog.text
    assert "TS1/0" in caplog.text


class TestBadInput:
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_poses_that_are_not_finite(self, make_person: MakePerson, value: float) -> None:
        person = make_person(5, person=3)
        broken = poses(person).clone()
        broken[2, 4, 1] = value
        with pytest.raises(DataError, match=r"TS1/3: poses_3d NaN or infinite in 1 frames, first in frame 102; "):
            PaperRefinement()([make_person(4), person.with_poses(broken, "normal")])

    @pytest.mark.parametrize("value", [-0.1, 1.3, 87.0, float("nan")])
    def test_scores_outside_their_range(self, make_person: MakePerson, value: float) -> None:
        person = make_person(5)
        scores = person.confidence.clone()
        scores[3, 0] = value
        with pytest.raises(DataError, match=r"TS1/0: confidence outside 0\.\.1 in 1 frames, first in frame 103; "):
            PaperRefinement()([dataclasses.replace(person, confidence=scores)])

    def test_no_frames(self, make_person: MakePerson) -> None:
        with pytest.raises(DataError, match="TS1/0: no frames"):
            PaperRefinement()([make_person(0)])

    def test_no_poses(self, make_person: MakePerson) -> None:
        person = dataclasses.replace(make_person(5), poses_3d=None, coordinates=None)
        with pytest.raises(MismatchError, match="TS1/0: has no poses_3d"):
            PaperRefinement()([person])

    def test_no_root(self, make_person: MakePerson) -> None:
        rootless = JointSet("rootless", MUPOTS_17.names)
        with pytest.raises(MismatchError, match="rootless has no root"):
            PaperRefinement()([dataclasses.replace(make_person(5), joints_3d=rootless)])

    def test_keys(self) -> None:
        with pytest.raises(ConfigError, match=r"^l2_cap=-1: must be a number > 0"):
            PaperRefinement(l2_cap=-1)
        with pytest.raises(ConfigError, match=r"^max_iter=0: "):
            PaperRefinement(max_iter=0)
        with pytest.raises(TypeError, match="smoothness"):
            PaperRefinement(smoothness=1)


class TestArrays:
    def test_agrees_with_sequences(self, make_person: MakePerson) -> None:
        person = make_person(30)
        method = PaperRefinement(max_iter=200)
        before = poses(person).numpy().copy()
        refined = refine(poses(person).numpy(), person.confidence.numpy(), method=method, fps=50).poses_3d
        assert refined is not None and refined.dtype == torch.float32
        np.testing.assert_array_equal(refined, poses(method([person]).sequences[0]).numpy())
        np.testing.assert_array_equal(poses(person).numpy(), before)

    def test_one_score_per_frame(self, make_person: MakePerson) -> None:
        person = make_person(12)
        score = person.confidence.mean(1)
        method = PaperRefinement(max_iter=100)
        by_frame = refine(poses(person), score, method)
        by_joint = refine(poses(person), person.confidence, method)
        torch.testing.assert_close(by_frame.poses_3d, by_joint.poses_3d, atol=0.5, rtol=0)

    def test_shapes(self) -> None:
        with pytest.raises(ShapeError, match="poses_3d"):
            refine(np.zeros((5, 16, 3)), np.ones(5))
        for score in (np.ones(4), np.ones((5, 0)), np.ones((5, 19, 1))):
            with pytest.raises(ShapeError, match="score"):
                refine(np.zeros((5, 17, 3)), score)
        with pytest.raises(DataError, match="no frames"):
            refine(np.zeros((0, 17, 3)), np.ones(0))
