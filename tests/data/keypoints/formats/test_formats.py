"""The same people written in every format are read as the same detections."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import is_keypoints_input, read_detections
from data.keypoints.detections import VideoDetections
from pose.errors import DataError, MismatchError
from pose.joint_sets import (
    BODY_25,
    COCO_17,
    COCO_19,
    HALPE_26,
    HUMAN36M_17,
    MEDIAPIPE_33,
    MPII_16,
    MUPOTS_17,
    OPENPOSE_18,
    PANOPTIC_19,
    JointSet,
)

#: Frame 2 is empty; people of the frames: 2, 1, 0, 2.
FRAME = np.array([0, 0, 1, 3, 3])
N_FRAMES = 4
SIZE = (640, 480)


def _people() -> np.ndarray:
    """(5, 17, 3) x, y, score of COCO-17."""
    rng = np.random.default_rng(5)
    place, score = rng.uniform(10, 470, (5, 17, 2)), rng.uniform(0.2, 0.99, (5, 17, 1))
    return np.concatenate([place, score], axis=-1).round(4)


PEOPLE = _people()
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])


def in_joint_set(joints: JointSet, size: int | None = None) -> np.ndarray:
    """PEOPLE as (5, size, 3); joints that COCO-17 lacks, also hip and neck, are somewhere else on purpose."""
    people = np.full((len(PEOPLE), size or len(joints), 3), 7.0)
    people[..., 2] = 0.95
    for index, name in enumerate(joints.names):
        if name in COCO_17.names:
            people[:, index] = PEOPLE[:, COCO_17.index(name)]
    return people


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def by_frame(rows: list, name: Callable[[int], str] = "{:06d}.jpg".format, first: int = 0) -> dict[str, list]:
    listed: dict[str, list] = {name(first + frame): [] for frame in range(N_FRAMES)}
    for frame, row in zip(FRAME, rows, strict=True):
        listed[name(first + int(frame))].append(row)
    return listed


def flat(joints: JointSet = COCO_17, size: int | None = None) -> list[list[float]]:
    return in_joint_set(joints, size).reshape(len(PEOPLE), -1).tolist()


def results(ids: list, joints: JointSet = COCO_17, size: int | None = None, **more) -> list[dict]:
    return [
        {"image_id": i, "category_id": 1, "keypoints": k, "score": s, **more}
        for i, k, s in zip(ids, flat(joints, size), SCORE.tolist(), strict=True)
    ]


def keypoints_json(folder: Path) -> Path:
    rows = [{"keypoints": k, "score": s, "area": 3.0} for k, s in zip(flat(), SCORE.tolist(), strict=True)]
    return write(folder / "keypoints.json", by_frame(rows, "img_{}.jpg".format, first=8))  # natural order: 8 9 10 11


def coco_numbers(folder: Path) -> Path:
    return write(folder / "results.json", results(FRAME.tolist()))


def coco_names(folder: Path) -> Path:
    return write(folder / "results.json", results([f"frame{frame}" for frame in FRAME]))


def coco_annotations(folder: Path) -> Path:
    images = [{"id": 70 + f, "file_name": f"a/{f + 1:03d}.png", "width": 640, "height": 480} for f in range(N_FRAMES)]
    return write(folder / "gt.json", {"images": images, "annotations": results((FRAME + 70).tolist())})


def alphapose(folder: Path) -> Path:
    return write(folder / "alphapose-results.json", results([f"{frame}.jpg" for frame in FRAME], box=[1, 2, 3, 4]))


def alphapose_halpe_136(folder: Path) -> Path:
    return write(folder / "a.json", results([f"{frame}.jpg" for frame in FRAME], HALPE_26, 136))


def alphapose_open(folder: Path) -> Path:
    rows = [{"pose_keypoints_2d": keypoints} for keypoints in flat(OPENPOSE_18)]
    return write(
        folder / "a.json", {k: {"version": 0.3, "people": v} for k, v in by_frame(rows, "{}.jpg".format).items()}
    )


def alphapose_cmu(folder: Path) -> Path:
    rows = [{"joints": keypoints} for keypoints in flat(OPENPOSE_18)]
    return write(
        folder / "a.json", {k: {"version": 0.3, "bodies": v} for k, v in by_frame(rows, "{}.jpg".format).items()}
    )


def openpose(folder: Path, joints: JointSet = BODY_25) -> Path:
    rows = [{"person_id": [-1], "pose_keypoints_2d": k, "face_keypoints_2d": []} for k in flat(joints)]
    for name, people in by_frame(rows, "clip2_{:012d}_keypoints.json".format).items():
        write(folder / name, {"version": 1.3, "people": people})
    return folder


def openpose_coco(folder: Path) -> Path:
    return openpose(folder, OPENPOSE_18)


def sports2d(folder: Path) -> Path:
    return openpose(folder, HALPE_26)


def instances(joints: JointSet = COCO_17, size: int | None = None) -> list[dict]:
    return [
        {"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist(), "bbox": [[0, 0, 9, 9]], "bbox_score": s}
        for p, s in zip(in_joint_set(joints, size), SCORE.tolist(), strict=True)
    ]


def mmpose_inferencer(folder: Path) -> Path:
    frames = by_frame(instances(), str)
    return write(folder / "clip.json", [{"frame_id": int(f), "instances": people} for f, people in frames.items()])


def mmpose_demo(folder: Path) -> Path:
    """Joints in an order of their own, named by the file; frames from 1; 133 joints."""
    names = COCO_17.names[::-1] + tuple(f"face-{i}" for i in range(116))
    info = [
        {"frame_id": int(frame), "instances": people}
        for frame, people in by_frame(instances(JointSet("mixed", names)), str, first=1).items()
    ]
    meta = {"dataset_name": "mixed", "keypoint_id2name": {str(i): name for i, name in enumerate(names)}}
    return write(folder / "results_clip.json", {"meta_info": meta, "instance_info": info})


def mmpose_images(folder: Path) -> Path:
    for name, people in by_frame(instances(COCO_17, 133), "{:06d}.json".format).items():
        write(folder / name, people)
    return folder


def npz_rows(folder: Path) -> Path:
    people = in_joint_set(PANOPTIC_19)
    arrays = {"keypoints": people[..., :2], "confidence": people[..., 2], "frame": FRAME, "box_score": SCORE}
    np.savez(folder / "k.npz", **arrays, joint_set="Panoptic-19", n_frames=N_FRAMES, fps=25.0, image_size=SIZE)
    return folder / "k.npz"


def npz_frames(folder: Path) -> Path:
    """(T, P, K, 3); a missing person is NaN or zeros."""
    people, score = np.full((N_FRAMES, 2, 17, 3), np.nan), np.zeros((N_FRAMES, 2))
    for row, (frame, person) in enumerate(zip(FRAME, [0, 1, 1, 0, 1], strict=True)):
        people[frame, person], score[frame, person] = PEOPLE[row], SCORE[row]
    people[1, 0] = 0.0
    np.savez(folder / "k.npz", keypoints=people, box_score=score)
    return folder / "k.npz"


FORMATS = [
    keypoints_json,
    coco_numbers,
    coco_names,
    coco_annotations,
    alphapose,
    alphapose_halpe_136,
    alphapose_open,
    alphapose_cmu,
    openpose,
    openpose_coco,
    sports2d,
    mmpose_inferencer,
    mmpose_demo,
    mmpose_images,
    npz_rows,
    npz_frames,
]
WITHOUT_BOX_SCORE = {alphapose_open, alphapose_cmu, openpose, openpose_coco, sports2d}


def derived(a: str, b: str) -> np.ndarray:
    """x, y, score of the middle of two joints: docs/method.md §2."""
    a_, b_ = PEOPLE[:, COCO_17.index(a)], PEOPLE[:, COCO_17.index(b)]
    score = 2 / (1 / (a_[:, 2] + 1e-6) + 1 / (b_[:, 2] + 1e-6))
    return np.concatenate([(a_[:, :2] + b_[:, :2]) / 2, score[:, None]], axis=1)[:, None]


def assert_the_people(found: VideoDetections, rows: np.ndarray | slice = slice(None)) -> None:
    expected = np.concatenate(
        [PEOPLE, derived("left_hip", "right_hip"), derived("left_shoulder", "right_shoulder")], axis=1
    )[rows]
    np.testing.assert_allclose(found.keypoints_2d, expected[..., :2], atol=1e-4, rtol=0)
    np.testing.assert_allclose(found.confidence, expected[..., 2], atol=1e-6, rtol=0)
    assert found.frame.tolist() == FRAME[rows].tolist()
    assert found.n_frames == N_FRAMES


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form: Callable[[Path], Path], tmp_path: Path):
    path = form(tmp_path)
    assert is_keypoints_input(path)
    found = read_detections(path)
    assert_the_people(found)
    score = PEOPLE[..., 2].mean(axis=1) if form in WITHOUT_BOX_SCORE else SCORE
    np.testing.assert_allclose(found.box_score, score, atol=1e-6)
    size = SIZE if form in (npz_rows, coco_annotations) else None
    assert (found.fps, found.image_size) == (25.0 if form is npz_rows else None, size)
    assert read_detections(path, fps=50, image_size=(640, 480), n_frames=N_FRAMES).fps == 50


# --- MediaPipe: one person a frame ------------------------------------------------------------------------------------

ONE_EACH = np.array([0, 2, 3])  # rows of PEOPLE in frames 0, 1 and 3


def landmarks() -> list:
    people = in_joint_set(MEDIAPIPE_33)[ONE_EACH] / [*SIZE, 1.0]
    points = [[{"x": x, "y": y, "z": 0.1, "visibility": v} for x, y, v in person] for person in people.tolist()]
    return [points[0], points[1], None, points[2]]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda frames: frames,
        lambda frames: [{"landmarks": points} for points in frames],
        lambda frames: [{"pose_landmarks": [points] if points else []} for points in frames],
        lambda frames: [{"pose_landmarks": {"landmark": points} if points else None} for points in frames],
        lambda frames: {"frames": frames, "image_size": [1, 1]},
    ],
    ids=["list", "landmarks", "people", "protobuf", "object"],
)
def test_mediapipe(wrap, tmp_path: Path):
    found = read_detections(write(tmp_path / "pose.json", wrap(landmarks())), image_size=SIZE)
    assert_the_people(found, ONE_EACH)
    assert found.image_size == SIZE


def test_mediapipe_says_its_own_size_and_rate_or_asks_for_it(tmp_path: Path):
    content = {"fps": 30, "image_size": list(SIZE), "frames": landmarks()}
    found = read_detections(write(tmp_path / "pose.json", content))
    assert_the_people(found, ONE_EACH)
    assert (found.fps, found.image_size) == (30.0, SIZE)
    with pytest.raises(
        DataError, match=r"pose.json: the coordinates are fractions of the image; .* camera.image_size=\[WIDTH,HEIGHT\]"
    ):
        read_detections(write(tmp_path / "pose.json", landmarks()))


# --- joints -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("joints", "name"), [(MPII_16, None), (MUPOTS_17, "MuPoTS-17")])
def test_joints_of_the_face_may_be_missing_and_are_zero(joints: JointSet, name: str | None, tmp_path: Path):
    found = read_detections(write(tmp_path / "k.json", results(FRAME.tolist(), joints)), joint_set=name)
    face = [COCO_19.index(joint) for joint in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    assert not found.keypoints_2d[:, face].any()
    assert not found.confidence[:, face].any()
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], PEOPLE[:, 5:, :2], atol=1e-4)
    np.testing.assert_allclose(found.keypoints_2d[:, 17:18], derived("left_hip", "right_hip")[..., :2], atol=1e-4)


def test_a_joint_set_that_does_not_fit_is_refused_with_both_lists(tmp_path: Path):
    names = ("root", "right_hip", "right_knee", "right_foot", *(f"face-{i}" for i in range(8)))
    people = [{"keypoints": [[100.0, 200.0]] * 12, "keypoint_scores": [0.5] * 12}]
    meta = {"dataset_name": "h36m", "keypoint_id2name": {str(i): name for i, name in enumerate(names)}}
    path = write(tmp_path / "k.json", {"meta_info": meta, "instance_info": [{"frame_id": 1, "instances": people}]})
    with pytest.raises(MismatchError) as error:
        read_detections(path)
    assert "k.json: joint set of the file has no left_shoulder, right_shoulder" in str(error.value)
    assert "it has root, right_hip, right_knee, right_foot, face_0, face_1" in str(error.value)
    assert "; COCO-19 has nose, left_eye" in str(error.value)
    assert "\n" not in str(error.value)


def test_feet_are_ankles_where_there_are_none(tmp_path: Path):
    """The names of Human3.6M in MMPose."""
    names = [name.replace("ankle", "foot") for name in HUMAN36M_17.names]
    meta = {"dataset_name": "h36m", "keypoint_id2name": {str(i): name for i, name in enumerate(names)}}
    frames = by_frame(instances(HUMAN36M_17), str)
    info = [{"frame_id": int(frame), "instances": people} for frame, people in frames.items()]
    found = read_detections(write(tmp_path / "k.json", {"meta_info": meta, "instance_info": info}))
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], PEOPLE[:, 5:, :2], atol=1e-4)


def test_an_unknown_number_of_joints_asks_for_the_set(tmp_path: Path):
    path = write(tmp_path / "k.json", results(FRAME.tolist(), PANOPTIC_19, 20))
    with pytest.raises(
        MismatchError,
        match=r"no joint set of 20 joints is known; known: 14 \(LSP-14 or AIC-14 or .*17 .*input_options.joint_set=",
    ):
        read_detections(path)
    assert_the_people(read_detections(path, joint_set="Panoptic-19"))
    with pytest.raises(MismatchError, match=r"20 joints found, input_options.joint_set=BODY_25 has 25: nose, neck"):
        read_detections(path, joint_set="BODY_25")


def test_missing_joints_stay_missing(tmp_path: Path):
    """A score of 0 (and SimCC's negative ones) is x = y = 0; so is the hip without one of its sides."""
    people = PEOPLE.copy()
    people[0, COCO_17.index("left_hip"), 2] = 0.0
    people[1, COCO_17.index("right_shoulder"), 2] = -0.05
    people[2, :, 2] = 0.0
    people[3, COCO_17.index("left_wrist"), 2] = 0.01
    np.savez(tmp_path / "k.npz", keypoints=people, frame=FRAME)
    found = read_detections(tmp_path / "k.npz")
    assert found.frame.tolist() == [0, 0, 3, 3]  # without a joint, no detection
    for row, joints in {0: ("left_hip", "hip"), 1: ("right_shoulder", "neck")}.items():
        missing = [COCO_19.index(joint) for joint in joints]
        assert not found.keypoints_2d[row, missing].any()
        assert not found.confidence[row, missing].any()
        assert (np.delete(found.confidence[row], missing) > 0).all()
    wrist = COCO_19.index("left_wrist")
    np.testing.assert_allclose(found.keypoints_2d[2, wrist], PEOPLE[3, wrist, :2], atol=1e-4)  # low, and kept
    assert found.confidence[2, wrist] == pytest.approx(0.01)
