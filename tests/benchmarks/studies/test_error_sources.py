from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.studies import error_sources as sources
from benchmarks.studies.error_sources import (
    SIMULATED,
    Clips,
    make_scenes,
    procedural_motions,
)
from pose.errors import DataError
from pose.sequence import PoseSequence


@pytest.fixture(scope="module")
def scenes() -> list[sources.Scene]:
    return make_scenes(procedural_motions, 3, seed=5, frames=120)


def poses(person: PoseSequence) -> torch.Tensor:
    assert person.poses_3d is not None
    return person.poses_3d


def test_motion_is_read_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOTION", tmp_path)
    np.savez(tmp_path / "test.npz", fps=30, walk=np.zeros((200, 17, 3)), short=np.zeros((20, 17, 3)))
    assert set(sources.motion_clips("test").clips) == {"walk"}
    with pytest.raises(DataError, match=r"train\.npz: no such file"):
        sources.motion_clips("train")


def test_scenes_follow_from_the_seed_alone(scenes: list[sources.Scene]) -> None:
    again = make_scenes(procedural_motions, 1, seed=5, frames=120)[0]
    assert all(torch.equal(poses(a), poses(b)) for a, b in zip(again, scenes[0], strict=True))
    other = make_scenes(procedural_motions, 1, seed=6, frames=120)[0]
    assert not torch.equal(poses(other[0]), poses(scenes[0][0]))
    assert {len(scene) for scene in scenes} <= {2, 3, 4}


def test_clips_are_cut_to_the_shortest() -> None:
    rng = np.random.default_rng(0)
    clips = Clips({"a": rng.normal(size=(40, 17, 3)), "b": rng.normal(size=(25, 17, 3))})
    lengths = {tuple(map(len, clips(2, 30, rng))) for _ in range(20)}
    assert lengths == {(30, 30), (25, 25)}


@pytest.mark.parametrize("kind", SIMULATED)
def test_simulated_errors_are_seeded_and_leave_the_truth(kind: str, scenes: list[sources.Scene]) -> None:
    before = [poses(person).clone() for scene in scenes for person in scene]
    a, b, c = (sources.simulated_errors(scenes, kind, seed) for seed in (0, 0, 1))
    assert torch.equal(poses(a[0][0]), poses(b[0][0]))
    assert not torch.equal(poses(a[0][0]), poses(c[0][0]))
    people = [person for scene in scenes for person in scene]
    assert all(torch.equal(poses(person), old) for person, old in zip(people, before, strict=True))


def test_wrong_means_another_person_with_confidence(scenes: list[sources.Scene]) -> None:
    clean, wrong = (sources.simulated_errors(scenes, kind, 0) for kind in ("clean", "wrong"))
    pairs = [(a, b) for s, w in zip(clean, wrong, strict=True) for a, b in zip(s, w, strict=True)]
    changed = [(a.keypoints_2d != b.keypoints_2d).any(-1).any(-1) for a, b in pairs]
    assert sum(int(c.sum()) for c in changed) > 0
    before, after = (
        torch.cat([p.confidence.mean(1)[c] for p, c in zip(side, changed, strict=True)])
        for side in zip(*pairs, strict=True)
    )
    assert after.mean() > before.mean() + 0.1


def test_a_lifter_s_errors(scenes: list[sources.Scene]) -> None:
    predicted = sources.lifter_errors(scenes)
    assert [len(s) for s in predicted] == [len(s) for s in scenes]
    error = (poses(predicted[0][0]) - poses(scenes[0][0])).norm(dim=-1)
    assert 0 < error.mean() < 1000
