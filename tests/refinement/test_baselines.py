from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from pose.errors import ConfigError, DataError
from pose.features import flip_3d
from pose.sequence import PoseSequence
from refinement import (
    GaussianRefinement,
    InterpolationRefinement,
    KalmanRTSRefinement,
    OneEuroRefinement,
    SavitzkyGolayRefinement,
)
from refinement.baselines import Baseline, rts_smoother
from refinement.gaps import bridge

MakePerson = Callable[..., PoseSequence]
ALL = (
    InterpolationRefinement,
    OneEuroRefinement,
    SavitzkyGolayRefinement,
    GaussianRefinement,
    KalmanRTSRefinement,
)
every = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)


def poses(sequence: PoseSequence) -> torch.Tensor:
    assert sequence.poses_3d is not None
    return sequence.poses_3d


def refined(method: Baseline, person: PoseSequence) -> torch.Tensor:
    return poses(method([person]).sequences[0])


def with_gap(person: PoseSequence, gap: slice) -> PoseSequence:
    detected, broken = person.detected.clone(), poses(person).clone()
    detected[gap] = False
    broken[gap] += 5000
    return dataclasses.replace(person, detected=detected, poses_3d=broken)


def moving(frames: int, fps: float = 30.0, order: int = 1, person: PoseSequence | None = None) -> torch.Tensor:
    """(frames, 17, 3) mm: 1 m/s for a second, the joints spread out; with order 2 accelerating."""
    t = torch.arange(frames)[:, None, None] / fps
    spread = 200 * torch.randn(1, 17, 3, generator=torch.Generator().manual_seed(0))
    return torch.tensor([0.0, 0.0, 4000.0]) + spread + 1000 * t**order * torch.tensor([1.0, 0.0, 0.5])


@every
def test_the_configuration_builds_it_with_the_keys_of_the_constructor(kind: type[Baseline], repo: Path) -> None:
    method = instantiate(OmegaConf.load(repo / "conf" / "refinement" / f"{kind.name}.yaml"))
    assert type(method) is kind
    assert vars(method) == vars(kind()), "the defaults are those of the file"


