"""Detectors by name, over a stream of frames, and what is said where one is not installed."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import numpy as np
import pytest

from data.keypoints.detector import detect_video
from inference.detectors import load_detector
from inference.detectors.mediapipe_pose import without_its_notes
from pose.errors import ConfigError, DataError
from pose.joint_sets import COCO_19

IMAGE = np.zeros((48, 64, 3), dtype=np.uint8)


class Counting:
    """As many people as the image's first value says, all joints at (10 n, 20 n)."""

    name = "counting"

    def __init__(self, score: float = 0.8) -> None:
        self.score = score

    def __call__(self, image: np.ndarray) -> np.ndarray:
        place = 1.0 + np.arange(int(image[0, 0, 0]))
        return np.stack([10 * place, 20 * place, np.full_like(place, self.score)], axis=-1)[:, None].repeat(17, axis=1)


class Blind:
    name = "blind"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return np.zeros((0, 17, 3))


def frames(*counts: int) -> Iterator[np.ndarray]:
    for count in counts:
        yield np.full_like(IMAGE, count)


def test_detect_video():
    found = detect_video(frames(2, 0, 1, 0), Counting(), fps=25, source="clip.mp4")
    assert found.frame.tolist() == [0, 0, 2]
    assert (found.n_frames, found.fps, found.image_size, found.source) == (4, 25, (64, 48), "clip.mp4")
    assert found.keypoints_2d[1, COCO_19.index("hip")].tolist() == [20, 40]
    np.testing.assert_allclose(found.confidence, 0.8, atol=1e-5)
    np.testing.assert_allclose(found.box_score, 0.8, atol=1e-5)


def test_detect_video_keeps_no_frames():
    alive, most = 0, 0

    class Frame(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def stream() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for _ in range(20):
            alive += 1
            most = max(most, alive)
            yield IMAGE.copy().view(Frame)

    detect_video(stream(), Blind())
    assert most <= 2


def test_a_video_without_people_is_a_result_and_one_without_frames_an_error():
    assert len(detect_video(frames(0, 0), Counting())) == 0
    with pytest.raises(DataError, match=r"clip.mp4: no frames"):
        detect_video(frames(), Counting(), source="clip.mp4")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((2, 19, 3)), r"frame 1: detector odd: \(N, 17, 3\) numbers are expected, found float64 \(2, 19, 3\)"),
        (np.zeros((17, 3)), "numbers are expected"),
        (None, "numbers are expected, found object"),
        (np.full((1, 17, 3), np.nan), "finite numbers are expected"),
        (np.full((1, 17, 3), 30.0), "joint scores reach 30"),
    ],
)
def test_what_a_detector_gives_is_checked(result, message):
    class Odd:
        name = "odd"

        def __call__(self, image: np.ndarray) -> np.ndarray:
            return np.zeros((0, 17, 3)) if image[0, 0, 0] == 0 else result

    with pytest.raises(DataError, match=message):
        detect_video(frames(0, 1), Odd())


def test_frames_of_changing_size():
    with pytest.raises(DataError, match=r"frame 1: shape \(48, 64, 3\) as before is expected, found \(64, 48, 3\)"):
        detect_video([IMAGE, IMAGE.transpose(1, 0, 2)], Counting())


# --- by name ----------------------------------------------------------------------------------------------------------


def test_an_unknown_detector():
    with pytest.raises(ConfigError, match=r"detector.name=yolo: unknown .*; give rtmpose, mediapipe or"):
        load_detector("yolo")


def test_one_of_another_package(monkeypatch):
    module = ModuleType("their_package")
    module.Counting = Counting
    monkeypatch.setitem(sys.modules, "their_package", module)
    detector = load_detector("their_package:Counting", score=0.25)
    assert detector(np.ones_like(IMAGE))[0, 0, 2] == 0.25
    with pytest.raises(
        ConfigError, match=r"detector.name=their_package:Counting: got an unexpected keyword .*its options: score"
    ):
        load_detector("their_package:Counting", treshold=1)
    with pytest.raises(ConfigError, match=r"detector.name=their_package:Gone: unknown"):
        load_detector("their_package:Gone")


@pytest.mark.parametrize(("name", "package"), [("rtmpose", "rtmlib"), ("mediapipe", "mediapipe")])
def test_a_missing_library_says_how_to_install_it(name, package, monkeypatch):
    real = builtins.__import__

    def without(module: str, *rest):
        if module.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}")
        return real(module, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ConfigError, match=f"detector={name}: .*No module named '{package}'.*pip install --no-deps {package}"
    ):
        load_detector(name)


# --- RTMPose, with rtmlib's interface imitated ---------------------------------------

URL = "https://host/onnx_sdk/{}.zip"


