"""`experiment=predict`: a video or its 2D keypoints -> all people's 3D trajectories, in files and pictures."""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.progress import stage
from experiments.results.table import Table, text_table
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError, DataError
from pose.progress import Progress

log = logging.getLogger(__name__)

#: By how much the proportions of `video=` may differ from those of the keypoints' image.
PROPORTIONS = 0.02
#: What `pictures=` may name, and the files.
PICTURES = {"page": "page.html", "overlay": "overlay.mp4", "animation": "animation.mp4"}
#: Wider videos are drawn this wide, px: a 4K overlay would take longer than everything else.
OVERLAY_WIDTH = 960


def predict(cfg: DictConfig) -> None:
    """Predict `input=PATH`; leave predictions.* of `exporter=`, pictures, summary.json and summary.md."""
    given = cfg.predict
    if given.input is None:
        raise ConfigError(
            "input=null: give input=PATH, a video, a folder of images or 2D keypoints (docs/own_videos.md)"
        )
    for key in ("input", "video"):
        if not isinstance(given[key], str | None):
            given[key] = str(given[key])  # a name may look like a number
    if not Path(given.input).exists():  # at once, before the parts of the pipeline are imported
        raise DataError(f"input={given.input}: no such file or folder")
    from data.keypoints import is_keypoints_input
    from inference.cameras.camera import CameraSettings
    from inference.pipeline import Pipeline
    from lightning_modules.checkpoint import load_lifter
    from pose.level import check_leveling

    is_video = not is_keypoints_input(given.input)
    settings: Any = OmegaConf.to_container(given.camera, resolve=True)
    video = _probed(given.video, is_video, given.fps)
    size = None if video is None else (video.width, video.height)
    if size is not None and settings["image_size"] is None:
        settings["image_size"] = size
    camera, heights = CameraSettings(**settings), _heights(given.heights)
    _check_proportions(given.video, size, camera.image_size)
    check_leveling(given.level)
    pictures_of(cfg)
    exporters = exporters_of(cfg)
    parts = {"refinement": instantiate(cfg.refinement), "tracker": instantiate(cfg.tracker)}
    settle(cfg)
    pipeline = Pipeline(
        lifter=load_lifter(cfg.checkpoint, coordinates=cfg.coordinates),
        camera=camera,
        detector=instantiate(cfg.detector) if is_video and "_target_" in cfg.detector else None,
        fps=given.fps,
        people=given.people,
        heights=heights,
        scores=given.scores,
        video=video,
        input_options={key: value for key, value in given.input_options.items() if value is not None},
        **parts,
    )
    with stage("predicting"):
        prediction = pipeline.run(given.input)
    leave(cfg, prediction, exporters, parts["refinement"].name, is_video)


