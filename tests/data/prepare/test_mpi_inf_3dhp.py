"""MPI-INF-3DHP from a miniature download: complete, continued, with files missing, with files damaged."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data.prepare.mpi_inf_3dhp import mpi_inf_3dhp_steps
from data.prepare.steps import Report, StepsFailedError, run_steps
from data.sets.mpi_inf_3dhp import MpiInf3dhpTest, MpiInf3dhpTrain, read_annotations
from fileio.pickle_reader import read_pickle
from pose.errors import ConfigError, DataError
from pose.joint_sets import COCO_17, MUPOTS_17

CUT = {"subjects": [1], "cameras": [0, 3]}
KINDS = ("imageSequence", "FGmasks", "ChairMasks")


def counts(report: Report) -> tuple[int, int, int]:
    return report.done, report.skipped, report.failed


def test_a_whole_download_becomes_what_the_readers_read(
    mpi_download: Path, keypoints: Path, genuine: Path, tmp_path: Path
) -> None:
    root = tmp_path / "datasets"
    steps = mpi_inf_3dhp_steps(root, mpi_download, keypoints=keypoints, **CUT)
    # Seq1, Seq2: annotations, 2 cameras x (3 kinds + detections); TS1 to TS6: annotations, images, detections.
    assert len(steps) == 2 * (1 + 2 * 4) + 6 * 3
    assert counts(run_steps(root, steps, jobs=2)) == (36, 0, 0)

    mpi = root / "Mpi3DHP"
    assert MpiInf3dhpTrain(mpi, **CUT).missing_files() == [] == MpiInf3dhpTest(mpi).missing_files()
    found = MpiInf3dhpTrain(mpi, **CUT).sequences("normal") + MpiInf3dhpTest(mpi).sequences("normal")
    real = genuine / "Mpi3DHP"
    expected = MpiInf3dhpTrain(real, **CUT).sequences("normal") + MpiInf3dhpTest(real).sequences("normal")
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.sequence == theirs.sequence
        assert ours.poses_3d.equal(theirs.poses_3d)
        assert ours.keypoints_2d.allclose(theirs.keypoints_2d, atol=1e-3)
        assert ours.confidence.allclose(theirs.confidence, atol=1e-4)
        assert ours.detected.tolist() == theirs.detected.tolist()
    assert any(bool(s.detected.any()) for s in found)

    for sequence, n_frames in ((1, 3), (2, 6)):
        for kind in KINDS:
            folder = mpi / "frames" / "S1" / f"Seq{sequence}" / kind
            names = sorted(path.name for path in folder.iterdir())
            assert names == [f"img_{c}_{f + 1:06d}.jpg" for c in (0, 3) for f in range(n_frames)]  # and nothing else
        for frame in range(n_frames):
            with Image.open(
                mpi / "frames" / "S1" / f"Seq{sequence}" / KINDS[1] / f"img_3_{frame + 1:06d}.jpg"
            ) as image:
                assert image.size == (2048, 2048)
                assert np.abs(np.asarray(image.reduce(64)).astype(int) - 25 * frame - 20).max() <= 5  # of 25
    images = mpi / "mpi_inf_3dhp_test_set"
    assert [len(list((images / f"TS{n}" / "imageSequence").iterdir())) for n in range(1, 7)] == [3, 3, 4, 5, 3, 3]

    again = mpi_inf_3dhp_steps(root, mpi_download, keypoints=keypoints, **CUT)
    assert counts(run_steps(root, again, verify=True)) == (0, 36, 0)


class Seer:
    """Finds the person annotated in the frame whose number the picture's brightness tells, and a bystander before."""

    name = "seer"

    def __init__(self, path: Path, camera: int) -> None:
        self.people = read_annotations(path, (1, 1), [camera], "annot2")[camera]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        assert image.shape == (2048, 2048, 3) and image.dtype == np.uint8
        found = np.full((2, 17, 3), 0.7)
        frame = round((image.mean() - 20) / 25)
        for joint, name in enumerate(COCO_17.names):
            if name in MUPOTS_17.names:
                found[1, joint, :2] = self.people[frame, MUPOTS_17.index(name)] + 10
        return found


