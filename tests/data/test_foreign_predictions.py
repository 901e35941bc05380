"""Other programs' files, made in their genuine layouts: the same 16 numbers as our npz of the same predictions."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from data.predictions import read_predictions
from data.sets.mupots_3d import MuPoTS3D
from pose.errors import DataError, MismatchError
from pose.joint_sets import COCO_17, HUMAN36M_17, MUPOTS_17, remap_index
from pose.metrics.mupots import score_scenes
from pose.metrics.scenes import predicted_scenes, scenes_from_sequences
from pose.to_mupots import in_mupots_17

PCK = ("r_pck_pct", "r_auc_pct", "a_pck_pct", "a_auc_pct")


@pytest.fixture(scope="module")
def annotated(conformance: Path):
    reader = MuPoTS3D(conformance / "MuPoTS", sequences=[1, 6])
    return {coordinates: reader.sequences(coordinates) for coordinates in ("normal", "universal")}


@pytest.fixture(scope="module")
def predicted(annotated) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sequence -> poses (T, P, 17, 3), NaN where a person was missed, and 2D points (T, P, 17, 2)."""
    rng, found = np.random.default_rng(0), {}
    for name, scene in scenes_from_sequences(annotated["universal"]).items():
        missed = rng.random(scene.valid.shape) < 0.1
        poses = np.nan_to_num(scene.annotation_3d) + rng.normal(0, 60, scene.annotation_3d.shape)
        poses[missed | ~scene.valid] = np.nan
        found[name] = poses, scene.annotation_2d + rng.normal(0, 5, scene.annotation_2d.shape)
    return found


def rows_of(predicted) -> dict[str, np.ndarray]:
    parts = []
    for name, (poses, points) in predicted.items():
        frame, person = np.nonzero(~np.isnan(poses).all((2, 3)))
        pose, seen = poses[frame, person], points[frame, person]
        parts.append(
            {"sequence": np.full(len(frame), name), "frame": frame, "person": person}
            | {"poses_3d": pose, "keypoints_2d": seen}
        )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def numbers(path: Path, annotated, pairings: list[str], joint_set: str | None = None) -> dict[str, float]:
    """PCK and AUC, relative and absolute, of all and matched people, on both annotations: 16 for each pairing."""
    found = {}
    for coordinates, sequences in annotated.items():
        people, _ = in_mupots_17(read_predictions(path, coordinates, 30.0, joint_set))
        truth = scenes_from_sequences(sequences)
        scores = score_scenes(truth, predicted_scenes(people, truth, with_keypoints="by2d" in pairings), pairings)
        for protocol, result in scores.items():
            found |= {f"{protocol}/{coordinates}/{key}": result["metrics"][key] for key in PCK}
    assert len(found) == 16 * len(pairings)
    return found


@pytest.fixture
def ours(predicted, annotated, tmp_path: Path) -> dict[str, float]:
    np.savez(tmp_path / "ours.npz", **rows_of(predicted))
    return numbers(tmp_path / "ours.npz", annotated, ["given", "by2d"])


def close(found: dict[str, float], ours: dict[str, float]) -> None:
    assert found == pytest.approx({key: ours[key] for key in found}, abs=1e-9)


def write_script_files(predicted, folder: Path) -> None:
    """As PoseNet does: a variable for each image in which somebody was found, people as the detector has them."""
    rng, poses_of, points_of = np.random.default_rng(1), {}, {}
    for name, (poses, points) in predicted.items():
        for frame in range(len(poses)):
            people = rng.permutation(np.flatnonzero(~np.isnan(poses[frame]).all((1, 2))))
            if len(people):
                image = f"{name}_img_{frame:06d}"
                poses_of[image], points_of[image] = list(poses[frame, people]), list(points[frame, people])
    scipy.io.savemat(folder / "preds_3d_kpt_mupots.mat", poses_of)
    scipy.io.savemat(folder / "preds_2d_kpt_mupots.mat", points_of)


@pytest.mark.parametrize("given", ["preds_3d_kpt_mupots.mat", "preds_2d_kpt_mupots.mat", "."])
def test_the_official_scripts_files(predicted, annotated, ours, tmp_path: Path, given: str) -> None:
    (tmp_path / "mat").mkdir()
    write_script_files(predicted, tmp_path / "mat")
    close(numbers(tmp_path / "mat" / given, annotated, ["by2d"]), ours)


def write_gntcn(folder: Path, name: str, poses: np.ndarray) -> None:
    with open(folder / f"{name.removeprefix('TS')}.pkl", "wb") as file:
        pickle.dump(np.transpose(poses, (0, 1, 3, 2)), file)


def write_npy(folder: Path, name: str, poses: np.ndarray) -> None:
    np.save(folder / f"{name}.npy", poses)


def write_npz(folder: Path, name: str, poses: np.ndarray) -> None:
    np.savez(folder / f"{name}.npz", poses)


@pytest.mark.parametrize("write", [write_gntcn, write_npy, write_npz])
@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_a_folder_of_sequences(predicted, annotated, ours, tmp_path: Path, write, missing: float, caplog) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, (poses, _) in predicted.items():
        write(folder, name, np.where(np.isnan(poses), missing, poses))
    with caplog.at_level(logging.WARNING):
        close(numbers(folder, annotated, ["given"]), ours)
    assert ("poses are zeros: taken as undetected" in caplog.text) == (missing == 0)