def leave(
    cfg: DictConfig,
    prediction: Any,
    exporters: dict[str, Any],
    refinement: str,
    is_video: bool = False,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Leave all files of a prediction in the run's folder: the exporters', pictures and the summary, with `more`."""
    from inference.export.base import LimitError
    from inference.quality import scene_warnings

    given = cfg.predict
    scene = dataclasses.replace(prediction.scene, level=given.level)
    warnings = scene_warnings(scene)
    scene = dataclasses.replace(scene, notes=[*warnings, *scene.notes])
    folder, skipped, files = run_folder(), [], []
    progress = Progress("writing files", len(exporters), "formats")
    with stage("writing files"):
        for exporter in progress.each(exporters.values()):
            _unless_missing(lambda one=exporter: files.extend(one.write(scene, folder)), skipped, LimitError)
    if wanted := pictures_of(cfg):
        with stage(f"drawing {', '.join(wanted)}"):
            # Keypoints count the frames of their video, whatever its rate.
            seen, fps = (given.input, given.fps) if is_video else (given.video, scene.fps)
            files += _pictures(wanted, scene, seen, fps, folder, skipped)
    summary = _summary(given.input, refinement, dataclasses.replace(prediction, scene=scene))
    summary |= {**more, "warnings": warnings, "notes": scene.notes + skipped, "files": [path.name for path in files]}
    write_json(folder / "summary.json", summary)
    write_text(folder / "summary.md", markdown_text(_table(summary)), show=True)


def pictures_of(cfg: DictConfig) -> list[str]:
    """Which of `PICTURES` the configuration wants: `pictures=` true, false, or a list of them."""
    given = _plain(cfg.pictures)
    wanted = given if isinstance(given, list) else {True: list(PICTURES), False: [], None: []}.get(given, [given])
    if unknown := [name for name in wanted if name not in PICTURES]:
        raise ConfigError(f"pictures={unknown[0]}: must be true, false or a list of {', '.join(PICTURES)}")
    return [name for name in PICTURES if name in wanted]


def exporters_of(cfg: DictConfig) -> dict[str, Any]:
    """The writers of `exporter=`, by name; ConfigError without any."""
    if not cfg.get("exporter"):
        raise ConfigError(
            "exporter=[]: give at least one of npz, json, csv, trc, c3d, bvh, glb, such as exporter=[npz]"
        )
    return {name: instantiate(exporter) for name, exporter in cfg.exporter.items()}


def _plain(value: Any) -> Any:
    """A value of a configuration as plain lists, dicts and scalars."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _heights(heights: Any) -> dict[int, float]:
    """`heights=[1750,null,1620]` or `heights={0:1750,2:1620}` by person number."""
    value = _plain(heights)
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


def _unless_missing(write: Callable[[], Any], skipped: list[str], *limits: type[DataError]) -> None:
    """Call `write`; where its library is not installed, or its format too small, keep the message instead: the other
    files are worth having."""
    try:
        write()
    except (ConfigError, *limits) as error:
        if not isinstance(error, limits) and not isinstance(error.__cause__ or error.__context__, ImportError):
            raise
        log.warning("%s", error)
        skipped.append(f"Left out: {error}")


def _pictures(
    wanted: list[str], scene: Any, video: str | None, fps: float | None, folder: Path, skipped: list[str]
) -> list[Path]:
    """Those of the overlay (over the frames of `video`), the animation and the page of a scene that are wanted."""
    from fileio.video import read_video
    from inference.render.page import PagePictures, write_page

    pictures = PagePictures(scene)

    def clips() -> None:
        frames = None if video is None else pictures.of(read_video(video, fps))
        if "overlay" in wanted:
            from inference.render.overlay import write_overlay  # brings Matplotlib

            write_overlay(scene, frames, folder / "overlay.mp4", max_width=OVERLAY_WIDTH)
        elif frames is not None and "page" in wanted:
            deque(frames, maxlen=0)  # the page keeps some of them
        if "animation" in wanted:
            from inference.render.animation import write_animation

            write_animation(scene, folder / "animation.mp4")

    _unless_missing(clips, skipped)
    if "page" in wanted:
        write_page(scene, folder / "page.html", pictures)
    return [path for path in (folder / PICTURES[name] for name in wanted) if path.exists()]


def _probed(video: str | None, is_video: bool, fps: float | None) -> Any:
    """What is in `video=`. ConfigError beside an input that is one, DataError for a file that is none."""
    if video is None:
        return None
    if is_video:
        raise ConfigError(f"video={video}: the input is a video already; leave it out")
    from fileio.video import probe

    found: list[Any] = []
    _unless_missing(lambda: found.append(probe(video, fps)), [])
    return found[0] if found else None


def _check_proportions(video: str | None, size: tuple[int, int] | None, image: tuple[int, int] | None) -> None:
    """Before anything is predicted: the pictures could not be drawn."""
    if size is not None and image is not None and abs(size[0] * image[1] / (size[1] * image[0]) - 1) > PROPORTIONS:
        raise ConfigError(
            f"video={video}: its pictures of {size[0]} x {size[1]} have other proportions than "
            f"camera.image_size=[{image[0]},{image[1]}]; is it the video that the keypoints come from?"
        )


def _summary(source: str, refinement: str, prediction: Any) -> dict[str, Any]:
    """Facts of a prediction in plain types."""
    from inference.quality import figures_of

    scene, camera = prediction.scene, prediction.scene.camera
    tilt_deg, roll_deg = scene.world.angles_deg
    return {
        "input": str(source),
        "people": [
            {
                "person": person.person,
                "first_frame": int(person.frame[0]),
                "last_frame": int(person.frame[-1]),
                "detected": int(person.detected.sum()),
                **dataclasses.asdict(figures_of(person, scene)),
            }
            for person in scene.people
        ],
        "n_frames": scene.n_frames,
        "fps": scene.fps,
        "coordinates": scene.coordinates,
        "refinement": refinement,
        "camera": {
            **{key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")},
            "image_size": [camera.width, camera.height],
            "how": prediction.camera.how,
            "moves": scene.motion.moves,
            "px_per_frame": round(scene.motion.px_per_frame, 2),
        },
        "level": {
            "level": scene.level,
            "how": scene.world.how,
            "tilt_deg": round(tilt_deg, 1),
            "roll_deg": round(roll_deg, 1),
        },
        "stage_seconds": {name: round(seconds, 2) for name, seconds in prediction.stage_seconds.items()},
    }


def _level_note(level: dict[str, Any], moves: bool | None) -> str:
    """How motion files and pictures stand, in a sentence."""
    if level["level"] == "camera":
        return "Level: motion files are as the camera was held (level=camera)."
    origin = {"people": "as the people stand", "given": "as given", "camera": "it is taken to be held level"}
    if moves:
        origin["people"] = "in the mean of all frames, as the people stand"
    tilt_deg, roll_deg = level["tilt_deg"], level["roll_deg"]
    return (
        f"Level: the camera looks {'down' if tilt_deg >= 0 else 'up'} by {abs(tilt_deg):.0f} degrees and is turned "
        f"{'clockwise' if roll_deg >= 0 else 'counterclockwise'} by {abs(roll_deg):.0f}, {origin[level['how']]}; trc, "
        "c3d, bvh, glb and the pictures are level, with the floor at 0. camera.tilt_deg= and camera.roll_deg= set it, "
        "level=camera leaves it."
    )


def _seconds(stages: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in stages.items())


def _table(summary: dict[str, Any]) -> Table:
    """The summary for people to read."""
    people, shown = summary["people"], summary["people"][:12]
    head = f"people {len(people)}, frames {summary['n_frames']}, fps {summary['fps']:g}"
    notes = [
        *([f"{len(people) - len(shown)} more people, seen for a shorter time"] if len(people) > len(shown) else []),
        *summary["notes"],
        _level_note(summary["level"], summary["camera"]["moves"]),
        *([f"Seconds: {_seconds(summary['stage_seconds'])}."] if summary["stage_seconds"] else []),
        f"Files: {', '.join(summary['files'])}.",
        "hips_off_pct: the farthest that the middle of the hips, reprojected, is from the detected one, in percent of "
        "the image's width, over the frames in which it was detected. outside_frames: frames in which the person is "
        "out of the image, wholly or in part.",
    ]
    return text_table(f"{Path(summary['input']).name}: {head}", shown, notes)