def test_a_detector_sees_each_frame_of_a_video(mpi_download: Path, tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    shutil.rmtree(mpi_download / "S1" / "Seq1" / "FGmasks")  # not needed without frames
    detector = Seer(mpi_download / "S1" / "Seq1" / "annot.mat", 3)
    steps = mpi_inf_3dhp_steps(root, mpi_download, False, detector, subjects=[1], cameras=[3], parts=["train"])
    steps = [step for step in steps if "Seq1" in step.name]
    assert [step.name.split(": ")[1] for step in steps] == ["annotations", "detections"]
    run_steps(root, steps)
    found = read_pickle(root / "Mpi3DHP" / "S1" / "Seq1" / "hrnet" / "hrnet_03.pkl")
    assert found["is_valid"].tolist() == [True] * 3
    wrist = found["poses"][:, COCO_17.index("left_wrist"), :2]
    np.testing.assert_allclose(wrist, detector.people[:, MUPOTS_17.index("left_wrist")] + 10, rtol=1e-5)


def test_everything_missing_is_said_at_once(mpi_download: Path, tmp_path: Path) -> None:
    (mpi_download / "S1" / "Seq1" / "annot.mat").unlink()
    (mpi_download / "S1" / "Seq2" / "FGmasks" / "other_angled_cameras.zip").unlink()
    (mpi_download / "S1" / "Seq1" / "imageSequence" / "video_0.avi").unlink()
    (mpi_download / "mpi_inf_3dhp_test_set.zip").unlink()
    with pytest.raises(DataError) as caught:
        mpi_inf_3dhp_steps(tmp_path / "datasets", mpi_download, keypoints=tmp_path, **CUT)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("mpi_inf_3dhp: 25 files are missing and 0 damaged in ")  # 3 + 6 x 2 + 10 of keypoints
    text = str(caught.value)
    assert "  S1/Seq1: annot.mat (get_dataset.sh)" in lines
    assert "  S1/Seq1/imageSequence: video_0.avi (in vnect_cameras.zip)" in lines
    assert (
        "  S1/Seq2/FGmasks: video_3.avi (in other_angled_cameras.zip; download_extra_wall_cameras=1, download_masks=1 "
        "in conf.ig)"
    ) in lines
    assert (
        "mpi_inf_3dhp_test_set/TS6: annot_data.mat, imageSequence/img_000001.jpg ... (mpi_inf_3dhp_test_set.zip)"
        in text
    )
    assert "keypoints_00.json, keypoints_03.json (prepare.keypoints)" in text
    assert lines[-1].startswith("  from: https://vcai.mpi-inf.mpg.de/3dhp-dataset")
    assert not (tmp_path / "datasets").exists()


def cut_off(path: Path, part: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])


def prepare(root: Path, source: Path, **more) -> Report:
    return run_steps(root, mpi_inf_3dhp_steps(root, source, subjects=[1], cameras=[0], parts=["train"], **more))


