"""MuCo-Temp made of the miniature MPI-INF-3DHP of muco_world."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from data.prepare.muco_clips import Clip
from data.prepare.muco_composition import back_to_front, source_path
from data.prepare.muco_detections import HIDDEN_SCORE, hidden_by_capsules
from data.prepare.muco_temp import muco_temp_steps
from data.prepare.steps import StepsFailedError, run_steps
from fileio.pickle_reader import read_pickle
from pose.errors import ConfigError, DataError
from pose.joint_sets import COCO_17, MUPOTS_17
from tests.data.prepare.muco_world import (
    CAMERAS,
    CHAIR,
    COCO_IN_MUPOTS,
    FIFTY,
    FRAMES,
    RAW_FRAMES,
    SIZE,
    SMALL,
    SUBJECTS,
    box,
    camera_of,
    content,
    expected_image,
    image_path,
    motion,
    reader,
    standing,
    videos,
    write_image,
    write_recording,
)


@pytest.fixture(scope="module")
def mpi(tmp_path_factory) -> Path:
    """A datasets folder with nothing but the miniature MPI-INF-3DHP; not to be changed."""
    root = tmp_path_factory.mktemp("source")
    for subject in SUBJECTS:
        for sequence in (1, 2):
            write_recording(root / "Mpi3DHP", subject, sequence)
    return root


@pytest.fixture(scope="module")
def made(mpi, tmp_path_factory) -> Path:
    """A datasets folder with MuCo-Temp of seed 0; not to be changed."""
    return make(tmp_path_factory.mktemp("made"), mpi)


@pytest.fixture
def fresh(mpi, tmp_path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(mpi / "Mpi3DHP", tmp_path / "datasets/Mpi3DHP")
    return tmp_path / "datasets"


def make(root: Path, mpi: Path, **options) -> Path:
    """MuCo-Temp in the new folder `root`."""
    root.mkdir(exist_ok=True)
    (root / "Mpi3DHP").symlink_to(mpi / "Mpi3DHP", target_is_directory=True)
    run_steps(root, muco_temp_steps(root, **SMALL | options))
    return root


# --- what is made ----------------------------------------------------------------------------------------------------


def test_metadata_and_annotations_agree(made):
    counts = set()
    for camera, _, clips, gt in videos(made):
        counts.add(len(clips))
        assert len({clip.subject for clip in clips}) == len(clips)
        assert gt["annot3"].shape == gt["univ_annot3"].shape == (FRAMES, len(clips), 17, 3)
        for person, clip in enumerate(clips):
            step = 2 if clip.recording in FIFTY else 1
            last = clip.first_frame + (FRAMES - 1) * step
            assert clip.first_frame >= 0 and last < RAW_FRAMES
            poses = motion(*clip.recording, camera, RAW_FRAMES)[clip.first_frame : last + 1 : step]
            np.testing.assert_allclose(gt["annot3"][:, person], poses, atol=1e-3)
            np.testing.assert_allclose(gt["univ_annot3"][:, person], 1.1 * poses, atol=1e-3)
            pixels = camera_of(*clip.recording, camera).project(torch.from_numpy(poses))
            np.testing.assert_allclose(gt["annot2"][:, person], pixels, atol=1e-3)
    assert counts <= {2, 3}


def test_reads_back(made):
    sequences = reader(made).sequences("normal")
    clips = {(c, v, p): clip for c, v, people, _ in videos(made) for p, clip in enumerate(people)}
    assert [s.name for s in sequences] == [f"{c}/{v}/{p}" for c, v, p in clips]
    for sequence, ((camera, _, _), clip) in zip(sequences, clips.items(), strict=True):
        assert len(sequence) == FRAMES and sequence.fps == 25
        assert sequence.camera == camera_of(*clip.recording, camera)
        assert sequence.detected.any()


def test_frames_show_the_annotated_people(made):
    """Away from edges each place has the colour of the nearest person there, which tells subject and raw frame too."""
    overlaps, rates = 0, set()
    for camera, video, clips, gt in videos(made):
        rates |= {50 if clip.recording in FIFTY else 25 for clip in clips}
        for frame in range(FRAMES):
            expected = expected_image(clips, gt, frame)
            size = (13, 13, 1)
            flat = (maximum_filter(expected, size) == minimum_filter(expected, size)).all(-1)
            found = np.asarray(Image.open(image_path(made, camera, video, frame))).astype(float)
            assert flat.mean() > 0.5
            assert np.abs(found - expected)[flat].max() <= 50, (camera, video, frame)  # a JPEG rings
            for colour in np.unique(expected[flat], axis=0):
                there = flat & (expected == colour).all(-1)
                off = np.abs(found[there].mean(0) - colour)
                # The next frame's green differs by 8; red and blue, which differ by 40, are coarse in a JPEG.
                assert off[1] < 4 and off.max() < 10, (camera, video, frame, colour)
            covered = np.zeros((SIZE, SIZE), dtype=int)
            for person in range(len(clips)):
                covered[box(gt["annot2"][frame, person])] += 1
            overlaps += int((flat & (covered > 1)).any())
    assert overlaps > 5 and rates == {25, 50}  # otherwise the above tests little


def test_every_file_of_the_format_is_there(made):
    names = set(content(made))
    images = {str(image_path(made, c, v, f).relative_to(made)) for c in CAMERAS for v in (0, 1) for f in range(FRAMES)}
    folders = [f"MucoTemp/frames/cam_{camera}" for camera in CAMERAS]
    others = {f"{folder}/{name}" for folder in folders for name in ("gt.pkl", "clips.json")}
    others |= {f"MucoTemp/hrnet_keypoints/cam_{c}/gt_match_posedist_80/vid_{v}.pkl" for c in CAMERAS for v in (0, 1)}
    others |= {"MucoTemp/sequence_meta.pkl", "MucoTemp/generated.json"}
    assert names == images | others
    described = json.loads((made / "MucoTemp/generated.json").read_text())
    assert described["seed"] == 0 and "masks" in described["detections"]
    assert (made / "MucoTemp/sequence_meta.pkl").read_bytes()[:2] == b"\x80\x02"


def test_same_seed_same_bytes(made, mpi, tmp_path):
    assert content(make(tmp_path / "again", mpi)) == content(made)
    other = content(make(tmp_path / "other", mpi, seed=1))
    assert other["MucoTemp/sequence_meta.pkl"] != content(made)["MucoTemp/sequence_meta.pkl"]


def test_choice_of_a_video_is_its_own(made, mpi, tmp_path):
    """Other cameras, images or chunks change nothing; one camera alone is made as among the others."""
    alone = make(tmp_path / "alone", mpi, cameras=[1], images=False)
    key = "MucoTemp/frames/cam_1/gt.pkl"
    assert content(alone)[key] == content(made)[key]
    assert read_pickle(alone / "MucoTemp/sequence_meta.pkl")[0] == []
    assert read_pickle(alone / "MucoTemp/sequence_meta.pkl")[1] == read_pickle(made / "MucoTemp/sequence_meta.pkl")[1]


# --- detections ------------------------------------------------------------------------------------------------------


def test_hidden_by_masks(made):
    """Joints within a nearer person's rectangle are scored low; people who are mostly hidden are undetected."""
    limbs = [i for i, name in enumerate(COCO_17.names) if name in MUPOTS_17.names]
    joint = [MUPOTS_17.index(COCO_17.names[i]) for i in limbs]
    hidden_joints = missed = 0
    for camera, video, clips, gt in videos(made):
        path = made / f"MucoTemp/hrnet_keypoints/cam_{camera}/gt_match_posedist_80/vid_{video}.pkl"
        found = read_pickle(path)
        for frame, order in enumerate(back_to_front(gt["annot3"])):
            assert found["is_valid"][frame, order[-1]]
            for place, person in enumerate(order[:-1]):
                cover = np.zeros((SIZE, SIZE), dtype=bool)
                for nearer in order[place + 1 :]:
                    cover[box(gt["annot2"][frame, nearer])] = True
                    if clips[nearer].sequence == 2:
                        cover[CHAIR] = True
                columns, rows = gt["annot2"][frame, person][joint].astype(int).clip(0, SIZE - 1).T
                sure = maximum_filter(cover, 7)[rows, columns] == minimum_filter(cover, 7)[rows, columns]
                covered = cover[rows, columns]
                poses, valid = found["poses"][frame, person], found["is_valid"][frame, person]
                missed += not valid
                if not valid:
                    assert (poses == 0).all() and covered[sure].mean() > 0.5
                    continue
                assert (poses[limbs][sure & covered, 2] == np.float32(HIDDEN_SCORE)).all()
                assert (poses[limbs][sure & ~covered, 2] == np.float32(0.9)).all()
                hidden_joints += int((sure & covered).sum())
    assert hidden_joints > 20 and missed > 0