class Body:
    """rtmlib.Body of version 0.0.16: MODE, the constructor's arguments, det_model and pose_model."""

    MODE = {
        "balanced": {
            "det": URL.format("yolox_m-c2"),
            "det_input_size": (640, 640),
            "pose": URL.format("rtmpose-m-e4"),
            "pose_input_size": (192, 256),
        }
    }
    error: Exception | None = None

    def __init__(
        self,
        det=None,
        det_input_size=(640, 640),
        pose=None,
        pose_input_size=(288, 384),
        mode="balanced",
        to_openpose=False,
        backend="onnxruntime",
        device="cpu",
    ) -> None:
        if self.error:
            raise self.error
        print("load weights")
        self.arguments = {"det": det, "pose": pose, "pose_input_size": pose_input_size, "device": device}

    def det_model(self, image: np.ndarray) -> np.ndarray:
        return np.array([[0, 0, 9, 9], [5, 5, 30, 40]]) if image.any() else np.array([])

    def pose_model(self, image: np.ndarray, bboxes=()) -> tuple[np.ndarray, np.ndarray]:
        if len(bboxes) == 0:
            bboxes = [[0, 0, image.shape[1], image.shape[0]]]
        keypoints = np.array([[box[2:]] * 17 for box in bboxes], dtype=np.float64)
        scores = np.linspace(-0.1, 1.1, 17)[None].repeat(len(bboxes), axis=0)
        scores[:, 8] = image[0, 0, 0] / 255  # the first channel: blue
        return keypoints, scores


@pytest.fixture
def rtmlib(monkeypatch):
    module = ModuleType("rtmlib")
    module.Body = type("Body", (Body,), {})
    monkeypatch.setitem(sys.modules, "rtmlib", module)
    return module


def test_rtmpose(rtmlib, capsys):
    detector = load_detector("rtmpose", device="cuda")
    assert capsys.readouterr().out == ""
    assert detector._body.arguments["device"] == "cuda"
    image = IMAGE.copy()
    image[0, 0] = (10, 20, 51)  # red, green, blue
    found = detector(image)
    assert found.shape == (2, 17, 3)
    assert found[:, 0, :2].tolist() == [[9, 9], [30, 40]]
    assert found[0, 8, 2] == pytest.approx(51 / 255)
    assert (found[0, 0, 2], found[0, 16, 2]) == (0.0, 1.0)  # SimCC's scale
    assert detector(IMAGE).shape == (0, 17, 3)  # rtmlib alone would give a person as large as the image


def test_rtmpose_weights_by_hand(rtmlib, tmp_path):
    (tmp_path / "yolox_m-c2.onnx").touch()
    with pytest.raises(
        ConfigError, match=r"has no rtmpose-m-e4.onnx; fetch https://host/onnx_sdk/rtmpose-m-e4.zip and"
    ):
        load_detector("rtmpose", weights=str(tmp_path))
    (tmp_path / "rtmpose-m-e4.onnx").touch()
    arguments = load_detector("rtmpose", weights=str(tmp_path))._body.arguments
    assert Path(arguments["det"]) == tmp_path / "yolox_m-c2.onnx"
    assert Path(arguments["pose"]) == tmp_path / "rtmpose-m-e4.onnx"
    assert arguments["pose_input_size"] == (192, 256)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            URLError("Name or service not known"),
            "weights could not be fetched .*yolox_m-c2.zip and .*rtmpose-m-e4.zip; ",
        ),
        (
            URLError("x"),
            "put the end2end.onnx of each into one folder as yolox_m-c2.onnx and .*give it as detector.wei",
        ),
        (RuntimeError("INVALID_PROTOBUF"), "cannot be loaded with device=cpu .RuntimeError: INVALID_PROTOBUF"),
    ],
)
def test_rtmpose_that_cannot_be_loaded(rtmlib, error, message):
    rtmlib.Body.error = error
    with pytest.raises(ConfigError, match=message):
        load_detector("rtmpose")


def test_options_of_rtmpose(rtmlib):
    with pytest.raises(ConfigError, match=r"detector.mode=fast: must be one of lightweight, balanced, performance"):
        load_detector("rtmpose", mode="fast")
    with pytest.raises(ConfigError, match=r"its options: mode, device, weights"):
        load_detector("rtmpose", model="x")


def test_rtmlib_still_has_the_imitated_interface():
    import inspect

    real = pytest.importorskip("rtmlib", reason="rtmlib is not installed").Body
    assert list(inspect.signature(real).parameters) == list(inspect.signature(Body).parameters)
    assert set(Body.MODE["balanced"]) <= set(real.MODE["balanced"])
    assert set(real.MODE) == {"lightweight", "balanced", "performance"}


def test_notes_of_mediapipe_about_itself_are_held_back_and_errors_are_not(capfd):
    notes = [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "W0000 00:00:1795919325.129639   29985 inference_feedback_manager.cc:114] Feedback manager requires a model",
        "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
        "AttributeError: 'MessageFactory' object has no attribute 'GetPrototype'",
    ]
    with pytest.raises(RuntimeError), without_its_notes():
        os.write(2, "\n".join([*notes, "E0000 00:00:17 graph.cc:1] no model", ""]).encode())
        print("ValueError: real", file=sys.__stderr__)
        raise RuntimeError
    assert capfd.readouterr().err.splitlines() == ["E0000 00:00:17 graph.cc:1] no model", "ValueError: real"]
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "after\n"
