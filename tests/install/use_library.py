"""A user's script beside a `data.py` of its own, with the installed packages (tests/test_install.py, `make smoke`)."""

from __future__ import annotations

import sys

import numpy as np

import data  # the user's

assert data.ROWS == [1, 2, 3]

from refinement import refine  # noqa: E402

walk = np.zeros((40, 17, 3)) + np.arange(40)[:, None, None] * 20 + [0, 0, 4000]
walk += np.random.default_rng(0).normal(0, 100, (1, 17, 3))
walk[15:20] = np.nan
refined = refine(walk, fps=25)
assert np.isfinite(refined.poses_3d).all() and not refined.observed[17].any()

from pose.metrics.mupots import AnnotatedScene, PredictedScene, score_scenes  # noqa: E402

truth = refined.poses_3d.numpy()[:, None].astype(float)
scene = AnnotatedScene(truth[..., :2], truth, np.ones((40, 1), bool))
scores = score_scenes({"TS1": scene}, {"TS1": PredictedScene(truth, np.ones((40, 1), bool))}, pairings=["given"])
assert scores["given/all"]["metrics"]["r_pck_pct"] == 100.0

from lightning_modules.checkpoint import load_lifter  # noqa: E402

assert load_lifter("builtin:mocap_normal").coordinates == "normal"

forbidden = {"hydra", "omegaconf", "wandb"} & set(sys.modules)
assert not forbidden, forbidden

try:
    import inference  # noqa: F401
except ImportError as error:
    assert "data.py" in str(error) and "rename" in str(error), error
else:
    raise AssertionError("inference was imported with the wrong `data`")

# From a folder without such a file everything works.
del sys.modules["data"]
sys.path.pop(0)
from inference.pipeline import Pipeline  # noqa: E402
from inference.render.page import PARTS  # noqa: E402

seconds = np.arange(30)[:, None, None] / 25
points = np.random.default_rng(1).normal(0, 60, (1, 17, 2)) + [900, 500] + 40 * seconds
people = {
    f"img_{t:06d}.jpg": [{"keypoints": np.c_[points[t], np.ones(17)].ravel().tolist(), "score": 0.9}] for t in range(30)
}

import json  # noqa: E402
import tempfile  # noqa: E402
from importlib import resources  # noqa: E402
from pathlib import Path  # noqa: E402

from inference.cameras.camera import CameraSettings  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "keypoints.json"
    file.write_text(json.dumps(people))
    scene = Pipeline(fps=25, camera=CameraSettings(fx=1500, image_size=(1920, 1080))).run(file).scene
assert scene.people[0].poses_3d.shape == (30, 17, 3)
for part in ("page.html", *PARTS.values()):
    assert resources.files("inference.render").joinpath(part).is_file(), part

import refinement  # noqa: E402

print(Path(refinement.__file__).parents[1])
