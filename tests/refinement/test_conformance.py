"""The published procedure: 200 Adam steps must end where an independent implementation ends.

tests/golden/refinement.npz holds two people of MuPoTS-3D, TS1/1 and TS5/0, both undetected for a while.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sets.mupots_3d import MuPoTS3D
from pose.joint_sets import MUPOTS_17
from refinement import PaperRefinement, minimise_adam, refine, visibility
from refinement.published.refinements import to_state

COORDINATES = ("paper", "gm", "euc", "small_cap", "raw_visibility")
PEOPLE = 2
NOT_OURS = ("optimiser", "adam_amsgrad", "print_loss")  # keys of the published configs that are not about the energy


def paper_method(settings: str) -> PaperRefinement:
    return PaperRefinement(**{key: value for key, value in json.loads(settings).items() if key not in NOT_OURS})


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_golden_people(golden: Path, coordinates: str) -> None:
    with np.load(golden / "refinement.npz") as expected:
        method = paper_method(str(expected[f"settings_{coordinates}"]))
        for i in range(PEOPLE):
            refined = refine(expected[f"poses_{i}"], expected[f"score_{i}"], method).poses_3d
            np.testing.assert_allclose(refined, expected[f"refined_{coordinates}_{i}"], rtol=0, atol=0.01)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_golden_people_together_in_float64(golden: Path, coordinates: str) -> None:
    arrays = np.load(golden / "refinement.npz")
    method = paper_method(str(arrays[f"settings_{coordinates}"]))
    poses, scores = ([torch.from_numpy(arrays[f"{key}_{i}"]) for i in range(PEOPLE)] for key in ("poses", "score"))
    x0_m = torch.cat([to_state(person, MUPOTS_17) for person in poses]).double()
    v = torch.cat([visibility(score, 9 if method.energy.smooth_visibility else 1) for score in scores])
    x_m = minimise_adam(method.energy, x0_m, v, torch.tensor([len(score) for score in scores]), method).x_m
    expected = np.concatenate([arrays[f"refined_{coordinates}_{i}"] for i in range(PEOPLE)])
    difference = (x_m - to_state(torch.from_numpy(expected), MUPOTS_17)) * 1000
    difference[:, 1:] += difference[:, :1].clone()
    distance = difference.norm(dim=-1)
    assert distance.mean() < 0.02
    assert distance.max() < 3


def test_the_converged_energy_lowers_mrpe_and_mpjpe(conformance: Path) -> None:
    people = MuPoTS3D(conformance / "MuPoTS", sequences=range(1, 6), fps=30).sequences("normal")
    ends = np.cumsum([len(person) for person in people])
    noisy = np.split(np.load(conformance / "expected/noisy_pred.npz")["pred"][: ends[-1]], ends[:-1])
    errors = {"lifted": [], "refined": []}
    for person, lifted in zip(people, noisy, strict=True):
        truth, counts = person.poses_3d.numpy(), person.annotated.numpy()
        refined = refine(lifted, person.confidence, PaperRefinement()).poses_3d
        for name, poses in (("lifted", lifted), ("refined", refined)):
            root = np.linalg.norm((poses - truth)[counts, 14], axis=-1)
            relative = np.linalg.norm((poses - poses[:, [14]] - truth + truth[:, [14]])[counts], axis=-1).mean(1)
            errors[name].append(np.stack([root, relative], axis=1))
    lifted, refined = (np.concatenate(errors[name]).mean(0) for name in ("lifted", "refined"))
    assert refined[0] < 0.98 * lifted[0]
    assert refined[1] < 0.85 * lifted[1]
