"""RTMPose through rtmlib and ONNX Runtime: all people of the image, the recommended detector.

rtmlib downloads a network that finds people (YOLOX) and one that finds their joints (RTMPose) at first use. Its own
`Body` gives a person as large as the image where no person was found, so the two are called one after the other here.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np

from pose.errors import ConfigError
from pose.joint_sets import COCO_17

INSTALL = "pip install --no-deps rtmlib opencv-python-headless && pip install onnxruntime tqdm"
MODES = ("lightweight", "balanced", "performance")
_PARTS = ("det", "pose")


class RTMPoseDetector:
    """People in an image by RTMPose.

    mode: lightweight, balanced or performance, rtmlib's choices of networks. device: cpu, cuda or mps. weights: folder
    with the two networks of the mode as .onnx files, null to let rtmlib fetch them into its cache. SimCC scores reach
    above 1 for a clear joint; they count as 1.

    Raises ConfigError if rtmlib is not installed or the weights are neither there nor can be fetched.
    """

    name = "rtmpose"

    def __init__(self, mode: str = "balanced", device: str = "cpu", weights: str | Path | None = None) -> None:
        if mode not in MODES:
            raise ConfigError(f"detector.mode={mode}: must be one of {', '.join(MODES)}")
        body = _body()
        chosen = body.MODE[mode]
        urls = [chosen[part] for part in _PARTS]
        local = {} if weights is None else {part: _file(Path(weights), chosen[part]) for part in _PARTS}
        sizes = {f"{part}_input_size": chosen[f"{part}_input_size"] for part in _PARTS} if local else {}
        try:
            with redirect_stdout(StringIO()):  # it prints which files it loads
                self._body = body(mode=mode, backend="onnxruntime", device=device, **local, **sizes)
        except OSError as error:  # URLError is one
            raise ConfigError(
                f"detector=rtmpose: the weights could not be fetched ({error}) from {' and '.join(urls)}; "
                "fetch them elsewhere, put the end2end.onnx of each into one folder as "
                f"{' and '.join(_onnx_name(url) for url in urls)}, and give it as detector.weights"
            ) from error
        except Exception as error:  # ONNX Runtime has error types of its own
            raise ConfigError(
                f"detector=rtmpose: cannot be loaded with device={device} ({type(error).__name__}: {error!s:.200}); "
                "check detector.device, and that the .onnx files are whole"
            ) from error

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (N, 17, 3)."""
        bgr = np.ascontiguousarray(image[..., ::-1])
        boxes = self._body.det_model(bgr)
        if not len(boxes):
            return np.zeros((0, len(COCO_17), 3), dtype=np.float32)
        keypoints, scores = self._body.pose_model(bgr, bboxes=boxes)
        return np.concatenate([keypoints, np.clip(scores, 0.0, 1.0)[..., None]], axis=-1).astype(np.float32)


def _body() -> Any:
    try:
        from rtmlib import Body  # type: ignore[import-not-found]  # optional
    except ImportError as error:
        raise ConfigError(f"detector=rtmpose: cannot be imported ({error}); install it: {INSTALL}") from error
    return Body


def _onnx_name(url: str) -> str:
    return Path(urlparse(url).path).stem + ".onnx"


def _file(folder: Path, url: str) -> str:
    """The network of this address in `folder`."""
    path = folder / _onnx_name(url)
    if not path.is_file():
        raise ConfigError(
            f"detector.weights={folder}: has no {path.name}; fetch {url} and put its end2end.onnx there by this name"
        )
    return str(path)
