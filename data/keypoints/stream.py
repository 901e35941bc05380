"""2D keypoints as a stream: JSON lines, one frame a line, as a detector writes them into a pipe (docs/live.md)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.keypoints.coco19 import MAX_SCORE, RawDetections
from data.keypoints.formats import loose_json
from data.keypoints.formats.json_facts import fps_of, size_of
from data.keypoints.parsing import Hints, described
from pose.errors import DataError

log = logging.getLogger(__name__)

#: Longer lines are refused: a thousand people take less.
MAX_LINE = 2**22
SAMPLE = '{"frame": 0, "people": [{"keypoints": [x, y, score, ...]}]}'
_LOWEST_SCORE = -0.1


class KeypointLine:
    """One line: number of its frame, fps and image_size where it says them, and its people.

    source: what messages call it. number: where the line has no `frame`. Raises DataError for what is no frame.
    """

    def __init__(self, line: bytes, source: str, number: int):
        self.source = source
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{source}: no JSON ({error!s:.80}); each line is one frame, such as {SAMPLE}") from None
        if not isinstance(content, dict) or not isinstance(content.get("people"), list):
            raise DataError(
                f"{source}: a frame with a list of people is expected, found {described(content)}; such as {SAMPLE}"
            )
        self.number = content.get("frame", number)
        if not isinstance(self.number, int) or isinstance(self.number, bool) or self.number < number:
            raise DataError(
                f"{source}: frame: a whole number from {number} is expected, found {self.number!r:.40}; frames come in "
                "order, each once"
            )
        self.fps, self.image_size = fps_of(content, Path(source)), size_of(content)
        self._people: list[Any] = content["people"]

    def detections(self, joint_set: str | None = None, score_scale: float = 1.0) -> RawDetections:
        """The people. DataError for an entry that is no person, and for scores whose scale a line cannot tell."""
        found = loose_json.read([{"frame": 0, "people": self._people}], Path(self.source), Hints(joint_set))
        scores = found.confidence / score_scale
        if len(found.number) and not (scores.max() <= MAX_SCORE and scores.min() >= _LOWEST_SCORE):
            raise DataError(
                f"{self.source}: joint scores from {scores.min():.4g} to {scores.max():.4g}, 0 to 1 is expected; give "
                "input_options.score_scale=, the score of a certain joint, to divide by it"
            )
        return found


def read_lines(descriptor: int, source: str) -> Iterator[bytes]:
    """The lines of a file descriptor as soon as they are there; empty ones are left out, and a last one that was cut.

    Not through sys.stdin, whose lock a thread that waits for a line would hold when the program ends.
    """
    held = b""
    while block := os.read(descriptor, 1 << 16):
        *lines, held = (held + block).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(held) > MAX_LINE:
            raise DataError(f"{source}: a line longer than {MAX_LINE} bytes; each line is one frame, such as {SAMPLE}")
    if held.strip():
        try:
            json.loads(held)
        except ValueError:
            log.warning("%s: the last line was cut off and is left out", source)
        else:
            yield held
