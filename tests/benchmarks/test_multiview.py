"""A real person with 3D truth, camera by camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.multiview import measure, without_distortion
from inference.pipeline import DEFAULT_LIFTER
from lightning_modules.checkpoint import load_lifter


def test_refined_is_better_than_lifted_on_real_truth(multiview: Path) -> None:
    scores = measure(load_lifter(DEFAULT_LIFTER), multiview)
    assert [one.camera for one in scores] == ["cam1", "cam2", "cam3", "cam4"]
    assert all(one.track >= 95 and one.frames > 80 for one in scores), "one track over all frames"
    assert np.mean([one.mpjpe_refined for one in scores]) < np.mean([one.mpjpe_lifted for one in scores])
    assert np.mean([one.hip_refined for one in scores]) < np.mean([one.hip_lifted for one in scores])


def test_distortion_is_removed() -> None:
    K = np.array([[1000.0, 0, 640], [0, 1000.0, 360], [0, 0, 1]])
    k1, k2, p1, p2, k3 = distortion = np.array([-0.2, 0.05, 0.001, -0.002, 0.01])
    x, y = ideal = np.array([0.3, -0.2])
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    seen = [
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    ]
    pixels = np.array(seen) * 1000 + [640, 360]
    np.testing.assert_allclose(without_distortion(pixels, K, distortion), ideal * 1000 + [640, 360], atol=1e-3)