def test_one_npz_of_all_sequences(predicted, annotated, ours, tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", **{name: poses for name, (poses, _) in predicted.items()})
    close(numbers(tmp_path / "all.npz", annotated, ["given"]), ours)


@pytest.mark.parametrize("count", [14, 15])
def test_poses_without_trunk_or_head(predicted, annotated, ours, tmp_path: Path, count: int) -> None:
    """Their hip, the middle of the two, and spine are inferred: limbs score as before, which the note says."""
    exact = {}
    for name, (poses, points) in predicted.items():
        poses = poses.copy()
        poses[..., 14, :] = (poses[..., 8, :] + poses[..., 11, :]) / 2
        poses[..., 15, :] = (poses[..., 14, :] + poses[..., 1, :]) / 2
        exact[name] = poses, points
    np.savez(tmp_path / "exact.npz", **rows_of(exact))
    np.savez(tmp_path / "short.npz", **{name: poses[:, :, :count] for name, (poses, _) in exact.items()})
    found = numbers(tmp_path / "short.npz", annotated, ["given"])
    close(found, numbers(tmp_path / "exact.npz", annotated, ["given"]))
    _, notes = in_mupots_17(read_predictions(tmp_path / "short.npz", "universal", 30.0))
    assert notes == [
        f"joints of MuPoTS-{count}: inferred from their neighbours are {'hip, ' * (count == 14)}spine, head"
    ]


def test_other_sets_of_17_joints_by_name(predicted, annotated, ours, tmp_path: Path) -> None:
    poses = {name: poses for name, (poses, _) in predicted.items()}
    with_nose = [name if name != "nose" else "head" for name in HUMAN36M_17.names]
    human = {name: value[:, :, [MUPOTS_17.index(joint) for joint in with_nose]] for name, value in poses.items()}
    np.savez(tmp_path / "h36m.npz", **human)
    found = numbers(tmp_path / "h36m.npz", annotated, ["given"], "Human3.6M-17")
    close(found, ours)  # its nose is not the head, which PCK does not count
    _, (note,) = in_mupots_17(read_predictions(tmp_path / "h36m.npz", "universal", 30.0, "Human3.6M-17"))
    assert "inferred from their neighbours are head; hip, neck and head of Human3.6M-17 are other points" in note


def test_coco_17_gets_trunk_and_head_from_shoulders_hips_and_ears() -> None:
    import torch

    from pose.to_mupots import to_mupots_17

    poses = torch.zeros(17, 3)
    for joint, place in {"shoulder": (180.0, -500.0), "hip": (130.0, 0.0), "ear": (75.0, -690.0)}.items():
        poses[COCO_17.index(f"left_{joint}"), :2] = torch.tensor(place)
        poses[COCO_17.index(f"right_{joint}"), :2] = torch.tensor((-place[0], place[1]))
    found, inferred = to_mupots_17(poses, COCO_17)
    assert inferred == ["hip", "neck", "spine", "head_top", "head"]
    heights = {name: float(found[MUPOTS_17.index(name), 1]) for name in inferred}
    assert heights == pytest.approx(
        {"hip": 0, "neck": -500, "spine": -250, "head_top": -816.667, "head": -605.556}, abs=0.01
    )
    assert remap_index(COCO_17, COCO_17)[0] == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda f: np.save(f / "poses.npy", np.ones((4, 2, 17, 3))), "'' names no sequence; name each array"),
        (lambda f: np.save(f / "TS1.npy", np.ones((4, 2, 16, 3))), "16 joints, 14, 15 or 17 joints of MuPoTS-17"),
        (lambda f: np.save(f / "TS1.npy", np.ones((4, 17))), "(T, P, J, 3)"),
        (lambda f: np.save(f / "TS1.npy", np.ones((4, 3, 51))), "(4, 3, 51) has x, y, z of 17 joints on one axis"),
        (lambda f: np.save(f / "TS1.npy", np.zeros((4, 2, 17, 3))), "all 8 poses are zeros"),
        (lambda f: scipy.io.savemat(f / "preds_3d_kpt_mupots.mat", {"x": np.ones((2, 17, 3))}), "the 2D file"),
        (lambda f: [np.savez(f / f"{n}.npz", np.ones((4, 2, n, 3))) for n in (14, 17)], "poses of 14 and 17 joints"),
        (lambda f: (f / "1.pkl").write_bytes(pickle.dumps({})), "poses of no joints"),
        (lambda f: (f / "readme.txt").write_text("none"), "holds no .npy, .npz, .pkl nor preds_3d_kpt_mupots.mat"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path: Path, make, says: str) -> None:
    make(tmp_path)
    files = [file for file in tmp_path.iterdir() if file.suffix == ".npy"]
    with pytest.raises((DataError, MismatchError)) as error:
        read_predictions(files[0] if files else tmp_path, "normal", 30.0)
    assert says in str(error.value) and str(tmp_path) in str(error.value)


def test_a_pickle_with_a_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"1\.pkl: refused to load os\.system"):
        read_predictions(tmp_path, "normal", 30.0)