@every
def test_standing_still_stays(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(40)
    still = person.with_poses(poses(person)[:1].repeat(40, 1, 1), "normal")
    torch.testing.assert_close(refined(kind(), still), poses(still), rtol=0, atol=0.05)


@every
def test_one_frame_and_no_person(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(1)
    torch.testing.assert_close(refined(kind(), person), poses(person), rtol=0, atol=0.05)
    assert kind()([]).sequences == []


@every
def test_a_person_who_is_never_detected_stays_finite(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(12)
    unseen = dataclasses.replace(person, detected=torch.zeros(12, dtype=torch.bool))
    assert bool(refined(kind(), unseen).isfinite().all())


@every
def test_undetected_frames_do_not_matter(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(60)
    gap = slice(20, 35)
    broken = with_gap(person, gap)
    other = broken.with_poses(poses(broken) * 3, "normal")
    other_poses = poses(broken).clone()
    other_poses[gap] = poses(other)[gap]
    result = kind()([broken, broken.with_poses(other_poses, "normal")])
    torch.testing.assert_close(poses(result.sequences[0]), poses(result.sequences[1]), rtol=0, atol=1e-3)
    refined = result.sequences[0]
    assert refined.observed is not None
    assert not refined.observed[gap].any()
    assert refined.observed[:20].all()


@every
def test_noise_gets_less_but_with_interpolation(kind: type[Baseline], make_person: MakePerson) -> None:
    truth = moving(1).expand(120, -1, -1)
    noise = 60 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    person = dataclasses.replace(make_person(120), poses_3d=truth + noise, confidence=torch.full((120, 19), 0.9))
    error = (refined(kind(), person) - truth).norm(dim=-1)[10:].mean()
    plain = noise.norm(dim=-1)[10:].mean()
    assert error == pytest.approx(float(plain), rel=1e-4) if kind is InterpolationRefinement else error < 0.9 * plain


@every
def test_mirror_and_shift(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(50)
    result = refined(kind(), person)
    mirrored = refined(kind(), person.with_poses(flip_3d(poses(person)), "normal"))
    torch.testing.assert_close(flip_3d(result), mirrored, rtol=0, atol=0.02)
    shift = torch.tensor([300.0, -200.0, 1000.0])
    shifted = refined(kind(), person.with_poses(poses(person) + shift, "normal"))
    torch.testing.assert_close(result + shift, shifted, rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", [SavitzkyGolayRefinement, GaussianRefinement, KalmanRTSRefinement])
def test_time_reversal(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(61)
    backward = dataclasses.replace(person, poses_3d=poses(person).flip(0), confidence=person.confidence.flip(0))
    torch.testing.assert_close(refined(kind(), person), refined(kind(), backward).flip(0), rtol=0, atol=0.05)


@every
def test_twice_the_frame_rate_gives_the_same_trajectory(kind: type[Baseline], make_person: MakePerson) -> None:
    t = torch.arange(241) / 60
    wave = torch.sin(2 * torch.pi * 0.5 * t)[:, None, None] * torch.tensor([300.0, 0.0, 200.0])
    track = (torch.tensor([0.0, 0.0, 4000.0]) + wave).expand(241, 17, 3).contiguous()
    full = dataclasses.replace(
        make_person(241), poses_3d=track, confidence=torch.full((241, 19), 0.9), detected=None, fps=60.0
    )
    fast, slow = refined(kind(), full)[::2], refined(kind(), full.decimated(2))
    limit = {OneEuroRefinement: 25, KalmanRTSRefinement: 10}.get(kind, 6)
    assert (fast - slow).norm(dim=-1).max() < limit


def test_interpolation_by_hand(make_person: MakePerson) -> None:
    track = moving(12)
    person = dataclasses.replace(make_person(12), poses_3d=track, confidence=torch.ones(12, 19))
    result = refined(InterpolationRefinement(), with_gap(person, slice(3, 9)))
    torch.testing.assert_close(result, track, rtol=0, atol=1e-2)
    at_ends = refined(InterpolationRefinement(), with_gap(person, slice(0, 4)))
    torch.testing.assert_close(at_ends[:4], track[4:5].expand(4, -1, -1), rtol=0, atol=1e-2)


def test_all_scores_zero_count_as_undetected(make_person: MakePerson) -> None:
    track, scores = moving(9), torch.ones(9, 19)
    scores[4] = 0
    broken = track.clone()
    broken[4] += 700
    person = dataclasses.replace(make_person(9), poses_3d=broken, confidence=scores)
    torch.testing.assert_close(refined(InterpolationRefinement(), person), track, rtol=0, atol=1e-2)


def test_savitzky_golay_keeps_parabolas_and_shortens_its_window(make_person: MakePerson) -> None:
    for frames in (60, 4, 2):
        person = dataclasses.replace(
            make_person(frames), poses_3d=moving(frames, order=2), confidence=torch.ones(frames, 19)
        )
        torch.testing.assert_close(refined(SavitzkyGolayRefinement(1.0, 2), person), poses(person), rtol=0, atol=0.02)


def test_one_euro_first_steps_by_hand(make_person: MakePerson) -> None:
    track = torch.zeros(2, 17, 3) + torch.tensor([0.0, 0.0, 1000.0])
    track[1, :, 0] = 300.0  # 0.3 m in 0.1 s: 3 m/s, of which the speed's filter takes its part
    person = dataclasses.replace(make_person(2), poses_3d=track, confidence=torch.ones(2, 19), fps=10.0)
    weight = 1 / (1 + 1 / (2 * np.pi * 1.0 * 0.1))
    cutoff = 2.0 + 0.5 * weight * 3.0
    expected = 300 / (1 + 1 / (2 * np.pi * cutoff * 0.1))
    result = refined(OneEuroRefinement(min_cutoff=2.0, beta=0.5, speed_cutoff=1.0), person)
    assert float(result[1, 3, 0]) == pytest.approx(expected, abs=0.01)


def test_the_kalman_smoother_solves_its_least_squares_problem() -> None:
    rng = np.random.default_rng(0)
    frames, period, density = 15, 0.1, 0.7
    values, information = rng.normal(size=(frames, 2)), rng.uniform(0.5, 20, frames)
    information[5:8] = 0
    # Normal equations over all states (value, velocity) at once.
    move = np.array([[1, period], [0, 1]])
    disturb = np.linalg.inv(density * np.array([[period**3 / 3, period**2 / 2], [period**2 / 2, period]]))
    matrix, right = np.zeros((2 * frames, 2 * frames)), np.zeros((2 * frames, 2))
    matrix[:2, :2] = np.diag([1e-6, 1e-6])
    for t in range(frames):
        matrix[2 * t, 2 * t] += information[t]
        right[2 * t] = information[t] * values[t]
        if t:
            step = np.zeros((2, 2 * frames))
            step[:, 2 * t : 2 * t + 2], step[:, 2 * t - 2 : 2 * t] = np.eye(2), -move
            matrix += step.T @ disturb @ step
    np.testing.assert_allclose(
        rts_smoother(values, information, density, period), np.linalg.solve(matrix, right)[::2], atol=1e-6
    )


def test_low_scores_are_followed_less(make_person: MakePerson) -> None:
    track, scores = moving(61), torch.full((61, 19), 0.9)
    track[30] += 400
    scores[30] = 0.2
    trusted = dataclasses.replace(make_person(61), poses_3d=track, confidence=torch.full((61, 19), 0.9))
    distrusted = dataclasses.replace(trusted, confidence=scores)
    off = [
        float((refined(KalmanRTSRefinement(), p)[30] - moving(61)[30]).norm(dim=-1).mean())
        for p in (trusted, distrusted)
    ]
    assert off[1] < 0.2 * off[0]


def test_bridge_without_anything_known() -> None:
    values = np.arange(4.0)
    np.testing.assert_array_equal(bridge(values, np.zeros(4, bool)), values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneEuroRefinement(min_cutoff=0), r"^min_cutoff=0: must be a number > 0"),
        (lambda: OneEuroRefinement(beta=-1), r"^beta=-1: must be a number >= 0"),
        (lambda: SavitzkyGolayRefinement(window_s=-1), r"^window_s=-1: must be a number > 0"),
        (lambda: SavitzkyGolayRefinement(order=1.5), r"^order=1\.5: must be a whole number"),  # type: ignore[arg-type]
        (lambda: GaussianRefinement(sigma_s=float("nan")), r"^sigma_s=nan: "),
        (lambda: KalmanRTSRefinement(noise_rel=0), r"^noise_rel=0: "),
        (lambda: KalmanRTSRefinement(power=True), r"^power=True: "),
    ],
)
def test_settings_that_cannot_be_used(make: Callable[[], Baseline], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@every
def test_nan_is_refused(kind: type[Baseline], make_person: MakePerson) -> None:
    person = make_person(5)
    broken = poses(person).clone()
    broken[2] = torch.nan
    with pytest.raises(DataError, match="TS1/0: poses_3d NaN"):
        kind()([person.with_poses(broken, "normal")])
