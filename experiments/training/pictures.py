"""`logger.pictures=true`: a figure of one occlusion of the validation set after every epoch, while a lifter learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from experiments.loggers import log_image
from inference.render.figures import choose_occlusion, frames_within, hidden_frames, trajectory_figure
from lightning_modules.prediction import lift
from pose.sequence import PoseSequence


class OcclusionPictures(pl.Callback):
    """Draws `folder`/epoch_N.png after the validation of each epoch and tells `logger`, in the main process alone.

    The lifter is the one that was validated, so this comes before callbacks that put averaged weights away again.
    Draws no random numbers: the lifter learns what it learns without.
    """

    def __init__(self, folder: Path, logger: Any) -> None:
        self._folder, self._logger = folder, logger

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        module = trainer.datamodule  # set by `fit`, which pl.Trainer does not declare
        chosen, focus, how = occlusion_of(module.validation_sequences)
        (lifted,) = lift(pl_module.lifter, [chosen])
        epoch = trainer.current_epoch + 1
        path = self._folder / f"epoch_{epoch}.png"
        title, note = f"{chosen.sequence}, epoch {epoch}", f"validation, {how}; trained on {module.train_name}"
        trajectory_figure(path, chosen, lifted, None, title, note, focus=focus)
        log_image(self._logger, "val/occlusion", path, trainer.global_step)


def occlusion_of(sequences: list[PoseSequence]) -> tuple[PoseSequence, tuple[int, int], str]:
    """A sequence, the source frames of an occlusion in it, and what that is: one that there is, or else one that is
    made by taking away the detections of a second."""
    index, *focus = choose_occlusion(sequences)
    chosen = sequences[index]
    inside = frames_within(chosen, *focus)
    if hidden_frames(chosen)[inside.cpu().numpy()].any():
        return chosen, (focus[0], focus[1]), "an occlusion"
    made = dataclasses.replace(
        chosen,
        keypoints_2d=chosen.keypoints_2d.masked_fill(inside[:, None, None], 0),
        confidence=chosen.confidence.masked_fill(inside[:, None], 0),
        detected=chosen.detected & ~inside,
    )
    return made, (focus[0], focus[1]), "detections of a second taken away"
