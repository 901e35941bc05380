"""MuPoTS-3D from a miniature archive: complete, continued, with files missing, with files damaged."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from data.prepare.mupots_3d import mupots_3d_steps
from data.prepare.sources import Item, copy_checked
from data.prepare.steps import Report, StepsFailedError, run_steps
from data.sets.mupots_3d import MuPoTS3D
from pose.errors import DataError

CUT = {"sequences": [1, 6]}


def prepare(root: Path, source: Path, **more) -> Report:
    return run_steps(root, mupots_3d_steps(root, source, **{**CUT, **more}))


def counts(report: Report) -> tuple[int, int, int]:
    return report.done, report.skipped, report.failed


def test_an_archive_becomes_what_the_reader_reads(
    mupots_download: Path, keypoints: Path, genuine: Path, tmp_path: Path
) -> None:
    root = tmp_path / "datasets"
    assert counts(prepare(root, mupots_download, keypoints=keypoints / "mupots")) == (6, 0, 0)
    found = MuPoTS3D(root / "MuPoTS", **CUT).sequences("universal")
    expected = MuPoTS3D(genuine / "MuPoTS", **CUT).sequences("universal")
    swapped = 0
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.sequence, ours.person) == (theirs.sequence, theirs.person)
        assert ours.poses_3d.equal(theirs.poses_3d)
        agree = (ours.keypoints_2d - theirs.keypoints_2d).abs().amax(dim=(1, 2)) < 1e-3
        swapped += int((~agree).sum())
        swapped += int((ours.detected != theirs.detected).sum())
    assert swapped == 0
    assert sum(int(sequence.detected.sum()) for sequence in found) > len(found)
    folder = root / "MuPoTS" / "MultiPersonTestSet"
    n_frames = len(found[0])
    names = {"annot.mat", "occlusion.mat", *(f"img_{i:06d}.jpg" for i in range(n_frames))}
    assert {path.name for path in (folder / "TS1").iterdir()} == names
    with Image.open(folder / "TS6" / "img_000000.jpg") as image:
        assert image.size == (1920, 1080)
    assert counts(prepare(root, mupots_download, keypoints=keypoints / "mupots")) == (0, 6, 0)


def test_the_unpacked_folder_does_as_well(mupots_download: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(mupots_download / "MultiPersonTestSet.zip") as archive:
        archive.extractall(mupots_download)
    (mupots_download / "MultiPersonTestSet.zip").unlink()
    root = tmp_path / "datasets"
    assert counts(prepare(root, mupots_download)) == (4, 0, 0)
    whole = (root / "MuPoTS" / "MultiPersonTestSet" / "TS1" / "annot.mat").read_bytes()
    assert whole == (mupots_download / "MultiPersonTestSet" / "TS1" / "annot.mat").read_bytes()
    assert counts(prepare(root, root / "MuPoTS", frames=False)) == (2, 0, 0)  # found where they lie


def test_interrupted_and_continued(mupots_download: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import data.prepare.picture_sets as pictures

    root, written = tmp_path / "datasets", []
    write = pictures.write_picture

    def interrupted(path: Path, content: bytes) -> None:
        if len(written) == 4:  # three pictures of TS1, one of TS6
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    monkeypatch.setattr(pictures, "write_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, mupots_download)
    monkeypatch.undo()
    assert (root / "manifest.json").is_file()
    assert counts(prepare(root, mupots_download)) == (1, 3, 0)


def test_everything_missing_is_said_at_once(mupots_download: Path, repack, tmp_path: Path) -> None:
    gone = ("TS1/occlusion.mat", "TS6/annot.mat")
    repack(mupots_download / "MultiPersonTestSet.zip", lambda name, data: None if name.endswith(gone) else data)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "datasets", mupots_download, sequences=[1, 2, 6])
    text = str(caught.value)
    assert text.startswith("mupots_3d: 5 files are missing and 0 damaged in ")
    assert "MultiPersonTestSet/TS1: occlusion.mat (MultiPersonTestSet.zip)" in text
    assert "MultiPersonTestSet/TS2: annot.mat, occlusion.mat, img_000000.jpg ... (MultiPersonTestSet.zip)" in text
    assert "from: https://vcai.mpi-inf.mpg.de/projects/SingleShotMultiPerson" in text


def test_damaged_archives_are_named(mupots_download: Path, repack, tmp_path: Path) -> None:
    root, archive = tmp_path / "datasets", mupots_download / "MultiPersonTestSet.zip"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"and 1 damaged(?s:.)*MultiPersonTestSet\.zip: not a sound zip archive or dama"
    ):
        prepare(root, mupots_download)

    def tried(change) -> str:
        shutil.rmtree(root, ignore_errors=True)  # what was prepared before would replace what is missing
        archive.write_bytes(whole)
        repack(archive, change)
        with pytest.raises(StepsFailedError) as caught:
            prepare(root, mupots_download)
        return str(caught.value)

    text = tried(lambda name, data: data[:1000] if name.endswith("TS1/annot.mat") else data)
    assert "MultiPersonTestSet.zip:MultiPersonTestSet/TS1/annot.mat: not a MATLAB v5 file or damaged" in text
    assert not (root / "MuPoTS" / "MultiPersonTestSet" / "TS1" / "annot.mat").exists()
    text = tried(lambda name, data: None if name.endswith("TS6/img_000002.jpg") else data)
    assert re.search(r"TS6 has \d+ annotated frames and \d+ pictures", text)
    archive.write_bytes(whole)
    report = prepare(root, mupots_download)
    assert report.failed == 0 and report.done + report.skipped == 4


def test_a_source_that_goes_away_is_named(tmp_path: Path) -> None:
    source, target = tmp_path / "gone" / "annot.mat", tmp_path / "set" / "annot.mat"
    with pytest.raises(DataError, match=re.escape(str(source))) as caught:
        copy_checked([Item(source)], [target], lambda paths: None)
    assert str(target) not in str(caught.value)
    assert not target.exists()
