"""Programs that find people in images, each a `Detector`; their libraries are optional and imported when asked for.

rtmpose          RTMPose through rtmlib: several people, recommended
mediapipe_pose   MediaPipe Pose: one person, works offline

To add a detector: a class that is a `data.keypoints.detector.Detector`, its line in `BUILT_IN`, a file in
conf/detector, a row in docs/inputs.md and a test. One of another package needs none of that: it is named by its place.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from data.keypoints.detector import Detector
from pose.errors import ConfigError

#: Name -> module and class, imported only when asked for.
BUILT_IN = {
    "rtmpose": "inference.detectors.rtmpose:RTMPoseDetector",
    "mediapipe": "inference.detectors.mediapipe_pose:MediaPipeDetector",
}


def load_detector(name: str, **options: Any) -> Detector:
    """The detector called `name`: rtmpose, mediapipe, or the place of a class, as "package.module:Class".

    options: keyword arguments of its class. Raises ConfigError for an unknown name or option, and, with the line that
    installs it, for a library that is missing.
    """
    module, _, attribute = BUILT_IN.get(name, name).partition(":")
    try:
        make = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        known = ", ".join(BUILT_IN)
        raise ConfigError(f"detector.name={name}: unknown ({error}); give {known} or PACKAGE.MODULE:CLASS") from error
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        allowed = ", ".join(inspect.signature(make).parameters) or "none"
        raise ConfigError(f"detector.name={name}: {error}; its options: {allowed}") from None
    return make(**options)