def test_hidden_by_capsules(mpi):
    """A person straight behind another is hidden, the one in front is not, one beside them neither."""
    clips = [Clip(1, 1, 0), Clip(2, 1, 0), Clip(3, 1, 0)]
    poses = standing() + np.array([[[0, 0, 3000]], [[0, 0, 3100]], [[1500, 0, 3600]]])
    pixels = np.stack(
        [camera_of(c.subject, 1, 0).project(torch.from_numpy(p)).numpy() for c, p in zip(clips, poses, strict=True)]
    )
    hidden = hidden_by_capsules(mpi / "Mpi3DHP", clips, 0, pixels[None], poses[None])
    assert hidden.shape == (1, 3, 17)
    assert not hidden[0, 0].any() and not hidden[0, 2].any()
    assert hidden[0, 1].mean() > 0.9


def test_without_images(mpi, tmp_path):
    """Annotations and detections alone need no frames."""
    bare = tmp_path / "bare"
    shutil.copytree(mpi / "Mpi3DHP", bare / "Mpi3DHP", ignore=shutil.ignore_patterns("frames"))
    root = make(tmp_path / "datasets", bare, images=False)
    assert not any(name.endswith(".jpg") for name in content(root))
    sequences = reader(root).sequences("universal")
    assert all(sequence.detected.float().mean() > 0.5 for sequence in sequences)
    assert min(float(s.confidence[s.detected].min()) for s in sequences) < 0.1
    assert "capsules" in json.loads((root / "MucoTemp/generated.json").read_text())["detections"]


