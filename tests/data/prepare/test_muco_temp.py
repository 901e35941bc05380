"""MuCo-Temp made of a miniature MPI-INF-3DHP: coloured rectangles for people, with masks, in the genuine formats."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter1d, maximum_filter, minimum_filter

from data.prepare.muco_clips import Clip, choose_clips, clip_annotations, recordings_of
from data.prepare.muco_composition import back_to_front, paste, read_mask, source_path
from data.prepare.muco_detections import HIDDEN_SCORE, hidden_by_capsules, with_hidden
from data.prepare.muco_temp import muco_temp_steps
from data.prepare.steps import StepsFailedError, run_steps
from data.sets import writers
from data.sets.muco_temp import MuCoTemp
from fileio.pickle_reader import read_pickle, write_pickle
from pose.cameras import Camera
from pose.errors import ConfigError, DataError
from pose.joint_sets import COCO_17, MUPOTS_17, MUPOTS_17_OF_MPI_28

SIZE, FRAMES, RAW_FRAMES = 128, 12, 30
SUBJECTS, CAMERAS = (1, 2, 3), (0, 1)
SMALL = {"subjects": SUBJECTS, "cameras": CAMERAS, "frames": FRAMES, "videos": 2, "image_size": SIZE, "chunk": 5}
SMALL["people"] = (2, 3)
FIFTY = {(1, 2), (3, 1), (3, 2)}

_UP = {"head_top": 1750, "head": 1600, "neck": 1450, "spine": 1200, "hip": 950}
_UP |= {"shoulder": 1420, "elbow": 1150, "wrist": 900, "knee": 500, "ankle": 80}
_SIDE = {"shoulder": 180, "elbow": 220, "wrist": 240, "hip": 100, "knee": 110, "ankle": 120}


def standing() -> np.ndarray:
    """A standing person facing the camera, hip at the origin: (17, 3) mm, y down."""
    joints = []
    for name in MUPOTS_17.names:
        side, _, part = name.rpartition("_") if name != "head_top" else ("", "", name)
        x = {"left": 1, "right": -1, "": 0}[side] * _SIDE.get(part, 0)
        joints.append((x, 950 - _UP[part], 0))
    return np.array(joints, dtype=float)


def camera_of(subject: int, sequence: int, camera: int) -> Camera:
    return Camera(108 + subject, 108 + subject, 64 + sequence, 60 + camera, 2048, 2048)


def motion(subject: int, sequence: int, camera: int, frames: int) -> np.ndarray:
    """(T, 17, 3): walking to and fro, each subject at a depth of its own, another one for each camera."""
    seconds = np.arange(frames) / (50 if (subject, sequence) in FIFTY else 25)
    hips = np.zeros((frames, 3))
    hips[:, 0] = 900 * np.sin(12 * seconds + 2 * subject + sequence)
    hips[:, 2] = 3000 + 700 * ((subject + camera) % 3)
    return hips[:, None] + standing()


def box(annot2: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the rectangle that stands for a person."""
    low, high = np.rint(annot2.min(0)).astype(int) - 4, np.rint(annot2.max(0)).astype(int) + 4
    low, high = np.clip(low, 0, SIZE), np.clip(high, 0, SIZE)
    return slice(low[1], high[1]), slice(low[0], high[0])


#: Of each COCO-17 keypoint the joint that it lies on here.
COCO_IN_MUPOTS = [MUPOTS_17.index(name if name in MUPOTS_17.names else "head") for name in COCO_17.names]

CHAIR = slice(100, 116), slice(8, 28)


def colours(subject: int, sequence: int, frame: int) -> tuple[np.ndarray, ...]:
    """Of the background, the person and the chair; the person's tells who and when."""
    return (
        np.array([30, 60, 40 * subject]),
        np.array([70 * subject, 8 * frame, 20]),
        np.array([250, 250, 60 * sequence]),
    )


def paint(image: np.ndarray, subject: int, sequence: int, frame: int, annot2: np.ndarray, background: bool) -> None:
    """What a frame of a recording shows: a chair in the second sequences, the person before it."""
    behind, person, chair = colours(subject, sequence, frame)
    if background:
        image[:] = behind
    if sequence == 2:
        image[CHAIR] = chair
    image[box(annot2)] = person


def write_image(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95, subsampling=0)