def test_a_damaged_video_is_named_and_the_rest_is_done(mpi_download: Path, make_video, tmp_path: Path) -> None:
    root, folder = tmp_path / "datasets", mpi_download / "S1" / "Seq1"
    good = (folder / "imageSequence" / "video_0.avi").read_bytes()
    cut_off(folder / "imageSequence" / "video_0.avi", 0.6)
    (folder / "FGmasks" / "video_0.avi").write_bytes(b"no video at all")
    make_video(folder / "ChairMasks" / "video_0.avi", 2)
    with pytest.raises(StepsFailedError) as caught:
        prepare(root, mpi_download)
    assert counts(caught.value.report) == (5, 0, 3)
    text = str(caught.value)
    assert "3 of 8 steps failed" in text
    assert "mpi_inf_3dhp S1/Seq1 camera 0: imageSequence: " in text
    assert "video_0.avi: frame 1 is damaged or cut off; fetch the file again." in text
    assert text.endswith(
        "Also failed: mpi_inf_3dhp S1/Seq1 camera 0: FGmasks, mpi_inf_3dhp S1/Seq1 camera 0: ChairMasks."
    )

    (folder / "imageSequence" / "video_0.avi").write_bytes(good)
    with pytest.raises(StepsFailedError, match=r"FGmasks/video_0\.avi: not a video or damaged \(InvalidDataError\)"):
        prepare(root, mpi_download)
    (folder / "FGmasks" / "video_0.avi").write_bytes(good)
    with pytest.raises(StepsFailedError, match=r"ends after 2 frames, 3 are expected as in annot\.mat"):
        prepare(root, mpi_download)
    make_video(folder / "ChairMasks" / "video_0.avi", 3, size=(1024, 1024))
    with pytest.raises(StepsFailedError, match="frames of 2048x2048 px are expected, found 1024x1024"):
        prepare(root, mpi_download)
    make_video(folder / "ChairMasks" / "video_0.avi", 4)  # a tail without annotations is left
    assert counts(prepare(root, mpi_download)) == (1, 7, 0)
    assert len(list((root / "Mpi3DHP" / "frames" / "S1" / "Seq1" / "ChairMasks").iterdir())) == 3


def test_a_damaged_archive_is_named(mpi_download: Path, tmp_path: Path) -> None:
    root, path = tmp_path / "datasets", mpi_download / "S1" / "Seq2" / "imageSequence" / "vnect_cameras.zip"
    whole = path.read_bytes()
    cut_off(path, 0.7)
    with pytest.raises(DataError, match=r"1 files are missing and 1 damaged(?s:.)*vnect_cameras\.zip: not a sound zip"):
        prepare(root, mpi_download)
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF  # the directory at the end is sound, the checksum is not
    path.write_bytes(spoiled)
    with pytest.raises(StepsFailedError, match=r"vnect_cameras\.zip: not a sound zip archive or damaged") as caught:
        prepare(root, mpi_download)
    assert counts(caught.value.report) == (7, 0, 1)
    assert not list(root.rglob(".video*"))
    path.write_bytes(whole)
    assert counts(prepare(root, mpi_download)) == (1, 7, 0)


@pytest.mark.parametrize("name", ["../video_0.avi", "/etc/video_0.avi", "C:\\video_0.avi", "a\\..\\..\\video_0.avi"])
def test_members_that_climb_out_are_refused(mpi_download: Path, tmp_path: Path, name: str) -> None:
    path = mpi_download / "S1" / "Seq2" / "imageSequence" / "vnect_cameras.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"")
    with pytest.raises(DataError, match=r"vnect_cameras\.zip: refused: member .* leads out of its folder"):
        prepare(tmp_path / "datasets", mpi_download)


def test_annotations_are_checked_before_they_land(mpi_download: Path, tmp_path: Path) -> None:
    root, path = tmp_path / "datasets", mpi_download / "S1" / "Seq1" / "annot.mat"
    good = path.read_bytes()
    content = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    content["annot3"][5, 0] = content["annot3"][5, 0][:-1]
    scipy.io.savemat(path, content)
    with pytest.raises(StepsFailedError, match=r"download/S1/Seq1/annot\.mat: annot3\[5\]: expected shape \(T=3, 84\)"):
        prepare(root, mpi_download, frames=False)
    assert not (root / "Mpi3DHP" / "S1" / "Seq1" / "annot.mat").exists()
    cut_off(path, 0.5)
    with pytest.raises(DataError, match=r"1 damaged(?s:.)*annot\.mat: (not a MATLAB v5 file|has no variable 'frames')"):
        prepare(root, mpi_download, frames=False)
    path.write_bytes(good)
    calibration = path.with_name("camera.calibration")
    calibration.write_text(calibration.read_text().split("name          10")[0])
    with pytest.raises(StepsFailedError, match=r"camera\.calibration: has no camera 10"):
        prepare(root, mpi_download, frames=False)