class ColourDetector:
    """Finds the subjects by their colour and takes them to stand upright; the score tells who it was."""

    name = "colours"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        people = []
        for subject in reversed(SUBJECTS):
            found = (abs(image[..., 0].astype(int) - 70 * subject) < 15) & (image[..., 2] < 40)
            rows, columns = np.nonzero(minimum_filter(found, 7))
            if len(rows):
                top, bottom = rows.min() + 1, rows.max() - 1  # 4 px around the joints, 3 lost to the filter
                person = np.full((17, 3), subject / 10)
                person[:, :2] = standing()[COCO_IN_MUPOTS, :2] * (bottom - top) / 1670
                person[:, 0] += columns.mean()
                person[:, 1] += bottom - 870 * (bottom - top) / 1670
                people.append(person)
        return np.array(people)


def test_detector_on_composed_frames(mpi, tmp_path):
    root = make(tmp_path / "datasets", mpi, detector=ColourDetector())
    right = total = 0
    for camera, video, clips, _ in videos(root):
        path = root / f"MucoTemp/hrnet_keypoints/cam_{camera}/gt_match_posedist_80/vid_{video}.pkl"
        found = read_pickle(path)
        subjects = np.array([clip.subject / 10 for clip in clips])
        valid = found["is_valid"]
        right += int((abs(found["poses"][..., 0, 2] - subjects) < 1e-3)[valid].sum())
        total += int(valid.sum())
    assert total > 2 * FRAMES * len(CAMERAS)
    assert right / total > 0.9
    assert "colours" in json.loads((root / "MucoTemp/generated.json").read_text())["detections"]
    report = run_steps(root, muco_temp_steps(root, **SMALL, detector=ColourDetector()))
    assert report.done == 0


def test_given_keypoints(made, mpi, tmp_path):
    """The same detections as a keypoints.json of each video, people in reverse order."""
    for camera, video, _, gt in videos(made):
        people = {}
        for frame in range(FRAMES):
            poses = np.zeros((gt["annot2"].shape[1], 17, 3))
            poses[..., :2] = gt["annot2"][frame][:, COCO_IN_MUPOTS]
            poses[..., 2] = 0.5
            entries = [{"keypoints": pose.ravel().tolist(), "score": 1.0} for pose in poses[::-1]]
            people[f"img_{frame:04d}.jpg"] = entries
        path = tmp_path / f"found/cam_{camera}/vid_{video}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(people))
    root = make(tmp_path / "datasets", mpi, keypoints=tmp_path / "found", images=False)
    for sequence in reader(root).sequences("normal"):
        assert sequence.detected.all()
        wrist = sequence.camera.project(sequence.poses_3d)[:, MUPOTS_17.index("left_wrist")]
        torch.testing.assert_close(sequence.keypoints_2d[:, COCO_17.index("left_wrist")], wrist, atol=1e-2, rtol=0)
    (tmp_path / "found/cam_1/vid_1.json").unlink()
    with pytest.raises(StepsFailedError, match=r"found/cam_1/vid_1\.json: missing, this step reads it"):
        make(tmp_path / "other", mpi, keypoints=tmp_path / "found", images=False)


# --- interrupted, missing, corrupt -----------------------------------------------------------------------------------


def test_interrupted_and_resumed(made, mpi, tmp_path):
    root = tmp_path / "datasets"
    root.mkdir()
    (root / "Mpi3DHP").symlink_to(mpi / "Mpi3DHP", target_is_directory=True)
    steps = muco_temp_steps(root, **SMALL)

    def stop(settled: int, total: int) -> None:
        if settled == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps(root, steps, progress=stop)
    assert not (root / "MucoTemp/generated.json").exists()
    report = run_steps(root, steps)
    assert (report.skipped, report.done) == (7, len(steps) - 7)
    assert content(root) == content(made)
    assert run_steps(root, steps, verify=True).skipped == len(steps)


