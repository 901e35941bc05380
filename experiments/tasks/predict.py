"""`experiment=predict`: a video or its 2D keypoints -> all people's 3D trajectories, in files and pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.progress import stage
from experiments.results.table import Table, text_table
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17

log = logging.getLogger(__name__)

#: Wider videos are drawn this wide, px: a 4K overlay would take longer than everything else.
OVERLAY_WIDTH = 960


def predict(cfg: DictConfig) -> None:
    """Predict `input=PATH`; leave predictions.* of `exporter=`, pictures, summary.json and summary.md."""
    given = cfg.predict
    if given.input is None:
        raise ConfigError(
            "input=null: give input=PATH, a video, a folder of images or 2D keypoints (docs/own_videos.md)"
        )
    if not Path(given.input).exists():  # at once, before the parts of the pipeline are imported
        raise DataError(f"input={given.input}: no such file or folder")
    from data.keypoints import is_keypoints_input
    from inference.cameras.camera import CameraSettings
    from inference.pipeline import Pipeline
    from lightning_modules.checkpoint import load_lifter

    is_video = not is_keypoints_input(given.input)
    settings: Any = OmegaConf.to_container(given.camera, resolve=True)
    camera, heights = CameraSettings(**settings), _heights(given.heights)
    exporters = {name: instantiate(exporter) for name, exporter in (cfg.exporter or {}).items()}
    parts = {"refinement": instantiate(cfg.refinement), "tracker": instantiate(cfg.tracker)}
    settle(cfg)
    pipeline = Pipeline(
        lifter=load_lifter(cfg.checkpoint, coordinates=cfg.coordinates),
        camera=camera,
        detector=instantiate(cfg.detector) if is_video and "_target_" in cfg.detector else None,
        fps=given.fps,
        people=given.people,
        heights=heights,
        **parts,
    )
    with stage("predicting"):
        prediction = pipeline.run(given.input)
    folder, skipped, files = run_folder(), [], []
    with stage("writing files"):
        for exporter in exporters.values():
            _unless_missing(lambda one=exporter: files.extend(one.write(prediction.scene, folder)), skipped)
    if cfg.pictures:
        with stage("drawing pictures"):
            files += _pictures(prediction.scene, given.input if is_video else None, given.fps, folder, skipped)
    _report(given.input, parts["refinement"].name, prediction, files, skipped)


def _heights(heights: Any) -> dict[int, float]:
    """`heights=[1750,null,1620]` or `heights={0:1750,2:1620}` by person number."""
    value: Any = OmegaConf.to_container(OmegaConf.create({"heights": heights}))["heights"]  # type: ignore[index]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if value is None:
        return {}
    try:
        if pairs is None:
            raise TypeError
        return {int(person): float(height) for person, height in pairs if height is not None}
    except (TypeError, ValueError):
        raise ConfigError(
            f"heights={value}: must be statures in mm by person number, such as [1750,null,1620] or {{0:1750}}"
        ) from None


def _unless_missing(write: Callable[[], None], skipped: list[str]) -> None:
    """Call `write`; where its library is not installed, keep the message instead: the other files are worth having."""
    try:
        write()
    except ConfigError as error:
        if not isinstance(error.__cause__ or error.__context__, ImportError):
            raise
        log.warning("%s", error)
        skipped.append(f"Left out: {error}")


def _pictures(scene: Any, video: str | None, fps: float | None, folder: Path, skipped: list[str]) -> list[Path]:
    from fileio.video import read_video
    from inference.render.animation import write_animation
    from inference.render.overlay import write_overlay
    from inference.render.page import write_page

    write_page(scene, folder / "page.html")

    def clips() -> None:
        frames = None if video is None else read_video(video, fps)
        write_overlay(scene, frames, folder / "overlay.mp4", max_width=OVERLAY_WIDTH)
        write_animation(scene, folder / "animation.mp4")

    _unless_missing(clips, skipped)
    return [path for path in (folder / name for name in ("page.html", "overlay.mp4", "animation.mp4")) if path.exists()]


def _report(source: str, refinement: str, prediction: Any, files: list[Path], skipped: list[str]) -> None:
    from inference.scene import array_of, hip_offset_px

    scene, hip = prediction.scene, MUPOTS_17.index("hip")
    people = [
        {
            "person": person.person,
            "first_frame": int(person.frame[0]),
            "last_frame": int(person.frame[-1]),
            "detected": int(person.detected.sum()),
            "observed_pct": round(100 * float(person.require("observed").float().mean()), 1),
            "distance_m": round(float(np.median(array_of(person, "poses_3d")[:, hip, 2])) / 1000, 2),
            "hips_off_pct": _most_pct(hip_offset_px(person, scene.camera).numpy(), scene.camera.width),
        }
        for person in scene.people
    ]
    camera = scene.camera
    summary = {
        "input": str(source),
        "people": people,
        "n_frames": scene.n_frames,
        "fps": scene.fps,
        "coordinates": scene.coordinates,
        "refinement": refinement,
        "camera": {
            **{key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")},
            "image_size": [camera.width, camera.height],
            "how": prediction.camera.how,
        },
        "notes": scene.notes + skipped,
        "stage_seconds": {name: round(seconds, 2) for name, seconds in prediction.stage_seconds.items()},
        "files": [path.name for path in files],
    }
    write_json(run_folder() / "summary.json", summary)
    write_text(run_folder() / "summary.md", markdown_text(_table(summary)), show=True)


def _most_pct(offset: np.ndarray, width: int) -> float | None:
    """The largest offset px in percent of the image's width; None if there is none."""
    return None if np.isnan(offset).all() else round(100 * float(np.nanmax(offset)) / width, 2)


def _table(summary: dict[str, Any]) -> Table:
    """The summary for people to read."""
    people, shown = summary["people"], summary["people"][:12]
    head = f"people {len(people)}, frames {summary['n_frames']}, fps {summary['fps']:g}"
    notes = [
        *([f"{len(people) - len(shown)} more people, seen for a shorter time"] if len(people) > len(shown) else []),
        "hips_off_pct: the farthest that the middle of the hips, reprojected, is from the detected one, in percent of "
        "the image's width, over the frames in which it was detected.",
        *summary["notes"],
        f"Seconds: {', '.join(f'{name} {value:.1f}' for name, value in summary['stage_seconds'].items())}.",
        f"Files: {', '.join(summary['files'])}.",
    ]
    return text_table(f"{Path(summary['input']).name}: {head}", shown, notes)
