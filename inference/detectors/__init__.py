"""Programs that find people in images, each a `Detector`; their libraries are optional and imported when asked for.

rtmpose          RTMPose through rtmlib: several people, recommended
mediapipe_pose   MediaPipe Pose: one person, works offline

To add a detector: a class that is a `data.keypoints.detector.Detector`, its line in `BUILT_IN`, a file in
conf/detector, a row in docs/inputs.md and a test. Another package registers its own in the entry point group
`temporal_smoothing.detectors` instead.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from data.keypoints.detector import Detector
from pose.errors import ConfigError

GROUP = "temporal_smoothing.detectors"

#: Name -> module and class, imported only when asked for.
BUILT_IN = {
    "rtmpose": "inference.detectors.rtmpose:RTMPoseDetector",
    "mediapipe": "inference.detectors.mediapipe_pose:MediaPipeDetector",
}


def load_detector(name: str, **options: Any) -> Detector:
    """The detector called `name` (rtmpose, mediapipe or an entry point of `temporal_smoothing.detectors`).

    options: keyword arguments of its class. Raises ConfigError for an unknown name or option, and, with the line that
    installs it, for a library that is missing.
    """
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        make = getattr(import_module(module), attribute)
    elif name in plugins:
        try:
            make = plugins[name].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"detector.name={name}: {plugins[name].value} cannot be loaded ({error})") from error
    else:
        known = ", ".join([*BUILT_IN, *plugins])
        raise ConfigError(
            f"detector.name={name}: unknown; known: {known}; others register in the entry point group {GROUP}"
        )
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        allowed = ", ".join(inspect.signature(make).parameters) or "none"
        raise ConfigError(f"detector.name={name}: {error}; its options: {allowed}") from None
    return make(**options)
