"""Pinhole cameras without distortion. Axes (docs/method.md §1): x right, y down, z forward, mm; pixels x right, y down.

Worked pixel: a camera with fx=fy=1000, cx=960, cy=540 sees the point (500, 250, 2000) mm at
x = 1000 * 500 / 2000 + 960 = 1210 px and y = 1000 * 250 / 2000 + 540 = 665 px.

>>> import torch
>>> camera = Camera(1000.0, 1000.0, 960.0, 540.0, 1920, 1080)
>>> camera.project(torch.tensor([[500.0, 250.0, 2000.0]]))
tensor([[1210.,  665.]])
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pose.errors import DataError, check_number, check_shape


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels, the image size and, where it is known, how the camera is held.

    gravity: the direction in which things fall, in camera coordinates, of any length; a level camera's is (0, 1, 0).

    Raises ConfigError for a focal length or an image size that is not positive and finite, and for gravity of no
    direction.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    gravity: tuple[float, float, float] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for key in ("fx", "fy", "width", "height"):
            check_number(f"camera.{key}", getattr(self, key), above=0, hint="pixels")
        for key in ("cx", "cy"):
            check_number(f"camera.{key}", getattr(self, key), hint="pixels")
        if self.gravity is not None:
            check_number("length of camera.gravity", math.hypot(*self.gravity), above=0)

    @property
    def K(self) -> Tensor:
        """The (3, 3) matrix of intrinsics, float64."""
        return torch.tensor([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=torch.float64)

    def project(self, points: Tensor) -> Tensor:
        """Camera coordinates (..., 3) in mm -> pixels (..., 2)."""
        check_shape("points", points, ("...", 3))
        scale = points.new_tensor([self.fx, self.fy])
        centre = points.new_tensor([self.cx, self.cy])
        return points[..., :2] / points[..., 2:] * scale + centre

    def unproject(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Pixels (..., 2) at depth (...) in mm -> camera coordinates (..., 3) in mm.

        >>> camera = Camera(1000.0, 1000.0, 960.0, 540.0, 1920, 1080)
        >>> camera.unproject(torch.tensor([[1210.0, 665.0]]), torch.tensor([2000.0]))
        tensor([[ 500.,  250., 2000.]])
        """
        check_shape("pixels", pixels, ("...", 2))
        scale = pixels.new_tensor([self.fx, self.fy])
        centre = pixels.new_tensor([self.cx, self.cy])
        return torch.cat([(pixels - centre) / scale * depth[..., None], depth[..., None]], dim=-1)

    def flipped(self) -> Camera:
        """The camera that sees the mirrored image: cx -> width - cx."""
        gravity = None if self.gravity is None else (-self.gravity[0], self.gravity[1], self.gravity[2])
        return Camera(self.fx, self.fy, self.width - self.cx, self.cy, self.width, self.height, gravity)


def fit_intrinsics(points: Tensor, pixels: Tensor, width: int, height: int, source: str = "annotations") -> Camera:
    """Least-squares pinhole camera of point-pixel pairs: x = fx * X/Z + cx, y = fy * Y/Z + cy.

    points (N, 3) in mm and pixels (N, 2), computed in float64. MuPoTS-3D ships no calibration (docs/method.md §3).
    Raises DataError naming `source` where the pairs do not determine a camera.

    >>> camera = Camera(1000.0, 1100.0, 960.0, 540.0, 1920, 1080)
    >>> points = torch.tensor([[500.0, 250.0, 2000.0], [-300.0, 100.0, 3000.0], [0.0, -400.0, 2500.0]])
    >>> found = fit_intrinsics(points, camera.project(points), 1920, 1080)
    >>> round(found.fx), round(found.fy), round(found.cx), round(found.cy)
    (1000, 1100, 960, 540)
    """
    check_shape("points", points, ("N", 3), sizes := {})
    check_shape("pixels", pixels, ("N", 2), sizes)
    points, pixels = points.double(), pixels.double()
    if len(points) < 2:
        raise DataError(f"{source}: {len(points)} annotated points, at least 2 are needed to fit the camera")
    rays = points[:, :2] / points[:, 2:]
    # In closed form: a solver's last bits differ from call to call, with the place of its arrays in memory.
    ray, pixel = rays.mean(dim=0), pixels.mean(dim=0)
    focal = ((rays - ray) * (pixels - pixel)).sum(dim=0) / (rays - ray).square().sum(dim=0)
    (fx, fy), (cx, cy) = focal.tolist(), (pixel - focal * ray).tolist()
    if not all(math.isfinite(value) for value in (fx, cx, fy, cy)) or fx <= 0 or fy <= 0:
        raise DataError(
            f"{source}: 2D and 3D annotations fit no pinhole camera (fx={fx:.4g}, fy={fy:.4g}); "
            "positive focal lengths are expected, check that annot2 and annot3 belong together"
        )
    return Camera(fx, fy, cx, cy, width, height)
