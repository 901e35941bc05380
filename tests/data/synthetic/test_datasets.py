"""Synthetic data on disk: genuine formats, read back by the ordinary readers, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from data.sets.mpi_inf_3dhp import MpiInf3dhpTest, MpiInf3dhpTrain, read_cameras
from data.sets.muco_temp import MuCoTemp
from data.sets.mupots_3d import MuPoTS3D
from data.sets.writers import MPI_28
from data.synthetic import datasets
from data.synthetic.generate import ensure_synthetic, synthetic_test
from data.synthetic.settings import SyntheticSettings, synthetic_fingerprint
from pose.cameras import fit_intrinsics
from pose.coordinates import UNIVERSAL_KNEE_TO_NECK, universal_scale
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17, MUPOTS_17_OF_MPI_28
from pose.sequence import PoseSequence

SETTINGS = SyntheticSettings(seed=0, mpi_frames=24, muco_frames=40, test_frames=24, mupots_frames=60, muco_videos=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_synthetic(tmp_path_factory.mktemp("cache"), SETTINGS)


def readers(root: Path) -> dict:
    return {
        "train": MpiInf3dhpTrain(root / "Mpi3DHP"),
        "test": MpiInf3dhpTest(root / "Mpi3DHP"),
        "muco": MuCoTemp(root / "MucoTemp", root / "Mpi3DHP", videos=range(SETTINGS.muco_videos)),
        "mupots": MuPoTS3D(root / "MuPoTS"),
    }


@pytest.fixture(scope="module")
def sequences(root: Path) -> dict[str, dict[str, list[PoseSequence]]]:
    return {
        name: {"normal": reader.sequences("normal"), "universal": reader.sequences("universal")}
        for name, reader in readers(root).items()
    }


def unpickled(path: Path):
    content = path.read_bytes()
    assert content[:2] == b"\x80\x02", "protocol 2"
    return pickle.loads(content)


def test_readers_find_every_recording(root: Path, sequences: dict) -> None:
    assert all(reader.missing_files() == [] for reader in readers(root).values())
    normal = {name: variants["normal"] for name, variants in sequences.items()}
    assert len(normal["train"]) == 16 * 11 - 1  # S3/Seq2 camera 2 is left out
    assert {len(s) for s in normal["train"]} == {12}
    assert {s.fps for s in normal["train"]} == {12.5}
    assert [len(s) for s in normal["test"]] == [24] * 6
    assert {s.sequence for s in normal["muco"]} == {f"{c}/{v}" for c in range(11) for v in range(2)}
    assert {len(s) for s in normal["muco"]} == {40}
    assert {s.sequence for s in normal["mupots"]} == {f"TS{n}" for n in range(1, 21)}
    for name in ("muco", "mupots"):
        counts = {s.sequence: s.person + 1 for s in normal[name]}
        assert set(counts.values()) == {2, 3, 4}
    sizes = {s.sequence: (s.camera.width, s.camera.height, s.fps) for s in normal["mupots"] if s.camera}
    assert sizes["TS5"] == (2048, 2048, 30)
    assert sizes["TS6"] == (1920, 1080, 60)


@pytest.mark.parametrize("name", ["train", "test", "muco", "mupots"])
def test_universal_is_one_scale_per_actor_and_both_variants_fit_their_detections(sequences: dict, name: str) -> None:
    for normal, universal in zip(sequences[name]["normal"], sequences[name]["universal"], strict=True):
        ratio = (universal.poses_3d / normal.poses_3d)[normal.annotated]
        scale = float(ratio.median())
        torch.testing.assert_close(universal.poses_3d, normal.poses_3d * scale, rtol=1e-4, atol=0.5)
        assert float(universal_scale(normal.poses_3d)) == pytest.approx(scale, rel=1e-4)
        assert 0.7 < scale < 1.2
        lengths = (
            normal.poses_3d[:, MUPOTS_17.index("left_knee")] - normal.poses_3d[:, MUPOTS_17.index("left_hip")]
        ).norm(dim=-1)
        assert float(lengths.std()) < 0.1
        pixels = normal.camera.project(normal.poses_3d)
        shoulders = pixels[:, [MUPOTS_17.index("left_shoulder"), MUPOTS_17.index("right_shoulder")]]
        distance = (shoulders - normal.keypoints_2d[:, [5, 6]]).norm(dim=-1)[normal.detected]
        assert float(distance.median() if len(distance) else 0) < 60
        assert not normal.keypoints_2d[~normal.detected].any()
        assert not normal.confidence[~normal.detected].any()
    assert UNIVERSAL_KNEE_TO_NECK == 920


def test_actors_keep_their_bodies(sequences: dict) -> None:
    scales: dict[str, set[float]] = {}
    for s in sequences["train"]["normal"]:
        scales.setdefault(s.sequence[:2], set()).add(round(float(universal_scale(s.poses_3d)), 4))
    assert all(max(found) - min(found) < 2e-4 for found in scales.values())
    assert len({min(found) for found in scales.values()}) == 8


def test_mpi_training_files(root: Path) -> None:
    folder = root / "Mpi3DHP" / "S3" / "Seq1"
    content = scipy.io.loadmat(folder / "annot.mat")
    # 50 fps, and one annotation more than frames.
    assert content["annot2"][13, 0].shape == (49, 56)
    assert content["annot3"][0, 0].shape == content["univ_annot3"][0, 0].shape == (49, 84)
    assert content["cameras"].tolist() == [list(range(14))]
    assert content["frames"].ravel().tolist() == list(range(49))
    assert sorted(path.name for path in (folder / "hrnet").iterdir()) == [f"hrnet_{c:02d}.pkl" for c in range(11)]
    detections = unpickled(folder / "hrnet" / "hrnet_10.pkl")
    assert detections["poses"].shape == (48, 19, 3)
    assert detections["is_valid"].shape == (48,)
    assert [MPI_28.names[i] for i in MUPOTS_17_OF_MPI_28] == list(MUPOTS_17.names)
    cameras = read_cameras(folder / "camera.calibration")
    assert sorted(cameras) == list(range(14))
    for number, camera in cameras.items():
        points = torch.from_numpy(content["annot3"][number, 0].reshape(-1, 3).astype(float))
        pixels = torch.from_numpy(content["annot2"][number, 0].reshape(-1, 2).astype(float))
        fitted = fit_intrinsics(points, pixels, 2048, 2048)
        for key in ("fx", "fy", "cx", "cy"):
            assert getattr(fitted, key) == pytest.approx(getattr(camera, key), abs=0.05)
    frames = {(s, q): 24 for s in range(1, 9) for q in (1, 2)}
    frames |= {(1, 2): 48, (3, 1): 48, (3, 2): 48, (5, 1): 48, (5, 2): 48}
    for (subject, sequence), n_frames in frames.items():
        path = root / "Mpi3DHP" / f"S{subject}" / f"Seq{sequence}" / "hrnet" / "hrnet_00.pkl"
        assert len(unpickled(path)["poses"]) == n_frames


def test_other_joints_of_the_28_are_where_bodies_have_them(root: Path) -> None:
    content = scipy.io.loadmat(root / "Mpi3DHP" / "S2" / "Seq1" / "annot.mat")
    joints = content["annot3"][0, 0].reshape(-1, 28, 3)
    place = {name: joints[:, i] for i, name in enumerate(MPI_28.names)}
    for side in ("left", "right"):
        assert (np.linalg.norm(place[f"{side}_toe"] - place[f"{side}_ankle"], axis=1) < 280).all()
        assert (np.linalg.norm(place[f"{side}_hand"] - place[f"{side}_wrist"], axis=1) < 140).all()
        assert (np.linalg.norm(place[f"{side}_clavicle"] - place["neck"], axis=1) < 100).all()
    assert (place["spine_2"][:, 1] > place["spine_4"][:, 1]).all()


def test_exchanged_sides_of_s4_seq2_are_in_the_file_and_repaired_by_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_N_DETECTED", 1)
    long = replace(SETTINGS, mpi_frames=3800)
    datasets._mpi_recording(tmp_path, SETTINGS, 4, 1)
    datasets._mpi_recording(tmp_path, long, 4, 2)
    raw = scipy.io.loadmat(tmp_path / "S4" / "Seq2" / "annot.mat")["annot3"][0, 0].reshape(-1, 28, 3)
    jump = np.linalg.norm(np.diff(raw, axis=0), axis=-1).max(1)
    assert jump.argmax() == 3758
    assert jump[3758] > 3 * np.delete(jump, 3758).max()
    repaired = MpiInf3dhpTrain(tmp_path, subjects=[4], cameras=[0]).sequences("normal")[1].poses_3d
    assert float(repaired.diff(dim=0).norm(dim=-1).max()) < 0.5 * jump[3758]


def test_mpi_test_files(root: Path) -> None:
    for number in range(1, 7):
        path = root / "Mpi3DHP" / "mpi_inf_3dhp_test_set" / f"TS{number}" / "annot_data.mat"
        assert path.read_bytes()[:19] == b"MATLAB 7.3 MAT-file"
        with h5py.File(path) as file:
            arrays = {key: file[key][()] for key in file}
        assert arrays["annot3"].shape == arrays["univ_annot3"].shape == (24, 1, 17, 3)
        assert arrays["valid_frame"].shape == (24, 1)
        size = (2048, 2048) if number <= 4 else (1920, 1080)
        points, pixels = (torch.from_numpy(arrays[key].reshape(-1, dim)) for key, dim in (("annot3", 3), ("annot2", 2)))
        camera = fit_intrinsics(points, pixels, *size)
        read = MpiInf3dhpTest(root / "Mpi3DHP", numbers=[number]).sequences("normal")[0].camera
        assert read is not None
        for key in ("fx", "fy", "cx", "cy"):
            assert getattr(camera, key) == pytest.approx(getattr(read, key), abs=1e-3)
        assert unpickled(path.with_name("hrnet.pkl"))["poses"].shape == (24, 19, 3)


def test_muco_files(root: Path, sequences: dict) -> None:
    folder = root / "MucoTemp"
    meta = unpickled(folder / "sequence_meta.pkl")
    assert [len(videos) for videos in meta] == [2] * 11
    # Bodies and cameras are those of the recordings that the metadata names.
    subject = meta[4][1][0][0]
    (person,) = [s for s in sequences["muco"]["normal"] if s.name == "4/1/0"]
    actor = next(s for s in sequences["train"]["normal"] if s.sequence.startswith(f"S{subject}/"))
    assert float(universal_scale(person.poses_3d)) == pytest.approx(float(universal_scale(actor.poses_3d)), rel=1e-4)
    pixels = torch.from_numpy(unpickled(folder / "frames" / "cam_4" / "gt.pkl")[1]["annot2"][:, 0])
    torch.testing.assert_close(person.camera.project(person.poses_3d), pixels, atol=0.05, rtol=0)


def test_mupots_files(root: Path, sequences: dict) -> None:
    folder = root / "MuPoTS" / "MultiPersonTestSet" / "TS7"
    struct = scipy.io.loadmat(folder / "annot.mat")["annotations"][5, 2]
    assert struct.dtype.names == ("annot2", "annot3", "univ_annot3", "isValidFrame")
    labels = scipy.io.loadmat(folder / "occlusion.mat")["occlusion_labels"]
    assert unpickled(root / "MuPoTS" / "hrnet_pose2d" / "TS7.pkl")["valid_pose"].dtype == bool
    person = next(s for s in sequences["mupots"]["normal"] if s.name == "TS7/2")
    assert person.visible[5].tolist() == [label == 0 for label in labels[5, 2][0]]
    torch.testing.assert_close(person.camera.project(person.poses_3d), person.annotation_2d, atol=0.05, rtol=0)


def test_the_test_set_holds_occlusions_and_misses(sequences: dict) -> None:
    longest = {}
    for person in sequences["mupots"]["normal"]:
        hidden = float(((~person.visible).float().mean(1) > 0.6).sum()) / person.fps
        longest[person.sequence] = max(hidden, longest.get(person.sequence, 0.0))
    assert sum(seconds >= 0.15 for seconds in longest.values()) >= 14
    assert any(not s.detected.all() for s in sequences["mupots"]["normal"])
    assert np.mean([float(s.detected.float().mean()) for s in sequences["mupots"]["normal"]]) > 0.8


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_in_any_order(root: Path, tmp_path: Path) -> None:
    for job in reversed(datasets.jobs(tmp_path, SETTINGS)):
        job()
    assert digests(tmp_path) == digests(root)


def test_another_seed_gives_other_people(root: Path, tmp_path: Path) -> None:
    other = replace(SETTINGS, seed=1)
    assert synthetic_fingerprint(other) != synthetic_fingerprint(SETTINGS)
    datasets._mupots_sequence(tmp_path, other, 1)
    mine, theirs = digests(tmp_path), digests(root / "MuPoTS")
    assert mine.keys() <= theirs.keys()
    assert all(theirs[name] != digest for name, digest in mine.items() if not name.endswith("occlusion.mat"))


def run_instead(monkeypatch: pytest.MonkeyPatch, *jobs: Callable[[], object]) -> None:
    """Only the metadata of MuCo-Temp is generated, followed by `jobs`."""
    monkeypatch.setattr(
        "data.synthetic.generate.jobs", lambda root, settings: [partial(datasets._muco_metadata, root, settings), *jobs]
    )


def test_a_finished_folder_is_reused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, lambda: pytest.fail("generated again"))
    assert ensure_synthetic(root.parent, SETTINGS) == root


def test_of_two_at_once_one_generates_and_the_other_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generated: list[int] = []
    run_instead(monkeypatch, lambda: time.sleep(0.2), lambda: generated.append(1))
    with ThreadPoolExecutor(2) as executor:
        folders = set(executor.map(ensure_synthetic, [tmp_path] * 2, [SETTINGS] * 2))
    assert generated == [1]
    assert [(folder / "sequence_meta.pkl").is_file() for folder in folders] == [True]


def test_an_interrupted_generation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    run_instead(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        ensure_synthetic(tmp_path, SETTINGS)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        ensure_synthetic(tmp_path / "file", SETTINGS)


def test_the_test_reader(root: Path) -> None:
    assert isinstance(synthetic_test(root.parent, SETTINGS), MuPoTS3D)
    reader = synthetic_test(root.parent, SETTINGS, "mpi_inf_3dhp", root="datasets")
    assert isinstance(reader, MpiInf3dhpTest)
    assert reader.root == root / "Mpi3DHP"
    with pytest.raises(ConfigError, match=r"benchmark=muco: must be mupots_3d or mpi_inf_3dhp"):
        synthetic_test(root.parent, SETTINGS, "muco")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("mpi_frames", 1),
        ("muco_frames", 0),
        ("test_frames", 2.5),
        ("mupots_frames", True),
        ("muco_videos", 8),
    ],
)
def test_settings_are_checked(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"settings\.{key}={value!r}: must be a whole number >="):
        replace(SETTINGS, **{key: value})  # type: ignore[arg-type]


def test_every_setting_counts_in_the_fingerprint() -> None:
    changed = [
        replace(SETTINGS, **{key: getattr(SETTINGS, key) - 1}) for key in ("mpi_frames", "test_frames", "muco_videos")
    ]
    prints = {synthetic_fingerprint(settings) for settings in (SETTINGS, *changed)}
    assert len(prints) == 4
    assert synthetic_fingerprint(SETTINGS) == synthetic_fingerprint(replace(SETTINGS))
