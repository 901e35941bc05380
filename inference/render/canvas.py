"""A picture to draw on, by the renderer of Matplotlib without its figures: smooth edges, no copies, 30 us a skeleton.

All lines of one width and colour are one path, and so one call: where they cross they are one shape.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from PIL import Image

from inference.render.drawing import rgb

_CIRCLE = np.exp(2j * np.pi * np.arange(24) / 24).view(float).reshape(-1, 2)


class Canvas:
    """size: width and height, px; pixels (height, width, 4), uint8, RGBA: what is drawn, to be changed in place."""

    def __init__(self, size: tuple[int, int], colour: str = "white"):
        self.size = size
        self._agg: Any = RendererAgg(*size, 72.0)
        self._pen, self._upright = GraphicsContextBase(), np.array([[1.0, 0, 0], [0, -1, size[1]], [0, 0, 1]])
        self._pen.set_capstyle("round")
        self._pen.set_joinstyle("round")
        self._pen.set_snap(False)
        self.pixels = np.asarray(self._agg.buffer_rgba())
        self.fill(colour)

    def fill(self, colour: str) -> None:
        """Cover everything."""
        self.pixels.view(np.uint32)[...] = np.array([*rgb(colour), 255], np.uint8).view(np.uint32)

    def lines(self, ends: np.ndarray, width: float, colour: str) -> None:
        """Straight lines between ends (N, 2, 2), x and y in px, with round ends."""
        self._pen.set_linewidth(width)
        self._pen.set_foreground(_unit(colour), isRGBA=True)
        self._draw(ends, _codes(len(ends), 2, Path.LINETO))

    def polygons(self, corners: np.ndarray, colour: str) -> None:
        """Filled polygons of corners (N, C, 2)."""
        self._pen.set_linewidth(0.0)
        corners = np.concatenate([corners, corners[:, :1]], axis=1)
        self._draw(corners, _codes(*corners.shape[:2], Path.CLOSEPOLY), _unit(colour))

    def discs(self, centres: np.ndarray, radii: np.ndarray, colour: str) -> None:
        """Discs about centres (N, 2) of radii (N,)."""
        self.polygons(centres[:, None] + radii[:, None, None] * _CIRCLE, colour)

    def blend(self, image: np.ndarray, cover: np.ndarray, left: int, top: int) -> None:
        """An image (h, w, 3) where cover (h, w, 1), 0 to 1, is. Its first pixel lies at left, top, in or out."""
        across = slice(max(0, -left), max(0, self.size[0] - left))
        down = slice(max(0, -top), max(0, self.size[1] - top))
        image, cover = image[down, across], cover[down, across]
        under = self.pixels[max(0, top) :, max(0, left) :][: cover.shape[0], : cover.shape[1], :3]
        under[...] = under + (image - under) * cover

    def image(self) -> Image.Image:
        """A copy of it, RGB."""
        return Image.fromarray(self.pixels[..., :3])

    def _draw(self, vertices: np.ndarray, codes: np.ndarray, fill: tuple[float, ...] | None = None) -> None:
        """Pieces (N, V, 2) with codes (N V,)."""
        if len(vertices):
            self._agg.draw_path(self._pen, _Path(vertices.reshape(-1, 2), codes), self._upright, fill)


class _Path(NamedTuple):
    """What the renderer asks of a `matplotlib.path.Path`, which takes as long to make as to draw."""

    vertices: np.ndarray
    codes: np.ndarray
    should_simplify: bool = False
    simplify_threshold: float = 0.0


@lru_cache(maxsize=256)
def _codes(pieces: int, vertices: int, last: int) -> np.ndarray:
    codes = np.full((pieces, vertices), Path.LINETO, np.uint8)
    codes[:, 0], codes[:, -1] = Path.MOVETO, last
    return codes.ravel()


@cache
def _unit(colour: str) -> tuple[float, float, float, float]:
    red, green, blue = rgb(colour)
    return red / 255, green / 255, blue / 255, 1.0
