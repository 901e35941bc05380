"""`experiment=live`: people of a camera, or of a stream of keypoints, in 3D while it runs; then the files of `predict`.

A thread brings frames (JSON lines, a video file at its rate, a camera) and keeps the newest only; this one detects,
tracks, lifts causally and refines the frame `refinement.lag` frames back, and sends it to the page. Ctrl-C or the
stream's end, also by an error, writes everything that was recorded: the exporters' files, pictures and summary, and the
keypoints as they came (keypoints.npz), for `predict`.
"""

from __future__ import annotations

import dataclasses
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.progress import stage
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.tasks.predict import exporters_of, leave, pictures_of
from pose.errors import ConfigError, DataError, check_rate

log = logging.getLogger(__name__)

#: Seconds between two lines that say how it goes; how long somebody out of sight is followed by `tracker=given`.
TELL_S, HIDDEN_S = 10.0, 2.0


def live(cfg: DictConfig) -> None:
    """Show the people of `input=` in 3D until Ctrl-C or its end; leave what `predict` leaves, and keypoints.npz."""
    given = cfg.predict
    if given.input is None:
        raise ConfigError("input=null: give input=0 (a camera), a video, rtsp://... or - (docs/live.md)")
    given.input = str(given.input)
    from inference.cameras.camera import CameraSettings
    from inference.cameras.motion import of_people
    from inference.live.server import LivePage
    from inference.live.session import Session, run, warm_up
    from inference.live.sources import Newest, open_source
    from inference.live.stream import LiveStream, check_live
    from inference.pipeline import DEFAULT_FPS, Prediction
    from inference.scene import Scene
    from lightning_modules.checkpoint import load_lifter
    from pose.level import check_leveling, up_of

    values: Any = OmegaConf.to_container(given.camera, resolve=True)
    settings = CameraSettings(**values)
    check_leveling(given.level)
    pictures_of(cfg)
    exporters = exporters_of(cfg)
    if given.fps is not None:
        check_rate(given.fps)
    if given.scores not in ("calibrated", "raw"):
        raise ConfigError(f"scores={given.scores}: must be calibrated or raw")
    refinement, tracker = instantiate(cfg.refinement), instantiate(cfg.tracker)
    if not hasattr(tracker, "start"):
        raise ConfigError(
            f"tracker: {type(tracker).__name__} looks at the whole video; give tracker=online or tracker=given"
        )
    if not isinstance(cfg.live.drop, bool):
        raise ConfigError(f"live.drop={cfg.live.drop}: must be true or false")
    settle(cfg)
    lifter = load_lifter(cfg.checkpoint, coordinates=cfg.coordinates)
    check_live(lifter, refinement)
    detector = instantiate(cfg.detector) if "_target_" in cfg.detector else None
    options = {key: value for key, value in given.input_options.items() if value is not None}
    source = open_source(given.input, detector, given.fps, settings.image_size, options)
    camera = settings.resolve(settings.size(source.image_size, f"input={given.input}"), [])
    fps, notes = given.fps or source.fps, [camera.note]
    if fps is None:
        fps = DEFAULT_FPS
        notes.append(f"Rate: not known, {fps:g} frames per second are assumed; give fps= if it is another.")
    for note in notes:
        log.info(note)
    up = None if settings.tilt_deg is None or settings.roll_deg is None else up_of(settings.tilt_deg, settings.roll_deg)

    def stream() -> LiveStream:
        return LiveStream(
            lifter, refinement, tracker.start(fps), camera.camera, fps, source.name,
            getattr(tracker, "max_gap_s", HIDDEN_S), up, given.scores == "calibrated",
        )  # fmt: skip

    with stage("warming up"), _one_thread():
        warm_up(stream())
    page = None if cfg.live.port is None else LivePage(cfg.live.port)
    session, failure = Session(source, stream(), page), None
    frames = Newest(source.frames(fps, paced=cfg.live.drop), drop=cfg.live.drop)
    if page is not None:
        log.info("the page: %s; Ctrl-C ends the recording and writes its files", page.url)
    try:
        with _stopped_by_signals(frames.stop), _one_thread():
            run(frames, session, lambda figures: log.info("live: %s", figures), TELL_S)
    except Exception as error:  # what was recorded is written first
        log.error("the stream ended by an error; what was recorded is written")
        failure = error
    session.write_keypoints(run_folder() / "keypoints.npz")
    try:
        people, figures = session.stream.people(), session.figures()
    except Exception as error:
        raise failure or error from None
    if page is not None:
        page.send("end", {})
        page.close()
    if people:
        notes += [f"Live: {figures}.", *session.notes(people)]
        scene = Scene(
            people, fps, session.stream.frames[-1] + 1, camera.camera, lifter.coordinates, source.name, notes,
            tilt_deg=settings.tilt_deg, roll_deg=settings.roll_deg, motion=of_people(people, fps),
        )  # fmt: skip
        more = {"live": dataclasses.asdict(figures)}
        leave(cfg, Prediction(scene, camera, {}), exporters, refinement.name, source.is_video, more)
    if failure is not None:
        raise failure
    if not people:
        hint = (
            "give live.drop=false, or a file as < FILE, if it is not live" if figures.dropped else "check the detector"
        )
        raise DataError(
            f"input={given.input}: no person was found in {figures.taken} frames, {figures.dropped} dropped; {hint}"
        )


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop`, once; after the block they are as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():

        def first(number: int, _: Any, handler: Any = handler) -> None:
            signal.signal(number, handler)
            log.info("ending: the recording is written; again to end at once")
            stop()

        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _one_thread() -> Iterator[None]:
    """So little is computed at a time that several threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
