"""The published procedure: 200 Adam steps must end where an independent implementation ends.

tests/golden/refinement.npz holds two people of ../shared/conformance; `python -m tests.refinement.test_conformance`
writes it anew. Where that folder is at hand all its people are compared.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pose.joint_sets import MUPOTS_17
from refinement import PaperRefinement, minimise_adam, refine, visibility
from refinement.refiner import to_state

REPO = Path(__file__).resolve().parents[2]
COORDINATES = ("paper", "gm", "euc", "small_cap", "raw_visibility")
GOLDEN_PEOPLE = ((1, 1), (5, 0))  # (sequence, person), both undetected for a while
NOT_OURS = ("optimiser", "adam_amsgrad", "print_loss")  # keys of the published configs that are not about the energy


def conformance_people(folder: Path) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    """(sequence, person) -> `poses` (T,17,3) and `score` (T,19) to refine, `refined_*` where they are known."""
    rows, noisy = np.load(folder / "mupots_stacked.npz"), np.load(folder / "noisy_pred.npz")["pred"]
    refined = {name: np.load(folder / "refined.npz")[name] for name in COORDINATES}
    people = {}
    for key in sorted(set(zip(rows["seq_num"].tolist(), rows["person"].tolist(), strict=True))):
        own = (rows["seq_num"] == key[0]) & (rows["person"] == key[1])
        people[key] = {"poses": noisy[own], "score": rows["poses2d"][own][..., 2]}
        if key[0] <= 5:
            people[key] |= {f"refined_{name}": values[own[rows["seq_num"] <= 5]] for name, values in refined.items()}
    return people


def golden_content(folder: Path) -> dict[str, np.ndarray]:
    people = conformance_people(folder)
    content = {f"settings_{name}": np.array((folder / f"refine_{name}.json").read_text()) for name in COORDINATES}
    for i, key in enumerate(GOLDEN_PEOPLE):
        content |= {f"{name}_{i}": values for name, values in people[key].items()}
    return content


def paper_method(settings: str) -> PaperRefinement:
    return PaperRefinement(**{key: value for key, value in json.loads(settings).items() if key not in NOT_OURS})


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_golden_people(golden: Path, coordinates: str) -> None:
    with np.load(golden / "refinement.npz") as expected:
        method = paper_method(str(expected[f"settings_{coordinates}"]))
        for i in range(len(GOLDEN_PEOPLE)):
            refined = refine(expected[f"poses_{i}"], expected[f"score_{i}"], method)
            np.testing.assert_allclose(refined, expected[f"refined_{coordinates}_{i}"], rtol=0, atol=0.01)


def test_the_golden_file_is_the_reference_data(golden: Path, conformance: Path) -> None:
    content = golden_content(conformance / "expected")
    with np.load(golden / "refinement.npz") as stored:
        assert sorted(stored.files) == sorted(content)
        for name in stored.files:
            np.testing.assert_array_equal(stored[name], content[name])


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 rounds the mean score otherwise (visibility.py)")
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_all_people_in_float32(conformance: Path, coordinates: str) -> None:
    folder = conformance / "expected"
    method = paper_method((folder / f"refine_{coordinates}.json").read_text())
    for (sequence, _), person in conformance_people(folder).items():
        if sequence <= 5:
            refined = refine(person["poses"], person["score"], method)
            np.testing.assert_allclose(refined, person[f"refined_{coordinates}"], rtol=0, atol=0.01)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_all_people_together_in_float64(conformance: Path, coordinates: str) -> None:
    folder = conformance / "expected"
    method = paper_method((folder / f"refine_{coordinates}.json").read_text())
    people = [person for (sequence, _), person in conformance_people(folder).items() if sequence <= 5]
    x0_m = torch.cat([to_state(torch.from_numpy(person["poses"]), MUPOTS_17) for person in people]).double()
    frames = 9 if method.energy.smooth_visibility else 1
    v = torch.cat([visibility(torch.from_numpy(person["score"]), frames) for person in people])
    lengths = torch.tensor([len(person["score"]) for person in people])
    x_m = minimise_adam(method.energy, x0_m, v, lengths, method.settings).x_m
    expected = np.concatenate([person[f"refined_{coordinates}"] for person in people])
    difference = (x_m - to_state(torch.from_numpy(expected), MUPOTS_17)) * 1000
    difference[:, 1:] += difference[:, :1].clone()
    distance = difference.norm(dim=-1)
    assert distance.mean() < 0.02
    assert distance.max() < 3


def test_the_converged_energy_lowers_mrpe_and_mpjpe(conformance: Path) -> None:
    folder, method = conformance / "expected", PaperRefinement()
    rows = np.load(folder / "mupots_stacked.npz")
    errors = {"lifted": [], "refined": []}
    for (sequence, number), person in conformance_people(folder).items():
        own = (rows["seq_num"] == sequence) & (rows["person"] == number)
        counts, truth = rows["valid_annotations"][own], rows["poses3d"][own]
        smooth = refine(person["poses"], person["score"], method).poses_3d
        for name, poses in (("lifted", person["poses"]), ("refined", smooth)):
            root = np.linalg.norm((poses - truth)[counts, 14], axis=-1)
            relative = np.linalg.norm((poses - poses[:, [14]] - truth + truth[:, [14]])[counts], axis=-1).mean(1)
            errors[name].append(np.stack([root, relative], axis=1))
    plain, refined = (np.concatenate(errors[name]).mean(0) for name in ("lifted", "refined"))
    assert refined[0] < 0.98 * plain[0]
    assert refined[1] < 0.85 * plain[1]


if __name__ == "__main__":
    content = golden_content(REPO.parent / "shared" / "conformance" / "expected")
    np.savez_compressed(REPO / "tests" / "golden" / "refinement.npz", **content)
