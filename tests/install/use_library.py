"""A user's script beside a `data.py` of its own, with the installed packages (tests/test_install.py, `make smoke`)."""

from __future__ import annotations

import sys

import data  # the user's
import temporal_smoothing as ts

assert data.ROWS == [1, 2, 3]
assert not {"torch", "numpy"} & set(sys.modules), "importing the front costs nothing"

import json  # noqa: E402
import tempfile  # noqa: E402
from importlib import resources  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

walk = np.zeros((40, 17, 3)) + np.arange(40)[:, None, None] * 20 + [0, 0, 4000]
walk += np.random.default_rng(0).normal(0, 100, (1, 17, 3))
walk[15:20] = np.nan
refined = ts.refine(walk, fps=25)
assert isinstance(refined, ts.PoseSequence)
assert np.isfinite(refined.poses_3d).all() and not refined.observed[17].any()
assert ts.load_lifter("builtin:mocap_normal").coordinates == "normal"
assert callable(ts.score)
assert not {"hydra", "omegaconf", "wandb"} & set(sys.modules)

try:
    ts.predict  # noqa: B018
except ImportError as error:
    assert "data.py" in str(error) and "rename" in str(error) and "\n" not in str(error), error
else:
    raise AssertionError("predict was imported with the wrong `data`")

# From a folder without such a file everything works.
del sys.modules["data"]
sys.path.pop(0)

from inference.cameras.camera import CameraSettings  # noqa: E402
from inference.render.page import PARTS  # noqa: E402

seconds = np.arange(30)[:, None, None] / 25
points = np.random.default_rng(1).normal(0, 60, (1, 17, 2)) + [900, 500] + 40 * seconds
people = {
    f"img_{t:06d}.jpg": [{"keypoints": np.c_[points[t], np.ones(17)].ravel().tolist(), "score": 0.9}] for t in range(30)
}
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "keypoints.json"
    file.write_text(json.dumps(people))
    scene = ts.predict(file, fps=25, camera=CameraSettings(fx=1500, image_size=(1920, 1080)))
    ts.write_predictions(Path(folder) / "predictions.npz", [refined])
    (read,) = ts.read_predictions(Path(folder) / "predictions.npz")
assert len(read) == 40 and isinstance(read, ts.PoseSequence)
assert scene.people[0].poses_3d.shape == (30, 17, 3)
for part in ("page.html", *PARTS.values()):
    assert resources.files("inference.render").joinpath(part).is_file(), part

print(Path(ts.__file__).parents[1])