def write_recording(root: Path, subject: int, sequence: int) -> None:
    folder = root / f"S{subject}" / f"Seq{sequence}"
    (folder / "hrnet").mkdir(parents=True)
    annotated = RAW_FRAMES + ((subject, sequence) == (3, 1))  # the published fault
    cameras = [camera_of(subject, sequence, c) for c in CAMERAS]
    poses = [motion(subject, sequence, c, annotated) for c in CAMERAS]
    pixels = [c.project(torch.from_numpy(p)).numpy() for c, p in zip(cameras, poses, strict=True)]
    all_28 = [writers.mpi_28_joints(p) for p in poses]
    pixels_28 = [c.project(torch.from_numpy(p)).numpy() for c, p in zip(cameras, all_28, strict=True)]
    writers.write_mpi_annotations(folder / "annot.mat", pixels_28, all_28, [1.1 * p for p in all_28])
    here = [np.eye(3)] * len(cameras), [np.zeros(3)] * len(cameras)
    writers.write_calibration(folder / "camera.calibration", cameras, *here)
    for camera in CAMERAS:
        detections = np.zeros((RAW_FRAMES, 19, 3), dtype=np.float32)
        detections[:, :17, :2] = pixels[camera][:RAW_FRAMES, COCO_IN_MUPOTS]
        detections[..., 2] = 0.9
        write_pickle(
            folder / "hrnet" / f"hrnet_{camera:02d}.pkl", {"poses": detections, "is_valid": np.ones(RAW_FRAMES, bool)}
        )
        for frame in range(RAW_FRAMES):
            annot2, clip = pixels[camera][frame], Clip(subject, sequence, 0)
            image, person, chair = np.zeros((3, SIZE, SIZE, 3))
            paint(image, subject, sequence, frame, annot2, background=True)
            person[box(annot2)] = (255, 0, 0)
            chair[..., 0] = 255
            if sequence == 2:
                chair[CHAIR] = 0
                chair[(*box(annot2), 0)] = 255
            for kind, content in (("imageSequence", image), ("FGmasks", person), ("ChairMasks", chair)):
                path = source_path(root, kind, clip, camera, frame)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, content)


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


def content(root: Path) -> dict[str, bytes]:
    files = sorted(path for path in (root / "MucoTemp").rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def videos(root: Path):
    """(camera, video, clips, annotations) of each video."""
    meta = read_pickle(root / "MucoTemp/sequence_meta.pkl")
    for camera in CAMERAS:
        gt = read_pickle(root / "MucoTemp/frames" / f"cam_{camera}" / "gt.pkl")
        for video, people in enumerate(meta[camera]):
            yield camera, video, [Clip(*person) for person in people], gt[video]


def reader(root: Path) -> MuCoTemp:
    return MuCoTemp(root / "MucoTemp", root / "Mpi3DHP", cameras=CAMERAS, videos=range(2))


def image_path(root: Path, camera: int, video: int, frame: int) -> Path:
    return root / "MucoTemp/frames" / f"cam_{camera}" / f"vid_{video}" / f"img_{frame:04d}.jpg"


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


def expected_image(clips: list[Clip], gt: dict, frame: int) -> np.ndarray:
    """Painted from the annotations, people from the farthest to the nearest."""
    image = np.zeros((SIZE, SIZE, 3))
    depth = gt["annot3"][frame, :, MUPOTS_17.index("hip"), 2]
    for place, person in enumerate(sorted(range(len(clips)), key=lambda p: -depth[p])):
        clip = clips[person]
        raw = clip.first_frame + frame * (2 if clip.recording in FIFTY else 1)
        paint(image, *clip.recording, raw, gt["annot2"][frame, person], background=place == 0)
    return image


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
    """Joints within a nearer person's rectangle are scored low; whoever is mostly hidden is not detected."""
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


def test_with_hidden_keeps_places_and_derives_joints():
    keypoints = np.full((1, 2, 17, 3), 0.8)
    keypoints[..., 0] = np.arange(17)
    hidden = np.zeros((1, 2, 17), dtype=bool)
    hidden[0, 0, COCO_17.index("left_hip")] = True
    hidden[0, 1, 5:14] = True  # 9 of the 12
    poses, detected = with_hidden(keypoints, np.ones((1, 2), dtype=bool), hidden)
    assert detected.tolist() == [[True, False]]
    assert poses.dtype == np.float32 and (poses[0, 1] == 0).all()
    assert poses[0, 0, :17, 0].tolist() == list(range(17))
    assert poses[0, 0, 11, 2] == np.float32(HIDDEN_SCORE) and poses[0, 0, 12, 2] == np.float32(0.8)
    assert poses[0, 0, 17, 2] == pytest.approx(2 / (1 / 0.05 + 1 / 0.8), rel=1e-4)  # hip: harmonic mean
    nobody, detected = with_hidden(keypoints, np.zeros((1, 2), dtype=bool), hidden)
    assert not detected.any() and (nobody == 0).all()


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
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "not an image or damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not an image or damaged.*truncated"),
        (lambda path: path.write_bytes(b"nothing"), "not an image or damaged"),
        (lambda path: write_image(path, np.zeros((64, 128, 3))), "128 x 64 pixels, 128 x 128 are expected"),
        (lambda path: Image.new("CMYK", (128, 128)).save(path), "found mode CMYK"),
    ],
)
def test_unusable_image_is_named(fresh, made, damage, message):
    path = source_of_frame_6(fresh, made, "FGmasks")
    damage(path)
    with pytest.raises(StepsFailedError, match=f"{path.relative_to(fresh)}: .*{message}"):
        run_steps(fresh, muco_temp_steps(fresh, **SMALL | {"cameras": [0], "videos": 1}))


