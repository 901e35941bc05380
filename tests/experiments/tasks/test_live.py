"""`experiment=live` from the command line: a stream in, the files of `predict` out, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import read_detections
from data.predictions import read_predictions
from fileio.video import VideoWriter
from pose.errors import DataError

FRAMES = 40
DETECTOR = '''
import json, time
from pathlib import Path
import numpy as np

class Scripted:
    """The people of a file, by the number that the picture's brightness says; slow if asked to be."""
    name = "scripted"

    def __init__(self, path: str, wait: float = 0.0) -> None:
        self.people, self.wait = json.loads(Path(path).read_text()), wait

    def __call__(self, image):
        time.sleep(self.wait)
        number = round((float(image[:16, :16].mean()) - 20) / 5)
        return np.array(self.people[min(max(number, 0), len(self.people) - 1)], dtype=float).reshape(-1, 17, 3)
'''


@pytest.fixture(scope="module")
def people(golden: Path) -> list[list[list[float]]]:
    """Keypoints of every frame of a real clip, three people."""
    frames = json.loads((golden / "detections" / "ts1_keypoints.json").read_text())
    return [[one["keypoints"] for one in frames[name]] for name in sorted(frames)[:FRAMES]]


def lines_of(people: list[list[list[float]]]) -> list[str]:
    first = {"fps": 30, "image_size": [2048, 2048]}
    return [
        json.dumps({**(first if number == 0 else {}), "frame": number, "people": [{"keypoints": one} for one in here]})
        for number, here in enumerate(people)
    ]


@contextmanager
def stdin(path: Path) -> Iterator[None]:
    before = os.dup(0)
    with open(path, "rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


WORDS = ["experiment=live", "input=-", "camera.fx=1500", "live.port=null", "pictures=false", "refinement.lag=4"]


def test_a_stream_of_keypoints_leaves_the_files_of_predict(run_here, tmp_path: Path, people) -> None:
    """Every frame, with neither a detector nor OpenCV; its keypoints are an input of `predict`."""
    (tmp_path / "a.jsonl").write_text("\n".join(lines_of(people)))
    with stdin(tmp_path / "a.jsonl"), pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cv2", None)
        done = run_here(*WORDS, "live.drop=false")
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert {"predictions.npz", "predictions.json", "predictions.csv", "person_2.bvh"} <= set(summary["files"])
    assert all((done.folder / name).stat().st_size > 0 for name in summary["files"])
    assert (summary["n_frames"], summary["fps"], len(summary["people"])) == (FRAMES, 30, 3)
    assert (summary["live"]["taken"], summary["live"]["dropped"]) == (FRAMES, 0)
    assert 4 / 30 <= summary["live"]["lag_s"] <= summary["live"]["lag_95_s"]
    assert "0 of 40 frames dropped" in done.output and "by a causal lifter" in done.output
    found = read_predictions(done.folder / "predictions.npz")
    assert [len(person) for person in found] == [FRAMES] * 3
    detections = read_detections(done.folder / "keypoints.npz")
    assert (len(detections), detections.n_frames, detections.fps) == (3 * FRAMES, FRAMES, 30)
    expected = np.sort(np.array([one[0] for here in people for one in here]))
    assert np.allclose(np.sort(detections.keypoints_2d[:, 0, 0]), expected, atol=0.01)


def test_a_video_as_the_camera_at_its_rate(run_here, tmp_path: Path, people, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that takes three frames' time loses frames, not time, and every frame of a track has a pose."""
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "clip.mp4", 20.0, quality=1) as writer:
        for number in range(FRAMES):
            writer.write(np.full((64, 64, 3), 20 + 5 * number, np.uint8))
    small = [[[value / 32 if at % 3 < 2 else value for at, value in enumerate(one)] for one in here] for here in people]
    (tmp_path / "people.json").write_text(json.dumps(small))
    (tmp_path / "scripted_detector.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(str(tmp_path))
    detector = ["detector=plugin", "detector.name=scripted_detector:Scripted", "+detector.wait=0.12"]
    begin = time.monotonic()
    done = run_here(
        *[word for word in WORDS if word != "input=-"],
        *detector,
        f"+detector.path={tmp_path / 'people.json'}",
        f"input={tmp_path / 'clip.mp4'}",
        "camera.fx=47",
        "pictures=[overlay]",
        "exporter=npz",
    )
    assert done.returncode == 0, done.output
    assert time.monotonic() - begin > FRAMES / 20
    summary = json.loads((done.folder / "summary.json").read_text())
    live = summary["live"]
    assert live["dropped"] > FRAMES / 3 and live["taken"] + live["dropped"] == FRAMES
    assert 1 < live["frames_per_s"] < 9
    assert summary["files"] == ["predictions.npz", "overlay.mp4"] and summary["n_frames"] == FRAMES
    assert any("poses lie in dropped frames" in note for note in summary["notes"])
    for person in read_predictions(done.folder / "predictions.npz"):
        assert len(person) == int(person.frame[-1] - person.frame[0]) + 1 > FRAMES / 2
        assert 0 < int(person.detected.sum()) <= live["taken"]
        assert not bool(person.require("observed")[~person.detected].any())


def test_a_line_that_is_wrong_ends_the_recording_which_is_written(run_here, tmp_path: Path, people) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join([*lines_of(people)[:30], '{"frame": 29, "people": []}', "{}"]))
    with stdin(tmp_path / "a.jsonl"):
        done = run_here(*WORDS, "live.drop=false", "exporter=npz")
    assert done.returncode == 2
    assert "what was recorded is written" in done.output
    assert "input=-, line 31: frame: a whole number from 30 is expected, found 29" in done.output
    assert [len(person) for person in read_predictions(done.folder / "predictions.npz")] == [30] * 3


def test_ctrl_c_writes_what_was_recorded(repo: Path, tmp_path: Path, people) -> None:
    """A process of its own, whose sender goes on for ever."""
    words = [*WORDS, "exporter=npz", f"hydra.run.dir={tmp_path / 'run'}"]
    process = subprocess.Popen(
        [sys.executable, str(repo / "run.py"), *words],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None and process.stdout is not None
    sender, ended = process.stdin, threading.Event()

    def send() -> None:
        number = 0
        try:
            while not ended.is_set():
                line = json.loads(lines_of(people)[number % FRAMES]) | {"frame": number}
                sender.write(json.dumps(line) + "\n")
                sender.flush()
                number += 1
                time.sleep(1 / 30)
        except (BrokenPipeError, ValueError):
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    shown = []
    for line in process.stdout:
        shown.append(line)
        if "warming up" in line:
            time.sleep(3)
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.stdout.read(), ended.set()
    assert process.wait(60) == 0, "".join(shown) + rest
    assert "ending: the recording is written; again to end at once" in rest
    assert len(read_predictions(tmp_path / "run" / "predictions.npz")) >= 3
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["live"]["taken"] > 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["input=null"], "input=null: give input=0 (a camera), a video, rtsp://... or -"),
        (["input=nowhere.mp4"], "input=nowhere.mp4: needs a detector; give detector=rtmpose or detector=mediapipe"),
        (["tracker=offline"], "tracker: OfflineTracker looks at the whole video; give tracker=online or tracker=given"),
        (["live.drop=1"], "live.drop=1: must be true or false"),
        (["refinement.lag=null"], "live needs refinement=occlusion with refinement.lag=FRAMES"),
        (["checkpoint=builtin:mocap_normal"], "checkpoint: this lifter looks at later frames"),
        (["scores=high"], "scores=high: must be calibrated or raw"),
        (["heights=[1750]"], "heights=[1750]: is not used by this experiment (task: live) and would change nothing"),
    ],
)
def test_what_cannot_be_used_is_one_line(run_here, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "a.jsonl").write_text("")
    with stdin(tmp_path / "a.jsonl"):
        done = run_here(*(word for word in WORDS if word.split("=")[0] != words[0].split("=")[0]), *words)
    assert done.returncode == 2 and said in done.output and "Traceback" not in done.output, done.output


def test_a_camera_that_moves_is_warned_of(run_here, tmp_path: Path, people) -> None:
    def panned(keypoints: list[float], number: int) -> list[float]:
        return [value + 20 * number if i % 3 == 0 and value else value for i, value in enumerate(keypoints)]

    moved = [[panned(one, number) for one in here] for number, here in enumerate(people)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines_of(moved)))
    with stdin(tmp_path / "a.jsonl"):
        done = run_here(*WORDS, "live.drop=false", "fps=20", "exporter=json", "camera.image_size=[4096,2048]")
    summary = json.loads((done.folder / "summary.json").read_text())
    assert summary["camera"]["moves"] is True and "Warning: the camera moves" in summary["warnings"][0]


def test_the_first_error_is_told_and_what_came_is_kept(run_here, tmp_path: Path, people, monkeypatch) -> None:
    from inference.live.stream import LiveStream

    def fails(*_) -> None:
        raise DataError("the second")

    def fails_late(self: LiveStream, frame: int, found) -> tuple:
        if frame == 30:  # after the warm-up
            monkeypatch.setattr(LiveStream, "people", fails)
            raise DataError("the first")
        return real(self, frame, found)

    real = LiveStream.__call__
    monkeypatch.setattr(LiveStream, "__call__", fails_late)
    (tmp_path / "a.jsonl").write_text("\n".join(lines_of(people)))
    with stdin(tmp_path / "a.jsonl"):
        done = run_here(*WORDS, "live.drop=false")
    assert done.returncode == 2 and "the first" in done.output and "the second" not in done.output, done.output
    assert (done.folder / "keypoints.npz").is_file()


def test_nobody_and_nothing(run_here, tmp_path: Path) -> None:
    for content, said in (
        ("", "standard input is empty; each line is one frame"),
        ('{"people": []}\n' * 3, "the size of the image is not known; give camera.image_size=[WIDTH,HEIGHT]"),
        (
            '{"image_size": [64, 48], "people": []}\n' * 3,
            "input=-: no person was found in 3 frames, 0 dropped; check the detector",
        ),
    ):
        (tmp_path / "a.jsonl").write_text(content)
        with stdin(tmp_path / "a.jsonl"):
            done = run_here(*WORDS, "live.drop=false")
        assert done.returncode == 2 and said in done.output, done.output
