"""`prepare=check`: an empty folder, a complete one, and one with gaps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data.prepare.check import MOCAP, USES, Overview, check_datasets


def lacks(overview: Overview) -> dict[str, tuple[str, ...]]:
    return {use.experiment: use.lacks for use in overview.uses}


def part(overview: Overview, name: str):
    (found,) = [part for part in overview.parts if part.name == name]
    return found


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_an_empty_folder_lacks_everything(tmp_path: Path, folder: str) -> None:
    overview = check_datasets(tmp_path / folder)
    assert len(overview.parts) == 13
    assert {name for names in USES.values() for name in names} <= {part.name for part in overview.parts}
    for part in overview.parts:
        assert part.missing and part.get, part
        assert part.there == "no set" or part.there.startswith("0 "), part
        assert overview.enables(part) or part.name.endswith((" images", " frames")), part
    assert lacks(overview) == USES


def test_a_complete_set_of_annotations_and_detections(genuine: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(genuine, tmp_path / "datasets"))
    overview = check_datasets(root)
    training = part(overview, "MPI-INF-3DHP training: annotations")
    assert (training.there, training.missing, training.get) == ("32 of 32 files", "", "")
    detections = part(overview, "MPI-INF-3DHP training: detections")
    assert (detections.there, detections.missing) == ("175 of 175 files", "")
    muco = part(overview, "MuCo-Temp: detections")
    assert (muco.there, muco.missing) == ("77 of 77 files", "")
    state = lacks(overview)
    ready = [experiment for experiment, lacking in state.items() if not lacking]
    both = "train", "train data=mpi_inf_3dhp", "train data=muco_temp"
    assert ready == [*both, "mupots_pck, mupots_mm", "mpii_3dhp"]
    assert state["prepare prepare=muco_temp"] == ("MPI-INF-3DHP training: frames and masks",)
    assert part(overview, MOCAP).there == "no set"

    (root / "MuPoTS" / "MultiPersonTestSet" / "TS7" / "annot.mat").unlink()
    (root / "MuPoTS" / "hrnet_pose2d" / "TS9.pkl").unlink()
    shutil.rmtree(root / "Mpi3DHP" / "S2")
    shutil.rmtree(root / "MucoTemp" / "hrnet_keypoints" / "cam_3")
    overview = check_datasets(root)
    mupots = part(overview, "MuPoTS-3D: annotations")
    assert (mupots.there, mupots.missing) == ("39 of 40 files", "MultiPersonTestSet/TS7/annot.mat")
    assert "MultiPersonTestSet.zip" in mupots.get and "prepare=mupots_3d" in mupots.get
    assert part(overview, "MuPoTS-3D: detections").missing == "hrnet_pose2d/TS9.pkl"
    assert part(overview, "MPI-INF-3DHP training: annotations").missing == "S2/Seq1/annot.mat and 3 more"
    muco = part(overview, "MuCo-Temp: detections")
    assert (muco.there, muco.missing) == (
        "70 of 77 files", "hrnet_keypoints/cam_3/gt_match_posedist_80/vid_0.pkl and 6 more",
    )  # fmt: skip
    assert part(overview, "MuCo-Temp: annotations").missing == ""
    state = lacks(overview)
    assert state["mupots_pck, mupots_mm"] == ("MuPoTS-3D: annotations", "MuPoTS-3D: detections")
    assert state["mpii_3dhp"] == ()


def test_images_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "Mpi3DHP" / "frames" / "S1" / "Seq1" / "imageSequence"
    folder.mkdir(parents=True)
    for name in ("img_1_000001.jpg", "img_1_000002.jpg", "img_10_000001.jpg", ".img_2_000001.jpg.part", "notes.txt"):
        (folder / name).touch()
    frames = part(check_datasets(tmp_path), "MPI-INF-3DHP training: frames and masks")
    assert frames.there == "3 images of 2 of 528 videos"
    assert frames.missing == "S1/Seq1/imageSequence/img_0_*.jpg and 525 more"


def test_what_cannot_be_read_is_reported(genuine: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(genuine, tmp_path / "datasets"))
    (root / "MucoTemp" / "sequence_meta.pkl").write_bytes(b"spoiled")
    muco = part(check_datasets(root), "MuCo-Temp: annotations")
    assert muco.there == "unreadable"
    assert "sequence_meta.pkl: not a pickle or damaged" in muco.missing
