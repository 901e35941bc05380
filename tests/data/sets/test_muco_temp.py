"""MuCo-Temp on files of our own making and on golden copies."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sets.muco_temp import MuCoTemp
from pose.errors import ConfigError, DataError


def dump(path: Path, content, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))


def write_calibration(mpi_root: Path, subject: int, sequence: int, intrinsics: dict[int, tuple]) -> None:
    path = mpi_root / f"S{subject}" / f"Seq{sequence}" / "camera.calibration"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for camera, (fx, fy, cx, cy) in intrinsics.items():
        lines += [f"name {camera}", f"  intrinsic {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1"]
    path.write_text("\n".join(lines))


def annotation(frames: int, people: int) -> dict[str, np.ndarray]:
    """x = frame, y = person, z = joint + 1000."""
    poses = np.empty((frames, people, 17, 3), dtype=np.float32)
    poses[..., 0] = np.arange(frames)[:, None, None]
    poses[..., 1] = np.arange(people)[:, None]
    poses[..., 2] = 1000 + np.arange(17)
    return {"annot2": poses[..., :2], "annot3": poses, "univ_annot3": 0.5 * poses}


def detections(frames: int, people: int) -> dict[str, np.ndarray]:
    """x = frame, y = person, score = joint; the second person is not detected in frame 1."""
    poses = np.empty((frames, people, 19, 3), dtype=np.float32)
    poses[..., 0] = np.arange(frames)[:, None, None]
    poses[..., 1] = np.arange(people)[:, None]
    poses[..., 2] = np.arange(19) / 19
    is_valid = np.ones((frames, people), dtype=bool)
    is_valid[1, 1] = False
    return {"poses": poses, "is_valid": is_valid}


def detections_path(root: Path, camera: int, video: int) -> Path:
    return root / "MucoTemp/hrnet_keypoints" / f"cam_{camera}" / "gt_match_posedist_80" / f"vid_{video}.pkl"


def write_set(root: Path, frames: int = 5) -> None:
    """Cameras 0 to 2, videos 0 and 1, of two and of three people; S3/Seq2 seen by camera 2 among them."""
    clips = [[(1, 1, 0), (3, 2, 7)], [(8, 2, 3), (3, 2, 0), (1, 1, 50)]]
    dump(root / "MucoTemp/sequence_meta.pkl", [clips, clips, clips])
    for camera in range(3):
        gt = [annotation(frames, len(people)) for people in clips]
        dump(root / "MucoTemp/frames" / f"cam_{camera}" / "gt.pkl", gt)
        for video, people in enumerate(clips):
            dump(detections_path(root, camera, video), detections(frames, len(people)))
    for subject, sequence in ((1, 1), (3, 2), (8, 2)):
        intrinsics = {camera: (1000 * subject + camera, 1500, 1024, 1000 + sequence) for camera in range(3)}
        write_calibration(root / "Mpi3DHP", subject, sequence, intrinsics)


def reader(root: Path, **options) -> MuCoTemp:
    options = {"cameras": range(3), "videos": range(2)} | options
    return MuCoTemp(root / "MucoTemp", root / "Mpi3DHP", **options)


def test_every_frame_of_every_person(tmp_path):
    write_set(tmp_path)
    found = reader(tmp_path).sequences("normal")
    assert [s.name for s in found] == [
        f"{camera}/{name}" for camera in range(3) for name in ("0/0", "0/1", "1/0", "1/1", "1/2")
    ]
    for sequence in found:
        assert sequence.fps == 25
        assert sequence.frame.tolist() == [0, 1, 2, 3, 4]
        assert sequence.poses_3d[:, 3, 0].tolist() == sequence.keypoints_2d[:, 3, 0].tolist() == [0, 1, 2, 3, 4]
        assert (sequence.poses_3d[..., 1] == sequence.person).all()
        assert (sequence.keypoints_2d[..., 1] == sequence.person).all()
        assert torch.allclose(sequence.confidence, torch.arange(19) / 19)
        assert sequence.detected.tolist() == [True, sequence.person != 1, True, True, True]
        assert sequence.poses_3d.is_contiguous()
    universal = reader(tmp_path).sequences("universal")
    assert torch.equal(universal[4].poses_3d, 0.5 * found[4].poses_3d)
    assert universal[4].coordinates == "universal"


def test_each_person_has_the_intrinsics_of_its_clip(tmp_path):
    write_set(tmp_path)
    found = {s.name: s.camera for s in reader(tmp_path).sequences("normal")}
    # S3/Seq2 seen by camera 2, left out of MPI-INF-3DHP, stays here
    for name, fx, cy in (("0/0/0", 1000, 1001), ("2/0/1", 3002, 1002), ("1/1/0", 8001, 1002), ("1/1/2", 1001, 1001)):
        camera = found[name]
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (fx, 1500, 1024, cy), name
        assert (camera.width, camera.height) == (2048, 2048)


def test_videos_may_be_a_dict_and_clips_arrays(tmp_path):
    write_set(tmp_path)
    before = reader(tmp_path).sequences("normal")
    dump(tmp_path / "MucoTemp/frames/cam_1/gt.pkl", {0: annotation(5, 2), 1: annotation(5, 3)})
    clips = [np.array([(1, 1, 0), (3, 2, 7)]), np.array([(8, 2, 3), (3, 2, 0), (1, 1, 50)])]
    dump(tmp_path / "MucoTemp/sequence_meta.pkl", {0: clips, 1: clips, 2: clips})
    after = reader(tmp_path).sequences("normal")
    assert [(s.name, s.camera) for s in after] == [(s.name, s.camera) for s in before]
    assert torch.equal(after[7].poses_3d, before[7].poses_3d)


def test_files(tmp_path):
    write_set(tmp_path)
    small = reader(tmp_path)
    assert len(small.files()) == 1 + 3 + 6 + 3  # metadata, annotations, detections, the calibrations in use
    assert small.files() == sorted(small.files())
    assert small.missing_files() == []
    gone = [tmp_path / "Mpi3DHP/S3/Seq2/camera.calibration", detections_path(tmp_path, 2, 1)]
    for path in gone:
        path.unlink()
    assert small.missing_files() == gone
    with pytest.raises(
        DataError, match=r"muco_temp: 2 of 13 files are missing: .*S3/Seq2/camera\.calibration, .*vid_1"
    ):
        small.sequences("normal")
    nothing = MuCoTemp(tmp_path / "a", tmp_path / "b")
    assert len(nothing.missing_files()) == len(nothing.files()) == 1 + 11 + 77 + 16


@pytest.mark.parametrize(("key", "value"), [("cameras", [11]), ("videos", [7]), ("videos", [])])
def test_choices_outside_the_set(tmp_path, key, value):
    with pytest.raises(ConfigError, match=f"{key}="):
        reader(tmp_path, **{key: value})


def with_nan(content: dict, key: str, place: tuple) -> dict:
    content[key] = content[key].copy()
    content[key][place] = np.nan
    return content


GT = "MucoTemp/frames/cam_0/gt.pkl"
META = "MucoTemp/sequence_meta.pkl"
VIDEO = "MucoTemp/hrnet_keypoints/cam_0/gt_match_posedist_80/vid_0.pkl"
BAD = [
    (META, [[]], "sequence_meta.pkl: has no camera 0, video 0, found a list"),
    (META, [[[(1, 1)]]], r"camera 0, video 0: expected shape \(P, 3\), found \(1, 2\)"),
    (META, [[[(1, 1), (1, 2, 3)]]], "camera 0, video 0: lists of unequal lengths"),
    (META, [[[(9, 1, 0)]]], "clips of subjects 1 to 8, sequences 1 to 2, are expected, found S9/Seq1"),
    (META, [[[(1, np.nan, 0)]]], "are expected, found S1.0/Seqnan"),
    (META, [[[(1, 1, 0)] * 3]], r"gt\.pkl: \[0\]\.annot3: expected shape \(T, P=3, 17, 3\), found \(5, 2, 17, 3\)"),
    (GT, [], "gt.pkl: has no video 0, found a list"),
    (GT, [{"annot2": 1}], r"gt\.pkl: has no \[0\]\.annot3, found a dict with keys annot2"),
    (GT, [with_nan(annotation(5, 2), "annot3", (3, 1, 16, 2))], r"gt\.pkl: \[0\]\.annot3: 1 values .* \(3, 1, 16, 2\)"),
    (VIDEO, detections(4, 2), r"vid_0\.pkl: poses: \(T, P\) = \(5, 2\) is expected, as in .*gt\.pkl, found \(4, 2\)"),
    (VIDEO, detections(5, 3), r"\(T, P\) = \(5, 2\) is expected, as in .*gt\.pkl, found \(5, 3\)"),
]


@pytest.mark.parametrize(("path", "content", "message"), BAD)
def test_bad_files(tmp_path, path, content, message):
    write_set(tmp_path)
    dump(tmp_path / path, content)
    with pytest.raises(DataError, match=message):
        reader(tmp_path, cameras=[0], videos=[0]).sequences("normal")


def test_empty_video(tmp_path):
    write_set(tmp_path)
    dump(tmp_path / GT, [annotation(0, 2)], protocol=4)
    with pytest.raises(DataError, match=r"gt\.pkl: \[0\]\.annot3: empty, shape \(0, 2, 17, 3\); at least one frame"):
        reader(tmp_path, cameras=[0], videos=[0]).sequences("normal")


def test_camera_missing_in_a_calibration(tmp_path):
    write_set(tmp_path)
    write_calibration(tmp_path / "Mpi3DHP", 3, 2, {5: (1500, 1500, 1024, 1024)})
    with pytest.raises(DataError, match=r"S3/Seq2/camera\.calibration: has no camera 0, found \[5\]"):
        reader(tmp_path).sequences("normal")


def test_golden_video(conformance):
    """Sizes and names; tests/data/training/test_datamodules.py compares an independent implementation's windows."""
    folder = conformance / "MucoTemp"
    found = MuCoTemp(folder, conformance / "Mpi3DHP", cameras=[1], videos=[4]).sequences("universal")
    names = np.load(conformance / "expected/training_data.npz")["sequence_names"]
    assert [s.name for s in found] == [name for name in names if name[0] != "S"]
    assert [len(s) for s in found] == [40] * 3
