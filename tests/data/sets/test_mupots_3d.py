"""MuPoTS-3D on files of our own making and on golden copies."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from data.sets.mupots_3d import MuPoTS3D
from pose.errors import ConfigError, DataError

FX, FY, CX, CY = 1500.0, 1490.0, 1020.0, 1030.0


def scene() -> dict[str, np.ndarray]:
    """Two random people seen by one camera in six frames: person 1 invalid in frame 2, undetected in frame 3."""
    frames, people = 6, 2
    random = np.random.default_rng(0)
    annot3 = random.uniform((-900, -900, 2500), (900, 900, 4500), size=(frames, people, 17, 3))
    annot2 = annot3[..., :2] / annot3[..., 2:] * (FX, FY) + (CX, CY)
    valid, detected = np.ones((frames, people), dtype=np.uint8), np.ones((frames, people), dtype=bool)
    valid[2, 1], detected[3, 1] = 0, False
    return {
        "annot2": annot2,
        "annot3": annot3,
        "valid": valid,
        "occlusion": random.integers(0, 2, size=(frames, people, 17)).astype(np.uint8),
        "pose": random.uniform(size=(frames, people, 19, 3)).astype(np.float32),
        "valid_pose": detected,
    }


def paths(root: Path, number: int) -> tuple[Path, Path, Path]:
    folder = root / "MultiPersonTestSet" / f"TS{number}"
    return folder / "annot.mat", folder / "occlusion.mat", root / "hrnet_pose2d" / f"TS{number}.pkl"


def cell_of(shape: tuple[int, int], make) -> np.ndarray:
    cells = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        cells[place] = make(place)
    return cells


def write_annotations(path: Path, content: dict[str, np.ndarray], fields=("annot2", "annot3", "univ_annot3")) -> None:
    def struct(place):
        found = {"annot2": content["annot2"][place].T, "annot3": content["annot3"][place].T}
        found["univ_annot3"] = 2 * found["annot3"]
        return {key: found[key] for key in fields} | {"isValidFrame": content["valid"][place]}

    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"annotations": cell_of(content["valid"].shape, struct)}, do_compression=True)


def write_occlusions(path: Path, labels: np.ndarray) -> None:
    scipy.io.savemat(path, {"occlusion_labels": cell_of(labels.shape[:2], lambda place: labels[place][None])})


def write_detections(path: Path, pose: np.ndarray, valid_pose: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"pose": pose, "valid_pose": valid_pose}, 2))


def write_sequence(root: Path, number: int, content: dict[str, np.ndarray]) -> None:
    annotations, occlusions, detections = paths(root, number)
    write_annotations(annotations, content)
    write_occlusions(occlusions, content["occlusion"])
    write_detections(detections, content["pose"], content["valid_pose"])


def read(root: Path, coordinates: str = "normal"):
    return MuPoTS3D(root, sequences=[1]).sequences(coordinates)


def test_people_of_a_sequence(tmp_path):
    content = scene()
    write_sequence(tmp_path, 1, content)
    found = read(tmp_path)
    assert [s.name for s in found] == ["TS1/0", "TS1/1"]
    for person, sequence in enumerate(found):
        for name, expected in (
            ("poses_3d", content["annot3"][:, person]),
            ("annotation_2d", content["annot2"][:, person]),
            ("keypoints_2d", content["pose"][:, person, :, :2]),
            ("confidence", content["pose"][:, person, :, 2]),
        ):
            tensor = getattr(sequence, name)
            assert tensor.dtype == torch.float32
            np.testing.assert_array_equal(tensor.numpy(), expected.astype(np.float32))
        np.testing.assert_array_equal(sequence.visible.numpy(), content["occlusion"][:, person] == 0)
        np.testing.assert_array_equal(sequence.annotated.numpy(), content["valid"][:, person] == 1)
        np.testing.assert_array_equal(sequence.detected.numpy(), content["valid_pose"][:, person])
        assert sequence.frame.tolist() == list(range(6))
    universal = read(tmp_path, "universal")
    assert torch.equal(universal[1].poses_3d, 2 * found[1].poses_3d)
    assert universal[1].coordinates == "universal"
    assert universal[1].camera.fx == pytest.approx(found[1].camera.fx, rel=1e-12)  # least squares: not to the last bit


def test_camera_is_fitted_to_valid_people(tmp_path):
    content = scene()
    content["annot2"][2, 1] = 7  # the person that is not valid there
    write_sequence(tmp_path, 1, content)
    camera = read(tmp_path)[0].camera
    np.testing.assert_allclose((camera.fx, camera.fy, camera.cx, camera.cy), (FX, FY, CX, CY), rtol=1e-9)
    content["annot2"][2, 0] = 7
    write_sequence(tmp_path, 1, content)
    assert abs(read(tmp_path)[0].camera.fx - FX) > 1


def test_rates_and_image_sizes(tmp_path):
    for number in range(1, 21):
        write_sequence(tmp_path, number, scene())
    found = MuPoTS3D(tmp_path).sequences("normal")
    assert [s.sequence for s in found[::2]] == [f"TS{number}" for number in range(1, 21)]
    assert [s.fps for s in found[::2]] == [30.0] * 5 + [60.0] * 15
    sizes = [(s.camera.width, s.camera.height) for s in found[::2]]
    assert sizes == [(2048, 2048)] * 5 + [(1920, 1080)] * 15
    assert {s.fps for s in MuPoTS3D(tmp_path, fps=25.0).sequences("normal")} == {25.0}
    assert [s.name for s in MuPoTS3D(tmp_path, sequences=[16, 2]).sequences("normal")] == [
        f"TS{number}/{person}" for number in (2, 16) for person in (0, 1)
    ]


@pytest.mark.parametrize("options", [{"sequences": [0]}, {"sequences": [21]}, {"sequences": []}, {"fps": 0}])
def test_choices_outside_the_set(tmp_path, options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        MuPoTS3D(tmp_path, **options)


def test_missing_files(tmp_path):
    reader = MuPoTS3D(tmp_path)
    assert len(reader.files()) == len(reader.missing_files()) == 60
    write_sequence(tmp_path, 1, scene())
    assert len(reader.missing_files()) == 57
    with pytest.raises(
        DataError, match=r"mupots_3d: 57 of 60 files are missing: .*TS10/{annot\.mat,occlusion\.mat}, .*vcai"
    ):
        reader.sequences("normal")


def test_without_detections_everybody_counts_as_detected(tmp_path):
    write_sequence(tmp_path, 1, scene())
    paths(tmp_path, 1)[2].unlink()
    people = MuPoTS3D(tmp_path, sequences=[1], detections=False).sequences("normal")
    assert people and all(person.detected.all() and not person.confidence.any() for person in people)
    with pytest.raises(DataError, match=r"test\.detections=false"):
        read(tmp_path)


def test_nan_counts_for_valid_people_only(tmp_path):
    content = scene()
    content["annot3"][2, 1, 4] = np.nan
    write_sequence(tmp_path, 1, content)
    assert read(tmp_path)[1].poses_3d[2, 4].isnan().all()
    content["annot3"][3, 1, 4, 2] = np.nan
    write_sequence(tmp_path, 1, content)
    with pytest.raises(DataError, match=r"annot\.mat: annot3 of valid people .* index \(3, 1, 4, 2\)"):
        read(tmp_path)


def changed(key: str, place: tuple, value) -> dict[str, np.ndarray]:
    content = scene()
    content[key] = content[key].astype(float)
    content[key][place] = value
    return content


def shortened(*keys: str) -> dict[str, np.ndarray]:
    content = scene()
    return content | {key: content[key][:-1] for key in keys}


BAD = [
    (changed("annot2", (4, 1, 3, 0), np.inf), r"annot\.mat: annot2 of valid people .* index \(4, 1, 3, 0\)"),
    (
        changed("occlusion", (1, 0, 5), 2),
        r"occlusion\.mat: occlusion_labels: 0 or 1 .* found 2\.0 at index \(1, 0, 5\)",
    ),
    (changed("valid", (1, 0), 3), r"annot\.mat: isValidFrame: 0 or 1 is expected, found 3"),
    (changed("valid", (...,), 0), "no frame is valid, the camera cannot be fitted"),
    (changed("annot3", (..., 2), 0), "annotations fit no pinhole camera"),
    (
        shortened("pose", "valid_pose"),
        r"TS1\.pkl: pose: \(T, P\) = \(6, 2\) is expected, as in .*annot\.mat, found \(5, 2\)",
    ),
    (shortened("occlusion"), r"occlusion\.mat: occlusion_labels: expected shape \(T=6, P=2\), found \(5, 2\)"),
    (
        scene() | {"occlusion": np.zeros((6, 2, 16))},
        r"occlusion_labels\[0, 0\]: expected shape \(1, 17\), found \(1, 16\)",
    ),
    (
        scene() | {"annot3": np.zeros((6, 2, 16, 3))},
        r"annotations\[0, 0\]\.annot3: expected shape \(3, 17\), found \(3, 16\)",
    ),
    (scene() | {"valid": np.zeros((0, 0))}, r"annot\.mat: annotations: empty"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_bad_content(tmp_path, content, message):
    write_sequence(tmp_path, 1, content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_bad_structure(tmp_path):
    content = scene()
    write_sequence(tmp_path, 1, content)
    annotations = paths(tmp_path, 1)[0]
    write_annotations(annotations, content, fields=("annot2", "annot3"))
    assert len(read(tmp_path, "normal")) == 2
    with pytest.raises(DataError, match=r"annotations\[0, 0\]\.univ_annot3: missing; one struct with this field"):
        read(tmp_path, "universal")
    scipy.io.savemat(annotations, {"annotations": cell_of((6, 2), lambda place: np.zeros(3))})
    with pytest.raises(DataError, match=r"annotations\[0, 0\]\.isValidFrame: missing"):
        read(tmp_path)
    scipy.io.savemat(annotations, {"annotations": np.zeros((6, 2))})
    with pytest.raises(DataError, match="annotations: a cell is expected, found an array of float64"):
        read(tmp_path)
    scipy.io.savemat(annotations, {"annot": np.zeros((6, 2))})
    with pytest.raises(DataError, match="has no variable 'annotations'"):
        read(tmp_path)


# --- numbers of an independent implementation


def test_golden_sequences(conformance):
    """People as rows, one after the other; of the poses the expected arrays hold every twentieth row."""
    expected = np.load(conformance / "expected/mupots_stacked.npz")
    sequences = MuPoTS3D(conformance / "MuPoTS", fps=30).sequences("normal")
    numbers = np.concatenate([[int(s.sequence[2:])] * len(s) for s in sequences])
    np.testing.assert_array_equal(numbers, expected["seq_num"])
    rows = {
        "poses3d": torch.cat([s.poses_3d for s in sequences])[expected["rows"]],
        "poses2d": torch.cat([torch.cat([s.keypoints_2d, s.confidence[..., None]], -1) for s in sequences])[
            expected["rows"]
        ],
        "visible": torch.cat([s.visible for s in sequences]),
        "valid_annotations": torch.cat([s.annotated for s in sequences]),
        "frame": torch.cat([s.frame for s in sequences]),
        "person": torch.cat([torch.full((len(s),), s.person) for s in sequences]),
    }
    for key, found in rows.items():
        np.testing.assert_array_equal(found.numpy(), expected[key], err_msg=key)
    for key in ("fx", "fy", "cx", "cy", "width"):
        found = np.concatenate([[getattr(s.camera, key)] * len(s) for s in sequences])
        assert (np.abs(found - expected[key]) <= 1e-4 * np.maximum(1, np.abs(expected[key]))).all(), key
