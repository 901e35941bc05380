"""The lifters that come with the package: there, described, small, and of use on real detections."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from lightning_modules.builtin import WEIGHTS, builtin_names
from lightning_modules.checkpoint import load_lifter
from lightning_modules.prediction import lift
from pose.cameras import Camera
from pose.coordinates import universal_scale
from pose.sequence import PoseSequence

NAMES = ["mocap_normal", "mocap_normal_causal", "mocap_universal"]


def test_they_are_all_there_and_small() -> None:
    assert builtin_names() == NAMES
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 12e6


@pytest.mark.parametrize("name", NAMES)
def test_each_is_what_its_name_and_card_say(name: str) -> None:
    lifter = load_lifter(f"builtin:{name}", coordinates=name.split("_")[1])
    assert lifter.network.causal == name.endswith("causal")
    assert lifter.network.receptive_field == 81 and lifter.fps == 25
    file = name.replace("universal", "normal")
    card = (WEIGHTS / f"{file}.md").read_text()
    assert hashlib.sha256((WEIGHTS / f"{file}.safetensors").read_bytes()).hexdigest() in card
    for part in ("experiment=pretrain_mocap", "## Results", "## Limits", "CMU Graphics Lab", "Licence"):
        assert part in card


def test_universal_people_are_normal_ones_at_one_scale() -> None:
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    points = 960 + 200 * torch.rand(50, 19, 2, generator=torch.Generator().manual_seed(0))
    person = PoseSequence("clip", 0, camera, 25.0, points, torch.full((50, 19), 0.9))
    ((normal,), (universal,)) = (
        lift(load_lifter(f"builtin:mocap_{kind}"), [person]) for kind in ("normal", "universal")
    )
    assert universal.coordinates == "universal"
    scales = universal.require("poses_3d") / normal.require("poses_3d")
    torch.testing.assert_close(scales, torch.full_like(scales, float(universal_scale(normal.require("poses_3d")))))
    assert float(universal_scale(universal.require("poses_3d"))) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["mocap_normal", "mocap_normal_causal"])
def test_people_of_a_real_video_stand_upright_at_plausible_distances(golden: Path, name: str) -> None:
    from data.keypoints import read_detections
    from inference.tracking import OfflineTracker, sequences

    detections = read_detections(golden / "detections" / "ts1_keypoints.json", fps=30)
    camera = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)  # MuPoTS-3D TS1 has about this focal length
    people = lift(load_lifter(f"builtin:{name}"), sequences(detections, OfflineTracker()(detections), camera, 30.0))
    assert len(people) == 3 and all(len(person) == 201 for person in people)
    floors = []
    for person in people:
        assert person.poses_3d is not None
        hip, neck, ankles = person.poses_3d[:, 14], person.poses_3d[:, 1], person.poses_3d[:, [10, 13]]
        assert 2000 < hip[:, 2].median() < 8000
        up = torch.nn.functional.normalize((neck - hip).mean(0), dim=0)
        assert up[1] < -0.9, "y points down"
        assert (ankles[..., 1].amin(1) > hip[:, 1] + 300).float().mean() > 0.95
        floors.append(float(ankles[..., 1].amax(1).median()))
    assert max(floors) - min(floors) < 500
