"""What holds of every energy and solver, for every person: descent, symmetries, independence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from refinement.published.adam import AdamSettings, Minimum, minimise_adam
from refinement.published.direct import minimise_fast
from refinement.published.energy import PublishedEnergy
from tests.cases import cases
from tests.refinement.strategies import Person, energies, people

Solver = Callable[[PublishedEnergy, Tensor, Tensor, Tensor], Minimum]


def adam(energy: PublishedEnergy, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Minimum:
    return minimise_adam(energy, x0_m, v, lengths, AdamSettings(max_iter=100))


SOLVERS: dict[str, Solver] = {"fast": minimise_fast, "adam": adam}
every_solver = pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)


def value(energy: PublishedEnergy, x_m: Tensor, person: Person) -> float:
    return float(energy(x_m, person.x0_m, person.v, person.lengths))


def check_descent(energy: PublishedEnergy, person: Person, solve: Solver, rounding: float) -> None:
    found = solve(energy, person.x0_m, person.v, person.lengths)
    before = value(energy, person.x0_m, person)
    assert bool(found.x_m.isfinite().all())
    assert float(found.energy_after) <= float(found.energy_before)
    assert float(found.energy_before) == pytest.approx(before, rel=1e-6, abs=1e-12)
    # What is reported was reached, as far as the precision of x_m can tell.
    assert value(energy, found.x_m, person) <= before * (1 + rounding) + 1e-12


@given(energies(), people(high=6))
@cases(6)
def test_direct_solves_never_end_above_their_start(energy: PublishedEnergy, person: Person) -> None:
    check_descent(energy, person, minimise_fast, 1e-9)


@given(energies(), people(dtype=torch.float32))
@cases(2)
def test_nor_do_they_in_single_precision(energy: PublishedEnergy, person: Person) -> None:
    check_descent(energy, person, minimise_fast, 1e-5)


@given(energies(), people(longest=41) | people(dtype=torch.float32, longest=41))
def test_adam_never_ends_above_its_start(energy: PublishedEnergy, person: Person) -> None:
    check_descent(energy, person, adam, 1e-6)


@every_solver
@given(energies(), people(longest=41))
@cases(0.6)
def test_the_mirrored_person_moves_as_the_mirror_image(solve: Solver, energy: PublishedEnergy, person: Person) -> None:
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    plain = solve(energy, person.x0_m, person.v, person.lengths)
    mirrored = solve(energy, person.x0_m * mirror, person.v, person.lengths)
    assert torch.equal(mirrored.x_m * mirror, plain.x_m)
    assert torch.equal(mirrored.energy_after, plain.energy_after)


@every_solver
@given(energies(), st.lists(people(longest=21), min_size=2, max_size=4), st.randoms(use_true_random=False))
@cases(0.5)
def test_no_person_depends_on_the_others_or_their_order(
    solve: Solver, energy: PublishedEnergy, group: list[Person], random
) -> None:
    group = [Person(person.x0_m[:, :1].repeat(1, 3, 1), person.v) for person in group]  # one skeleton

    def together(members: list[Person]) -> list[Tensor]:
        x0_m, v = (torch.cat([getattr(member, name) for member in members]) for name in ("x0_m", "v"))
        lengths = [len(member.v) for member in members]
        return list(solve(energy, x0_m, v, torch.tensor(lengths)).x_m.split(lengths))

    order = random.sample(range(len(group)), len(group))
    shuffled = dict(zip(order, together([group[i] for i in order]), strict=True))
    for i, (person, found) in enumerate(zip(group, together(group), strict=True)):
        (alone,) = together([person])
        assert torch.equal(alone, found)
        assert torch.equal(alone, shuffled[i])


@given(energies(), people())
def test_energies_do_not_know_the_direction_of_time(energy: PublishedEnergy, person: Person) -> None:
    """But for the large steps, which the visibility of the later frame weighs: for them it must be the same in all."""
    x_m = person.x0_m + person.x0_m.roll(1, 0).sin()
    alike = Person(person.x0_m, torch.full_like(person.v, 0.3))
    small = dataclasses.replace(energy, smoothness_weight_hip_large=0.0, smoothness_weight_rel_large=0.0)
    for used, own in ((energy, alike), (small, person)):
        backward = Person(own.x0_m.flip(0), own.v.flip(0))
        assert value(used, x_m.flip(0), backward) == pytest.approx(value(used, x_m, own), rel=1e-9, abs=1e-12)


@given(energies(), people(high=1))
def test_where_the_minimum_is_unique_it_reverses_with_time(energy: PublishedEnergy, person: Person) -> None:
    v = torch.full_like(person.v, 0.4)
    convex = dataclasses.replace(energy, pose_loss="capped_l2", l2_cap=1e12)
    forward, backward = (minimise_fast(convex, x0, v, person.lengths).x_m for x0 in (person.x0_m, person.x0_m.flip(0)))
    torch.testing.assert_close(backward.flip(0), forward, rtol=1e-7, atol=1e-7)


@given(energies(), people(high=1), st.tuples(*[st.floats(-100, 100)] * 3))
def test_a_shift_of_the_root_shifts_the_energy_nowhere(energy: PublishedEnergy, person: Person, by) -> None:
    shift = torch.zeros_like(person.x0_m)
    shift[:, 0] = torch.tensor(by, dtype=shift.dtype)
    x_m = person.x0_m + person.x0_m.roll(1, 0).sin()
    moved = Person(person.x0_m + shift, person.v)
    assert value(energy, x_m + shift, moved) == pytest.approx(value(energy, x_m, person), rel=1e-6, abs=1e-8)


@given(energies(), people(high=1), st.integers(0, 2**32 - 1))
def test_turning_the_camera_changes_no_energy_that_caps_joints_as_a_whole(
    energy: PublishedEnergy, person: Person, seed: int
) -> None:
    """Caps of single coordinates, as published, do depend on the axes; without a cap in reach none does."""
    turn, _ = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed % 2**31))
    )
    x_m = person.x0_m + person.x0_m.roll(1, 0).sin()
    turned = Person(person.x0_m @ turn, person.v)
    for keys in ({"pose_loss": "capped_l2_euc_err"}, {"pose_loss": "capped_l2", "l2_cap": 1e12}):
        used = dataclasses.replace(energy, **keys)
        assert value(used, x_m @ turn, turned) == pytest.approx(value(used, x_m, person), rel=1e-6, abs=1e-9)


@every_solver
@given(energies(), people(longest=41, high=0))
@cases(0.6)
def test_single_precision_ends_where_double_precision_does(
    solve: Solver, energy: PublishedEnergy, person: Person
) -> None:
    """Where there is one minimum only: joints to 0.01 mm by direct solves, energies to 0.1 % by Adam."""
    convex = dataclasses.replace(energy, pose_loss="capped_l2", l2_cap=1e6)
    v = person.v.clamp(min=0.05)
    double, single = (solve(convex, x0, v, person.lengths) for x0 in (person.x0_m, person.x0_m.float()))
    if solve is minimise_fast:
        torch.testing.assert_close(single.x_m.double(), double.x_m, rtol=1e-6, atol=1e-5)
    start = float(double.energy_before)
    assert float(single.energy_after) == pytest.approx(float(double.energy_after), abs=1e-3 * start + 1e-9)


def test_threads_change_no_bit_of_a_refinement() -> None:
    """Long enough for torch to split the work."""
    generator = torch.Generator().manual_seed(0)
    x0_m, v = torch.randn(3000, 17, 3, generator=generator), torch.rand(3000, generator=generator)
    before, found = torch.get_num_threads(), []
    for count in (1, 2):
        torch.set_num_threads(count)
        try:
            found.append(minimise_adam(PublishedEnergy(), x0_m, v, torch.tensor([3000]), AdamSettings(max_iter=60)))
        finally:
            torch.set_num_threads(before)
    assert torch.equal(found[0].x_m, found[1].x_m)
    assert torch.equal(found[0].energy_after, found[1].energy_after)
