"""MPI-INF-3DHP: every documented fault of the data, on files of our own making in the genuine formats."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from data.sets.mpi_inf_3dhp import MpiInf3dhpTest, MpiInf3dhpTrain
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17, MUPOTS_17_OF_MPI_28


def write_calibration(folder: Path, cameras: dict[int, tuple[float, float, float, float]]) -> None:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, (fx, fy, cx, cy) in cameras.items():
        lines += [
            f"name          {number}",
            "  size        2048 2048",
            f"  intrinsic   {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1 ",
            "  extrinsic   1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
        ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "camera.calibration").write_text("\n".join(lines) + "\n")


def write_annotations(folder: Path, annot3: dict[int, np.ndarray], scale: float = 2.0) -> None:
    """annot.mat with cells for 14 cameras; annot3 (T, 84) by camera, univ_annot3 = scale * annot3."""
    content = {}
    for key, factor in (("annot3", 1.0), ("univ_annot3", scale)):
        content[key] = np.empty((14, 1), dtype=object)
        for camera in range(14):
            content[key][camera, 0] = factor * annot3[camera] if camera in annot3 else np.zeros((0, 84))
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "annot.mat", content, do_compression=True)


def write_detections(path: Path, poses: np.ndarray, is_valid: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_valid = np.ones(len(poses), dtype=bool) if is_valid is None else is_valid
    path.write_bytes(pickle.dumps({"poses": poses, "is_valid": is_valid}, 2))


def raw_poses(frames: int, camera: int = 0) -> np.ndarray:
    """(T, 84): coordinate = frame, 28-joint number + 100 * camera, 1000 + axis sum, so that each entry is known."""
    poses = np.empty((frames, 28, 3), dtype=np.float32)
    poses[..., 0] = np.arange(frames)[:, None]
    poses[..., 1] = np.arange(28) + 100 * camera
    poses[..., 2] = 1000
    return poses.reshape(frames, 84)


def write_recording(root: Path, subject: int, sequence: int, frames: int, cameras=(0,), annotated: int | None = None):
    folder = root / f"S{subject}" / f"Seq{sequence}"
    annotated = frames if annotated is None else annotated
    write_annotations(folder, {camera: raw_poses(annotated, camera) for camera in cameras})
    write_calibration(folder, {camera: (1500.0 + camera, 1490.0, 1020.0, 1030.0) for camera in cameras})
    for camera in cameras:
        poses = np.full((frames, 19, 3), 0.5, dtype=np.float32)
        poses[..., 0] = np.arange(frames)[:, None]
        write_detections(folder / "hrnet" / f"hrnet_{camera:02d}.pkl", poses, np.arange(frames) != 4)


def write_subject(root: Path, subject: int, frames: int = 10, cameras=(0,)) -> None:
    for sequence in (1, 2):
        write_recording(root, subject, sequence, frames, cameras)


# --- training part


def test_sequences_are_decimated_to_12_5_fps_from_frame_0(tmp_path):
    write_subject(tmp_path, 1)
    slow, fast = MpiInf3dhpTrain(tmp_path, subjects=[1], cameras=[0]).sequences("normal")  # 25 fps, 50 fps
    assert (slow.sequence, slow.person, fast.sequence) == ("S1/Seq1/0", 0, "S1/Seq2/0")
    assert slow.fps == fast.fps == 12.5
    for sequence, frames in ((slow, [0, 2, 4, 6, 8]), (fast, [0, 4, 8])):
        assert sequence.frame.tolist() == frames
        assert sequence.poses_3d[:, 3, 0].tolist() == frames
        assert sequence.keypoints_2d[:, 3, 0].tolist() == frames
        assert sequence.detected.tolist() == [frame != 4 for frame in frames]
        assert sequence.annotated.all()
        assert sequence.poses_3d.dtype == sequence.keypoints_2d.dtype == sequence.confidence.dtype == torch.float32
        assert sequence.coordinates == "normal"


@pytest.mark.parametrize(
    ("subject", "steps"), [(1, (2, 4)), (2, (2, 2)), (3, (4, 4)), (4, (2, 2)), (5, (4, 4)), (8, (2, 2))]
)
def test_rate_of_each_subject(tmp_path, subject, steps):
    for sequence in (1, 2):
        extra = (subject, sequence) == (3, 1)
        write_recording(tmp_path, subject, sequence, 9, annotated=9 + extra)
    found = MpiInf3dhpTrain(tmp_path, subjects=[subject], cameras=[0]).sequences("normal")
    assert tuple(int(sequence.frame[1]) for sequence in found) == steps


def test_joints_cameras_and_variant(tmp_path):
    write_subject(tmp_path, 2, cameras=(0, 1, 10))
    reader = MpiInf3dhpTrain(tmp_path, subjects=[2], cameras=[10, 0, 1])
    found = reader.sequences("normal")
    assert [s.sequence for s in found] == [f"S2/Seq{q}/{c}" for q in (1, 2) for c in (0, 1, 10)]
    for sequence in found:
        camera = int(sequence.sequence.split("/")[-1])
        expected = torch.tensor(MUPOTS_17_OF_MPI_28) + 100.0 * camera
        assert torch.equal(sequence.poses_3d[0, :, 1], expected)
        assert (sequence.camera.fx, sequence.camera.fy) == (1500 + camera, 1490)
        assert (sequence.camera.cx, sequence.camera.cy) == (1020, 1030)
        assert (sequence.camera.width, sequence.camera.height) == (2048, 2048)
    assert found[0].poses_3d[0, 0].tolist() == [0, 7, 1000]  # head top = joint 8 of 28
    universal = reader.sequences("universal")
    assert torch.equal(universal[3].poses_3d, 2 * found[3].poses_3d)
    assert universal[3].coordinates == "universal"


def test_s3_seq1_has_one_annotation_too_many(tmp_path):
    write_recording(tmp_path, 3, 1, 9, annotated=10)
    write_recording(tmp_path, 3, 2, 9)
    found = MpiInf3dhpTrain(tmp_path, subjects=[3], cameras=[0]).sequences("normal")
    assert [s.frame.tolist() for s in found] == [[0, 4, 8], [0, 4, 8]]
    write_recording(tmp_path, 3, 2, 9, annotated=10)  # nowhere else
    with pytest.raises(DataError, match=r"Seq2.hrnet.hrnet_00\.pkl: poses: \(T\) = \(10,\) is expected, as in .*annot"):
        MpiInf3dhpTrain(tmp_path, subjects=[3], cameras=[0]).sequences("normal")


def test_s3_seq2_camera_2_is_left_out(tmp_path):
    write_recording(tmp_path, 3, 1, 9, cameras=(1, 2), annotated=10)
    write_recording(tmp_path, 3, 2, 9, cameras=(1, 2))
    (tmp_path / "S3/Seq2/hrnet/hrnet_02.pkl").unlink()
    reader = MpiInf3dhpTrain(tmp_path, subjects=[3], cameras=[1, 2])
    assert reader.missing_files() == []
    assert [s.sequence for s in reader.sequences("normal")] == ["S3/Seq1/1", "S3/Seq1/2", "S3/Seq2/1"]
    alone = MpiInf3dhpTrain(tmp_path, subjects=[3], cameras=[2])
    assert [s.sequence for s in alone.sequences("normal")] == ["S3/Seq1/2"]


def test_s4_seq2_is_swapped_back_on_raw_frames(tmp_path):
    write_recording(tmp_path, 4, 1, 9)
    write_recording(tmp_path, 4, 2, 5860)
    _, sequence = MpiInf3dhpTrain(tmp_path, subjects=[4], cameras=[0]).sequences("normal")
    joints = torch.tensor(MUPOTS_17_OF_MPI_28, dtype=torch.float32)
    swapped = joints[list(MUPOTS_17.flip)]
    for raw, expected in ((3758, joints), (3760, swapped), (5852, swapped), (5854, joints)):
        assert sequence.frame[raw // 2] == raw
        assert torch.equal(sequence.poses_3d[raw // 2, :, 1], expected), raw
        assert (sequence.poses_3d[raw // 2, :, 0] == raw).all()  # joints change places, nothing is mirrored


def test_missing_files_are_all_named(tmp_path):
    write_subject(tmp_path, 2, cameras=(0, 1))
    (tmp_path / "S2/Seq1/annot.mat").unlink()
    (tmp_path / "S2/Seq1/camera.calibration").unlink()
    (tmp_path / "S2/Seq2/hrnet/hrnet_01.pkl").unlink()
    reader = MpiInf3dhpTrain(tmp_path, subjects=[2], cameras=[0, 1])
    assert len(reader.files()) == 8
    assert reader.files() == sorted(reader.files())
    folder = tmp_path / "S2"
    assert reader.missing_files() == [
        folder / "Seq1/annot.mat",
        folder / "Seq1/camera.calibration",
        folder / "Seq2/hrnet/hrnet_01.pkl",
    ]
    with pytest.raises(DataError) as caught:
        reader.sequences("normal")
    assert str(caught.value) == (
        f"mpi_inf_3dhp: 3 of 8 files are missing: {folder}/Seq1/{{annot.mat,camera.calibration}}, "
        f"{folder}/Seq2/hrnet/hrnet_01.pkl; {reader.SOURCE}"
    )
    assert len(MpiInf3dhpTrain(tmp_path / "nowhere").missing_files()) == 16 * (2 + 11) - 1


@pytest.mark.parametrize(("key", "value"), [("subjects", [0]), ("subjects", []), ("cameras", [11]), ("cameras", [-1])])
def test_choices_outside_the_set(tmp_path, key, value):
    with pytest.raises(ConfigError, match=f"{key}="):
        MpiInf3dhpTrain(tmp_path, **{key: value})
    write_subject(tmp_path, 2)
    with pytest.raises(ConfigError, match="coordinates=metric"):
        MpiInf3dhpTrain(tmp_path, subjects=[2], cameras=[0]).sequences("metric")


def read_after(tmp_path: Path, change) -> None:
    write_subject(tmp_path, 2)
    change(tmp_path / "S2/Seq1")
    MpiInf3dhpTrain(tmp_path, subjects=[2], cameras=[0]).sequences("normal")


def nan_annotation(folder: Path) -> None:
    poses = raw_poses(10)
    poses.reshape(10, 28, 3)[6, 7, 2] = np.nan  # joint 8 of 28 is MuPoTS-17's first
    write_annotations(folder, {0: poses})


def nan_detection(folder: Path) -> None:
    poses = np.ones((10, 19, 3))
    poses[3, 18, 1] = np.inf
    write_detections(folder / "hrnet/hrnet_00.pkl", poses)


BAD_RECORDINGS = [
    (nan_annotation, r"annot\.mat: annot3\[0\] .*: 1 values are NaN or infinite, the first at index \(6, 0, 2\)"),
    (nan_detection, r"hrnet_00\.pkl: poses: 1 values are NaN or infinite, the first at index \(3, 18, 1\)"),
    (
        lambda f: write_annotations(f, {0: raw_poses(10)[:, :51]}),
        r"annot\.mat: annot3\[0\]: expected shape \(T, 84\), found \(10, 51\)",
    ),
    (lambda f: write_annotations(f, {1: raw_poses(10)}), r"annot3\[0\]: empty"),
    (
        lambda f: scipy.io.savemat(f / "annot.mat", {"annot3": np.zeros((14, 1))}),
        "a cell with the annotations of cameras 0",
    ),
    (lambda f: (f / "annot.mat").write_bytes((f / "annot.mat").read_bytes()[:300]), "annot.mat: not a MATLAB v5 file"),
    (
        lambda f: write_detections(f / "hrnet/hrnet_00.pkl", np.zeros((9, 19, 3))),
        r"hrnet_00\.pkl: poses: \(T\) = \(10,\) is expected, as in .*annot\.mat, found \(9,\)",
    ),
    (
        lambda f: write_detections(f / "hrnet/hrnet_00.pkl", np.zeros((10, 17, 3))),
        r"poses: expected shape \(T, 19, 3\), found \(10, 17, 3\)",
    ),
    (
        lambda f: write_detections(f / "hrnet/hrnet_00.pkl", np.zeros((10, 19, 3)), np.ones(9)),
        r"is_valid: expected shape \(T=10\), found \(9,\)",
    ),
    (
        lambda f: (f / "hrnet/hrnet_00.pkl").write_bytes(pickle.dumps({"pose": 1}, 2)),
        "hrnet_00.pkl: has no poses, found a dict with keys pose",
    ),
    (
        lambda f: write_calibration(f, {1: (1500, 1500, 1024, 1024)}),
        r"camera.calibration: has no camera 0, found \[1\]",
    ),
    (lambda f: write_calibration(f, {}), "camera.calibration: has no 'name' and 'intrinsic' lines"),
    (lambda f: write_calibration(f, {0: (-1, 1500, 1024, 1024)}), "camera.calibration: line 4: .*'intrinsic   -1"),
    (lambda f: (f / "camera.calibration").write_text("name zero\n"), "camera.calibration: line 1: .*'name zero'"),
    (lambda f: (f / "camera.calibration").write_text("name 0\n intrinsic 1 0 1 0\n"), "line 2: .*4x4 matrix"),
    (lambda f: (f / "camera.calibration").write_bytes(b"\xff\xfe\x00"), "not a camera.calibration file"),
]


@pytest.mark.parametrize(("change", "message"), BAD_RECORDINGS)
def test_bad_recordings(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        read_after(tmp_path, change)


# --- test part


def write_test_recording(root: Path, number: int, frames: int = 5, detections: int | None = None, nan_at=()) -> Path:
    """Frame 1 is not valid, frame 2 not detected; universal poses are twice the normal ones."""
    folder = root / "mpi_inf_3dhp_test_set" / f"TS{number}"
    folder.mkdir(parents=True, exist_ok=True)
    poses = np.arange(frames * 51.0).reshape(frames, 1, 17, 3)
    for frame in nan_at:
        poses[frame, 0, 5, 0] = np.nan
    with h5py.File(folder / "annot_data.mat", "w") as file:
        file["annot3"], file["univ_annot3"] = poses, 2 * poses
        file["valid_frame"] = (np.arange(frames) != 1).astype(float)[:, None]
    detections = frames if detections is None else detections
    points = np.ones((detections, 19, 3), dtype=np.float32) * np.arange(detections)[:, None, None]
    write_detections(folder / "hrnet.pkl", points, np.arange(detections) != 2)
    return folder


def test_test_sequences(tmp_path):
    for number in range(1, 7):
        write_test_recording(tmp_path, number)
    reader = MpiInf3dhpTest(tmp_path)
    assert len(reader.files()) == 12
    found = reader.sequences("normal")
    assert [s.sequence for s in found] == [f"TS{number}" for number in range(1, 7)]
    for sequence in found:
        assert sequence.annotated.tolist() == [True, False, True, True, True]
        assert sequence.detected.tolist() == [True, True, False, True, True]
        assert sequence.frame.tolist() == [0, 1, 2, 3, 4]
        assert sequence.fps == 25
        assert torch.equal(sequence.poses_3d, torch.arange(5 * 51.0).reshape(5, 17, 3))
    assert torch.equal(reader.sequences("universal")[0].poses_3d, 2 * found[0].poses_3d)


def test_test_intrinsics(tmp_path):
    for number in range(1, 7):
        write_test_recording(tmp_path, number)
    for sequence in MpiInf3dhpTest(tmp_path).sequences("normal"):
        camera = sequence.camera
        found = (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
        if sequence.sequence in ("TS5", "TS6"):  # docs/method.md §3, worked out by hand
            expected = (1683.98346, 1683.98346, 939.857540, 560.140743, 1920, 1080)
        else:
            expected = (1500.172288, 1500.172288, 1017.387336, 1043.031982, 2048, 2048)
        np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize(("number", "surplus"), [(3, 1), (4, 2)])
def test_images_without_annotation(tmp_path, number, surplus):
    """TS3 and TS4 have one and two images more than annotations; detections on all images are cut."""
    write_test_recording(tmp_path, number, 5, detections=5 + surplus)
    (sequence,) = MpiInf3dhpTest(tmp_path, numbers=[number]).sequences("normal")
    assert sequence.keypoints_2d[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    for wrong in (4, 5 + surplus + 1):
        write_test_recording(tmp_path, number, 5, detections=wrong)
        with pytest.raises(DataError, match=rf"hrnet\.pkl: poses: \(T\) = \(5,\) is expected, .*found \({wrong},\)"):
            MpiInf3dhpTest(tmp_path, numbers=[number]).sequences("normal")


def test_nan_counts_in_valid_frames_only(tmp_path):
    write_test_recording(tmp_path, 1, nan_at=[1])
    (sequence,) = MpiInf3dhpTest(tmp_path, numbers=[1]).sequences("normal")
    assert sequence.poses_3d[1].isnan().any()
    write_test_recording(tmp_path, 1, nan_at=[1, 3])
    with pytest.raises(DataError, match=r"annot_data\.mat: annot3 .* 1 values .* index \(3, 5, 0\)"):
        MpiInf3dhpTest(tmp_path, numbers=[1]).sequences("normal")


def test_bad_test_files(tmp_path):
    reader = MpiInf3dhpTest(tmp_path, numbers=[2])
    with pytest.raises(DataError, match=r"2 of 2 files are missing: .*TS2/{annot_data\.mat,hrnet\.pkl}; mpi_inf"):
        reader.sequences("normal")
    path = write_test_recording(tmp_path, 2) / "annot_data.mat"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"annot_data\.mat: not an HDF5"):
        reader.sequences("normal")
    with h5py.File(path, "w") as file:
        file["annot3"], file["valid_frame"] = np.ones((5, 1, 16, 3)), np.ones((5, 1))
    with pytest.raises(DataError, match=r"annot3: expected shape \(T, 1, 17, 3\), found \(5, 1, 16, 3\)"):
        reader.sequences("normal")
    with pytest.raises(DataError, match="has no data set 'univ_annot3', found annot3, valid_frame"):
        reader.sequences("universal")
    with h5py.File(path, "w") as file:
        file["annot3"], file["valid_frame"] = np.ones((5, 1, 17, 3)), np.full((5, 1), 2.0)
    with pytest.raises(DataError, match=r"valid_frame: 0 or 1 is expected, found 2\.0"):
        reader.sequences("normal")


# --- an independent implementation; tests/data/training/test_datamodules.py compares its windows


def test_golden_recordings(conformance, monkeypatch):
    monkeypatch.setattr("data.sets.mpi_inf_3dhp.SEQUENCES", (1,))
    found = MpiInf3dhpTrain(conformance / "Mpi3DHP", subjects=[1], cameras=range(3)).sequences("normal")
    assert [(s.sequence, len(s), s.fps) for s in found] == [(f"S1/Seq1/{camera}", 12, 12.5) for camera in range(3)]
    (test,) = MpiInf3dhpTest(conformance / "Mpi3DHP", numbers=[1]).sequences("universal")
    assert len(test) == 24 and test.fps == 25 and test.poses_3d.isfinite().all()
