"""The figure of one evaluated trajectory through an occlusion: annotation, lifted, refined; over time and from above.

Hidden frames are marked. Times are those of the source video, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fileio.atomic import atomic_path
from inference.render.drawing import BLUE, HIP, ORANGE, VERMILLION
from pose.coordinates import same_coordinates
from pose.errors import DataError, MismatchError
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

CURVE_COLOURS = {"annotation": "#444444", "lifted": VERMILLION, "refined": BLUE}
SHADE = "#E3E3E3"
MARGIN_S = 0.5  # of the track wanted on either side of a chosen occlusion
CONTEXT_S = 2.0  # shown on either side of a figure's focus
MIN_SPAN_M = 0.4  # of a figure's axis, so that a centimetre does not look like a jump


class Occlusion(NamedTuple):
    """Source frames `start` to `end` (exclusive) of the track at `index` of a list."""

    index: int
    start: int
    end: int


def hidden_frames(sequence: PoseSequence) -> np.ndarray:
    """(T,) true where the person is undetected or fewer than half of the joints are visible."""
    mostly_hidden = sequence.visible.float().mean(dim=1) < 0.5
    return (mostly_hidden | ~sequence.detected).cpu().numpy()


def frames_within(sequence: PoseSequence, start: int, end: int) -> torch.Tensor:
    """(T,) true for the source frames `start` to `end` (exclusive)."""
    return (sequence.frame >= start) & (sequence.frame < end)


def choose_occlusion(annotated: Sequence[PoseSequence]) -> Occlusion:
    """The longest stretch of hidden, annotated frames that begins and ends inside its track.

    Its length counts in full with MARGIN_S of the track on either side and less, down to half, with less of it.
    Without any, the middle second of the longest track. Raises DataError for no tracks or tracks without frames.
    """
    if not any(len(sequence) for sequence in annotated):
        raise DataError(f"choose_occlusion: {len(annotated)} tracks without a frame, at least one frame is needed")
    stretches = []
    for index, sequence in enumerate(annotated):
        for start, end in _runs(hidden_frames(sequence) & sequence.annotated.cpu().numpy()):
            flank = min(start, len(sequence) - end)
            if flank > 0:
                weight = 0.5 + 0.5 * min(1.0, flank / (MARGIN_S * sequence.fps))
                stretches.append(((end - start) * weight, index, start, end - start))
    if stretches:
        _, index, start, length = max(stretches)
    else:
        index = max(range(len(annotated)), key=lambda i: len(annotated[i]))
        length = min(len(annotated[index]), max(1, round(annotated[index].fps)))
        start = (len(annotated[index]) - length) // 2
    frame = annotated[index].frame
    return Occlusion(index, int(frame[start]), int(frame[start + length - 1]) + 1)


def trajectory_figure(
    path: Path | str,
    annotation: PoseSequence,
    lifted: PoseSequence,
    refined: PoseSequence | None,
    title: str,
    note: str = "",
    *,
    focus: tuple[int, int] | None = None,
) -> None:
    """Draw one person's hip over time and from above, as a PNG of 1600 x 900 px.

    focus: (start, end) source frames of interest, shown with CONTEXT_S (or their own length, if that is longer) on
    either side; None shows the whole track. refined: None where nothing is. note: a line in a box beside the title,
    such as what the data are. Raises MismatchError where frames or coordinates differ, DataError where no frame is left
    to draw.
    """
    tracks = {"annotation": annotation, "lifted": lifted} | ({} if refined is None else {"refined": refined})
    for name in list(tracks)[1:]:
        check_same_frames(name, tracks[name], annotation)
    frame = annotation.frame.cpu().numpy()
    rate = source_fps(annotation.fps, frame)
    shown = np.ones(len(frame), bool)
    if focus is not None:
        around = max(CONTEXT_S * rate, focus[1] - focus[0])
        shown = (frame >= focus[0] - around) & (frame < focus[1] + around)
    if not shown.any():
        raise DataError(f"{annotation.name}: no frame to draw, {len(frame)} in the track; focus={focus} must lie in it")
    seconds, hidden = frame[shown] / rate, hidden_frames(annotation)[shown]
    hips = {name: poses_mm(track, track is annotation)[shown, HIP] / 1000.0 for name, track in tracks.items()}

    with matplotlib.rc_context({"font.size": 14, "font.family": "DejaVu Sans", "axes.edgecolor": "#888888"}):
        figure = Figure(figsize=(16, 9), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(rect=(0.005, 0.01, 0.985, 0.84), wspace=0.03, hspace=0.03)  # type: ignore[union-attr]
        grid = figure.add_gridspec(3, 2, width_ratios=(1.25, 1))
        _draw_over_time([figure.add_subplot(grid[row, 0]) for row in range(3)], seconds, hips, hidden, annotation.fps)
        _draw_from_above(figure.add_subplot(grid[:, 1]), hips, hidden)
        source = f"{annotation.name}, {annotation.fps:g} fps, {annotation.coordinates} coordinates"
        figure.text(0.012, 0.975, title, fontsize=21, weight="bold", va="top")
        figure.text(0.012, 0.925, source, va="top", color="#555555")
        if note:
            box = {"boxstyle": "round,pad=0.4", "facecolor": "#FFF3D6", "edgecolor": ORANGE}
            figure.text(0.985, 0.968, note, va="top", ha="right", bbox=box)
        _draw_legend(figure, hips, hidden)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", facecolor="white")


def _draw_over_time(
    panels: list[Axes], seconds: np.ndarray, hips: Mapping[str, np.ndarray], hidden: np.ndarray, fps: float
) -> None:
    half_frame = 0.5 / fps
    labels = ("x, right (m)", "y, down (m)", "z, depth (m)")
    for axis, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        for start, end in _runs(hidden):
            panel.axvspan(seconds[start] - half_frame, seconds[end - 1] + half_frame, color=SHADE, lw=0)
        for name, hip in hips.items():
            panel.plot(seconds, hip[:, axis], **_line_style(name))
        low, high = panel.get_ylim()
        widen = max(0.0, MIN_SPAN_M - (high - low)) / 2
        panel.set_ylim(low - widen, high + widen)
        panel.set_xlim(seconds[0] - half_frame, seconds[-1] + half_frame)
        panel.set_ylabel(label)
        panel.tick_params(labelbottom=axis == 2)
        _tidy(panel)
    panels[0].set_title("Position of the hip", loc="left", fontsize=15)
    panels[1].invert_yaxis()
    panels[2].set_xlabel("time (s)")


def _draw_from_above(panel: Axes, hips: Mapping[str, np.ndarray], hidden: np.ndarray) -> None:
    for start, end in _runs(hidden):
        stretch = hips["annotation"][start:end]
        panel.plot(stretch[:, 0], stretch[:, 2], color=SHADE, lw=18, solid_capstyle="round", zorder=1)
    for name, hip in hips.items():
        panel.plot(hip[:, 0], hip[:, 2], **_line_style(name))
        panel.plot(*hip[0, [0, 2]], marker="o", ms=9, mfc="white", mec=CURVE_COLOURS[name], mew=2, zorder=4)
    panel.margins(0.12)
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_xlabel("x, right (m)")
    panel.set_ylabel("z, depth (m)")
    panel.set_title("Path of the hip from above (circle: start)", loc="left", fontsize=15)
    _tidy(panel)


def _draw_legend(figure: Figure, hips: Mapping[str, np.ndarray], hidden: np.ndarray) -> None:
    handles: list[Line2D | Patch] = []
    for name, hip in hips.items():
        distance = np.linalg.norm(hip - hips["annotation"], axis=-1)[hidden if hidden.any() else slice(None)]
        distance = distance[np.isfinite(distance)]
        label = name
        if name != "annotation" and len(distance):
            label += f": {1000 * distance.mean():.0f} mm off{' while hidden' if hidden.any() else ''}"
        handles.append(Line2D([], [], label=label, **_line_style(name)))
    if hidden.any():
        handles.append(Patch(color=SHADE, label="hidden (undetected, or most joints occluded)"))
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.004, 0.9), ncols=4, frameon=False)


def _line_style(name: str) -> dict[str, Any]:
    style = {"lw": 5, "alpha": 0.45, "zorder": 2} if name == "annotation" else {"lw": 2.2, "zorder": 3}
    return {"color": CURVE_COLOURS[name], **style}


def _tidy(panel: Axes) -> None:
    panel.grid(color="#EBEBEB", lw=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of every stretch of true values, end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def source_fps(fps: float, frame: np.ndarray) -> float:
    """Frame rate of the source video: numbers of a decimated track are more than 1 apart."""
    return fps * (int(np.diff(frame).min()) if len(frame) > 1 else 1)


def poses_mm(sequence: PoseSequence, only_annotated: bool = False) -> np.ndarray:
    """(T, 17, 3) mm, float64, MuPoTS-17; with `only_annotated` NaN where the annotation does not count."""
    poses = sequence.require("poses_3d").detach().cpu().double().numpy().copy()
    if sequence.joints_3d != MUPOTS_17:
        raise MismatchError(f"{sequence.name}: joints {MUPOTS_17.name} are drawn, found {sequence.joints_3d.name}")
    if only_annotated:
        poses[~sequence.annotated.cpu().numpy()] = np.nan
    return poses


def check_same_frames(name: str, sequence: PoseSequence, annotation: PoseSequence) -> None:
    if len(sequence) != len(annotation) or not torch.equal(sequence.frame.cpu(), annotation.frame.cpu()):
        raise MismatchError(
            f"{annotation.name}: {name} has {len(sequence)} frames, the annotation {len(annotation)}; "
            "give the same frames, numbered alike"
        )
    same_coordinates(f"{annotation.name}, {name}", sequence.coordinates, annotation.coordinates)