def test_corrupt_annotations(fresh):
    path = fresh / "Mpi3DHP/S2/Seq1/annot.mat"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StepsFailedError, match=r"S2/Seq1/annot\.mat: not a MATLAB v5 file or damaged"):
        run_steps(fresh, muco_temp_steps(fresh, **SMALL))


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


def test_camera_that_is_not_annotated(fresh):
    for old in (fresh / "Mpi3DHP").rglob("*_01.pkl"):
        old.rename(old.with_name("hrnet_05.pkl"))
    with pytest.raises(StepsFailedError, match=r"annot2: a cell with the annotations of cameras 0 to 5 is expected"):
        run_steps(fresh, muco_temp_steps(fresh, **SMALL | {"cameras": [5], "images": False}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed=-1"),
        ({"videos": 8}, "videos=8"),
        ({"frames": 1}, "frames=1"),
        ({"frames": 10_001}, "frames=10001"),
        ({"chunk": 0}, "chunk=0"),
        ({"image_size": 0}, "image_size=0"),
        ({"jpeg_quality": 0}, "jpeg_quality=0"),
        ({"blur_sigma": float("nan")}, "blur_sigma=nan"),
        ({"people": (1, 2)}, r"people=\[1, 2\]"),
        ({"people": (3, 2)}, r"people=\[3, 2\]"),
        ({"people": (2, 4)}, "from 2 to 3 with 3 subjects"),
        ({"people": (2,)}, r"people=\[2\]"),
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


# --- the choice of clips, and the faults of the annotations ----------------------------------------------------------


def test_people_keep_apart_and_cross():
    """8 people wander about one spot: clips drawn blindly are often within half a metre of each other."""
    rng = np.random.default_rng(5)
    hips = {}
    for subject in range(1, 9):
        floor = gaussian_filter1d(rng.normal(size=(4000, 2)), 40, axis=0)
        floor *= 600 / floor.std(0)
        hips[subject, 1] = np.stack([floor[:, 0], 0 * floor[:, 0], 3500 + floor[:, 1]], axis=-1)

    def tracks(clips: list[Clip]) -> list[np.ndarray]:
        return [hips[clip.recording][clip.first_frame : clip.first_frame + 500] for clip in clips]

    def share_close(people: list[np.ndarray]) -> float:
        pairs = [(a, b) for i, a in enumerate(people) for b in people[:i]]
        return float(np.any([np.linalg.norm(a - b, axis=-1) < 500 for a, b in pairs], axis=0).mean())

    chosen, blind, crossing = [], [], []
    for seed in range(10):
        clips = choose_clips(hips, 500, (2, 4), np.random.default_rng(seed))
        people = tracks(clips)
        chosen.append(share_close(people))
        blind.append(share_close(tracks([Clip(clip.subject, 1, int(rng.integers(3500))) for clip in clips])))
        order = [np.sign(a[:, 0] / a[:, 2] - b[:, 0] / b[:, 2]) for i, a in enumerate(people) for b in people[:i]]
        crossing.append(any((o[1:] != o[:-1]).any() for o in order))
    assert np.mean(blind) > 0.3
    assert np.mean(chosen) < 0.05
    assert all(crossing)


def test_people_who_cannot_be_kept_apart_are_reported(caplog):
    hips = {(subject, 1): np.full((50, 3), 3000.0) for subject in (1, 2)}
    with caplog.at_level(logging.WARNING):
        choose_clips(hips, 20, (2, 2), np.random.default_rng(0))
    assert "within 500 mm of each other in 100 % of frames" in caplog.text


def test_recordings_that_are_too_short():
    hips = {(s, 1): np.full((n, 3), 3000.0) for s, n in ((1, 20), (2, 19), (3, 39), (5, 38))}
    clips = choose_clips(hips, 20, (2, 2), np.random.default_rng(0))
    assert sorted(clips, key=lambda clip: clip.subject) == [Clip(1, 1, 0), Clip(3, 1, 0)]
    with pytest.raises(DataError, match="2 subjects have a recording of 20 frames at 25 fps, 3 are needed"):
        choose_clips(hips, 20, (2, 3), np.random.default_rng(0))


def test_raw_frames():
    assert list(Clip(1, 1, 7).raw_frames(2, 5)) == [9, 10, 11]
    assert list(Clip(1, 2, 7).raw_frames(2, 5)) == [11, 13, 15]


def test_unusable_recording_is_left_out():
    assert (3, 2) not in recordings_of((1, 3), camera=2) and (3, 2) in recordings_of((1, 3), camera=1)


def test_faults_of_the_annotations_are_repaired(tmp_path):
    rng = np.random.default_rng(0)
    for recording, frames in (((3, 1), 6), ((4, 2), 3762)):
        folder = tmp_path / f"S{recording[0]}/Seq{recording[1]}"
        folder.mkdir(parents=True)
        pixels, poses = rng.normal(size=(frames, 28, 2)), rng.normal(size=(frames, 28, 3))
        writers.write_mpi_annotations(folder / "annot.mat", [pixels], [poses], [poses])
        found = clip_annotations(tmp_path, recording, 0)
        if recording == (3, 1):
            assert len(found["annot2"]) == len(found["annot3"]) == 5
            continue
        expected = pixels[:, list(MUPOTS_17_OF_MPI_28)].astype(np.float32)
        np.testing.assert_array_equal(found["annot2"][:3759], expected[:3759])
        np.testing.assert_array_equal(found["annot2"][3759:], expected[3759:][:, list(MUPOTS_17.flip)])


# --- pasting ---------------------------------------------------------------------------------------------------------


def test_paste():
    canvas = np.zeros((40, 40, 3), dtype=np.uint8)
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:, 20:] = 255
    paste(canvas, np.full_like(canvas, 200), mask, blur_sigma=2)
    row = canvas[20, :, 0].astype(int)
    assert (row[:12] == 0).all() and (row[28:] == 200).all() and (np.diff(row) >= 0).all()
    # half a pixel from the edge the integral of a Gaussian of sigma 2 is 0.401 and 0.599
    assert abs(row[19] - 80) <= 2 and abs(row[20] - 120) <= 2
    hard = np.zeros_like(canvas)
    paste(hard, np.full_like(canvas, 200), mask, blur_sigma=0)
    assert (hard[:, :20] == 0).all() and (hard[:, 20:] == 200).all()
    paste(hard, np.full_like(canvas, 90), np.full_like(mask, 10), blur_sigma=2)  # nothing but noise
    assert (hard[:, 20:] == 200).all()


def test_masks_are_read_smaller_where_that_will_do(tmp_path):
    pixels = np.zeros((512, 512, 3))
    pixels[:, 256:, 0] = 255
    write_image(tmp_path / "mask.jpg", pixels)
    whole, small = read_mask(tmp_path / "mask.jpg", 512), read_mask(tmp_path / "mask.jpg", 512, least=128)
    assert whole.shape == (512, 512) and small.shape == (128, 128)
    assert (small[:, :62] < 20).all() and (small[:, 66:] > 235).all()
