"""Up and floor of a scene, from made-up people and from what is given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inference.cameras.camera import CameraSettings
from pose.errors import ConfigError
from pose.level import World, angles_of, up_of
from tests.inference.render.people import walker


def camera_pose(poses: np.ndarray, tilt_deg: float, roll_deg: float = 0.0) -> np.ndarray:
    """Poses in coordinates of a level camera (x right, y down, z forward) as that tilted camera sees them.

    The rotation about the level camera's centre, its up as `up_of` says.
    """
    tilt, roll = math.radians(tilt_deg), math.radians(roll_deg)
    down = np.array(
        [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]]
    )  # a point straight ahead rises in the picture of a camera that looks down
    turned = np.array([[math.cos(roll), math.sin(roll), 0], [-math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return poses @ (turned @ down).T


def standing(x: float, z: float, higher: float = 0.0, seed: int = 0) -> np.ndarray:
    """(60, 17, 3) mm: a person who steps about on the floor y = 1000, or on a box of that height."""
    poses = walker(60, 30.0, (x, z), (5.0, -5.0)).double().numpy()
    return poses + np.random.default_rng(seed).normal(0, 10, poses.shape) - [0.0, higher, 0.0]


def error_deg(world: World, tilt_deg: float, roll_deg: float = 0.0) -> float:
    return math.degrees(math.acos(min(1.0, float(world.axes[2] @ up_of(tilt_deg, roll_deg)))))


@pytest.mark.parametrize(("tilt", "roll"), [(0, 0), (20, 0), (20, 15), (35, -10), (-15, 0)])
def test_people_on_the_floor_and_on_a_box(tilt: float, roll: float) -> None:
    both = np.concatenate([standing(-300, 3500, seed=1), standing(700, 5000, higher=500.0, seed=2)])
    seen = camera_pose(both, tilt, roll)
    world = World.fit(seen)
    assert world.how == "people"
    assert error_deg(world, tilt, roll) < 5
    lowest = world(seen)[..., 2].min(axis=-1)
    assert np.percentile(lowest, 3) == pytest.approx(0, abs=0.03)
    assert np.median(lowest[60:]) == pytest.approx(0.5, abs=0.25)
    assert np.linalg.det(world.axes) == pytest.approx(1)


def test_the_unobserved_do_not_count() -> None:
    leaning = camera_pose(standing(0, 4000, seed=2), 30)
    seen = np.concatenate([camera_pose(standing(0, 4000), 10), leaning, leaning])
    observed = np.zeros((180, 17), dtype=bool)
    observed[:60] = True
    assert error_deg(World.fit(seen, observed), 10) < 6 < error_deg(World.fit(seen), 10)


def test_people_who_lie_leave_the_cameras_horizontal() -> None:
    upright = standing(0, 0) - [0, 1000, 0]
    lying = upright[..., [1, 0, 2]] * [1, 1, -1] + [0, 1000, 4000]
    world = World.fit(lying)
    assert world.how == "camera" and world.angles_deg == (0, 0)
    assert np.percentile(world(lying)[..., 2].min(axis=-1), 3) == pytest.approx(0, abs=0.01)


def test_never_more_than_45_degrees_unless_given() -> None:
    seen = camera_pose(standing(0, 3000), 49)
    assert error_deg(World.fit(seen), 0) <= 45 + 1e-6
    given = World.fit(seen, tilt_deg=60.0)
    assert given.how == "given" and given.angles_deg[0] == pytest.approx(60)


def test_what_is_given_overrides_and_the_rest_is_found() -> None:
    seen = camera_pose(standing(0, 4000), 20, 10)
    assert World.fit(seen, tilt_deg=5.0, roll_deg=-3.0).angles_deg == pytest.approx((5, -3))
    tilt, roll = World.fit(seen, tilt_deg=5.0).angles_deg
    assert tilt == pytest.approx(5) and roll == pytest.approx(10, abs=4)
    assert World.fit(seen, level="camera").angles_deg == (0, 0)
    for angles in ((20.0, 10.0), (-80.0, 170.0), (0.0, 0.0)):
        assert angles_of(up_of(*angles)) == pytest.approx(angles)


def test_nobody_and_unknown_positions() -> None:
    assert World.fit(np.zeros((0, 17, 3))).floor_mm == 0
    seen = standing(0, 4000)
    seen[::2, 3] = np.nan
    assert World.fit(seen).how == "people"


@pytest.mark.parametrize(("key", "value"), [("tilt_deg", 91), ("tilt_deg", "x"), ("roll_deg", 181), ("roll_deg", True)])
def test_angles_are_checked(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"camera\.{key}={value}: must be a number .*degrees"):
        CameraSettings(**{key: value})  # type: ignore[arg-type]