def test_changed_settings_redo_what_they_touch(mpi, tmp_path):
    root = make(tmp_path / "datasets", mpi)
    gt = (root / "MucoTemp/frames/cam_0/gt.pkl").stat().st_mtime_ns
    steps = muco_temp_steps(root, **SMALL, jpeg_quality=30)
    report = run_steps(root, steps)
    assert report.done == 3 * 4 + 1  # chunks of all videos, and the description
    assert (root / "MucoTemp/frames/cam_0/gt.pkl").stat().st_mtime_ns == gt
    image_path(root, 1, 0, 3).unlink()
    assert run_steps(root, steps).done == 1


def source_of_frame_6(root: Path, made: Path, kind: str) -> Path:
    """The image of the nearest person in frame 6 of the first video."""
    camera, _, clips, gt = next(videos(made))
    nearest = clips[back_to_front(gt["annot3"])[6, -1]]
    return source_path(root / "Mpi3DHP", kind, nearest, camera, nearest.raw_frames(6, 7)[0])


@pytest.mark.parametrize("kind", ["imageSequence", "FGmasks", "ChairMasks"])
def test_missing_image_is_named_and_the_rest_goes_on(fresh, made, kind):
    gone = source_of_frame_6(fresh, made, kind)
    kept = gone.read_bytes()
    gone.unlink()
    steps = muco_temp_steps(fresh, **SMALL | {"cameras": [0], "videos": 1})
    with pytest.raises(StepsFailedError, match=f"{gone.relative_to(fresh)}: missing.*prepare MPI-INF-3DHP"):
        run_steps(fresh, steps)
    assert image_path(fresh, 0, 0, 0).is_file() and not image_path(fresh, 0, 0, 6).exists()
    gone.write_bytes(kept)
    done = run_steps(fresh, steps)
    assert done.done + done.skipped == len(steps) and done.done == 3  # chunk 5 to 9, detections, description
    assert image_path(fresh, 0, 0, 6).read_bytes() == image_path(made, 0, 0, 6).read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not an image or damaged.*truncated"),
        (lambda path: write_image(path, np.zeros((64, 128, 3))), "128 x 64 pixels, 128 x 128 are expected"),
        (lambda path: Image.new("CMYK", (128, 128)).save(path), "found mode CMYK"),
    ],
)
def test_unusable_image_is_named(fresh, made, damage, message):
    path = source_of_frame_6(fresh, made, "FGmasks")
    damage(path)
    with pytest.raises(StepsFailedError, match=f"{path.relative_to(fresh)}: .*{message}"):
        run_steps(fresh, muco_temp_steps(fresh, **SMALL | {"cameras": [0], "videos": 1}))


def test_all_that_is_missing_is_listed_before_any_work(fresh):
    mpi = fresh / "Mpi3DHP"
    for path in (mpi / "S2/Seq1/annot.mat", mpi / "S1/Seq2/camera.calibration", mpi / "S3/Seq1/hrnet/hrnet_01.pkl"):
        path.unlink()
    shutil.rmtree(mpi / "frames/S1/Seq1/FGmasks")
    with pytest.raises(DataError) as caught:
        muco_temp_steps(fresh, **SMALL)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("muco_temp: 5 files are missing")
    assert any("S1/Seq1/FGmasks: img_0_000001.jpg, img_1_000001.jpg" in line for line in lines)
    assert any("S2/Seq1: annot.mat" in line for line in lines)
    assert any("S1/Seq2: camera.calibration" in line for line in lines)
    assert any("S3/Seq1/hrnet: hrnet_01.pkl (detections; or give a detector" in line for line in lines)
    assert "prepare=mpi_inf_3dhp" in lines[-1]
    with pytest.raises(DataError, match="muco_temp: 2 files are missing"):
        muco_temp_steps(fresh, **SMALL | {"images": False, "keypoints": fresh})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed=-1"),
        ({"videos": 8}, "videos=8"),
        ({"frames": 1}, "frames=1"),
        ({"blur_sigma": float("nan")}, "blur_sigma=nan"),
        ({"people": (1, 2)}, r"people=\[1, 2\]"),
        ({"people": (2, 4)}, "from 2 to 3 with 3 subjects"),
        ({"cameras": [11]}, "cameras="),
        ({"subjects": []}, "subjects="),
        ({"detector": ColourDetector(), "images": False}, "images=false leaves the detector nothing"),
        ({"detector": ColourDetector(), "keypoints": "found"}, "not both"),
        ({"keypoints": "nowhere"}, "keypoints=nowhere: no such folder"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        muco_temp_steps(tmp_path, **SMALL | options)


def test_steps_can_go_to_other_processes(mpi):
    for step in muco_temp_steps(mpi, **SMALL, detector=ColourDetector()):
        assert pickle.loads(pickle.dumps(step.run)).func is step.run.func
