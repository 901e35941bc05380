"""From a video or 2D keypoints to metric 3D trajectories, files of other programs and pictures.

`inputs` and `detectors` find people in frames, `trackers` tell who is who, `camera` finds the intrinsics,
`pipeline.predict` does it all in one call; `export`, `page`, `overlay`, `animation` write the result. cv2, av and
matplotlib load only where they are used.
"""

from importlib.util import find_spec
from pathlib import Path

_spec, _ours = find_spec("data"), Path(__file__).parents[1] / "data" / "__init__.py"
if _spec is None or _spec.origin is None or Path(_spec.origin).resolve() != _ours.resolve():
    raise ImportError(
        f"inference needs the package {_ours.parent}, but `data` is {_spec and _spec.origin}, which comes first in "
        "sys.path; rename that, or start Python from another folder"
    )