def test_a_test_set_that_is_spoiled(mpi_download: Path, repack, tmp_path: Path) -> None:
    root, archive = tmp_path / "datasets", mpi_download / "mpi_inf_3dhp_test_set.zip"
    whole = archive.read_bytes()

    def tried(change) -> str:
        shutil.rmtree(root, ignore_errors=True)  # what was prepared before would replace what is missing
        archive.write_bytes(whole)
        repack(archive, change)
        with pytest.raises(StepsFailedError) as caught:
            run_steps(root, mpi_inf_3dhp_steps(root, mpi_download, parts=["test"]))
        return str(caught.value)

    text = tried(lambda name, data: data[:-30] if name.endswith("TS2/imageSequence/img_000002.jpg") else data)
    assert "TS2/imageSequence/img_000002.jpg: the picture is cut off" in text
    text = tried(lambda name, data: None if name.endswith("TS2/imageSequence/img_000002.jpg") else data)
    assert "TS2 has 3 annotated frames and 2 pictures" in text
    text = tried(lambda name, data: None if name.endswith("TS3/imageSequence/img_000002.jpg") else data)
    assert "img_000003.jpg: img_000002.jpg is expected after" in text  # the picture too many in TS3 does not hide it
    text = tried(lambda name, data: data[:2000] if name.endswith("TS6/annot_data.mat") else data)
    assert "mpi_inf_3dhp_test_set.zip:mpi_inf_3dhp_test_set/TS6/annot_data.mat: not an HDF5" in text
    assert "1 of 12 steps failed (1 more wait for them)" in text


def test_prepared_in_place_and_without_the_download(mpi_download: Path, keypoints: Path, tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    shutil.copytree(mpi_download, root / "Mpi3DHP")
    before = (root / "Mpi3DHP" / "S1" / "Seq1" / "annot.mat").stat()
    assert counts(prepare(root, root / "Mpi3DHP")) == (8, 0, 0)
    after = (root / "Mpi3DHP" / "S1" / "Seq1" / "annot.mat").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    empty = tmp_path / "empty"
    empty.mkdir()
    for video in root.rglob("*.avi"):
        video.unlink()
    assert counts(prepare(root, empty, frames=False, keypoints=keypoints)) == (2, 2, 0)


def test_detections_of_another_recording_are_refused(mpi_download: Path, keypoints: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(keypoints, tmp_path / "keypoints"))
    path = other / "S1" / "Seq1" / "keypoints_00.json"
    content = json.loads(path.read_text())
    for people in content.values():
        for person in people:
            person["keypoints"] = [value / 4 for value in person["keypoints"]]  # of pictures made smaller
    path.write_text(json.dumps(content))
    with pytest.raises(StepsFailedError, match=r"keypoints_00\.json: nothing detected lies within 80 px"):
        prepare(tmp_path / "datasets", mpi_download, frames=False, keypoints=other)


def test_options_that_make_no_sense(mpi_download: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prepare\.source: not given"):
        mpi_inf_3dhp_steps(tmp_path, None)
    with pytest.raises(DataError, match=r"prepare\.source=.*nowhere: no such folder"):
        mpi_inf_3dhp_steps(tmp_path, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="detections come from them or from a detector, not both"):
        mpi_inf_3dhp_steps(tmp_path, mpi_download, detector=object(), keypoints=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"keypoints=.*nowhere: no such folder"):
        mpi_inf_3dhp_steps(tmp_path, mpi_download, keypoints=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"parts=\['validation'\]"):
        mpi_inf_3dhp_steps(tmp_path, mpi_download, parts=["validation"])
    with pytest.raises(ConfigError, match=r"subjects=\[9\]"):
        mpi_inf_3dhp_steps(tmp_path, mpi_download, subjects=[9])
