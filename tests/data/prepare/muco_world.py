"""A miniature MPI-INF-3DHP in the genuine formats: coloured rectangles for people, with masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data.prepare.muco_clips import Clip
from data.prepare.muco_composition import source_path
from data.sets import writers
from data.sets.muco_temp import MuCoTemp
from fileio.pickle_reader import read_pickle, write_pickle
from pose.cameras import Camera
from pose.joint_sets import COCO_17, MUPOTS_17

SIZE, FRAMES, RAW_FRAMES = 128, 12, 30
SUBJECTS, CAMERAS = (1, 2, 3), (0, 1)
SMALL = {
    "subjects": SUBJECTS,
    "cameras": CAMERAS,
    "frames": FRAMES,
    "videos": 2,
    "image_size": SIZE,
    "chunk": 5,
    "people": (2, 3),
}
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


def expected_image(clips: list[Clip], gt: dict, frame: int) -> np.ndarray:
    """Painted from the annotations, people from the farthest to the nearest."""
    image = np.zeros((SIZE, SIZE, 3))
    depth = gt["annot3"][frame, :, MUPOTS_17.index("hip"), 2]
    for place, person in enumerate(sorted(range(len(clips)), key=lambda p: -depth[p])):
        clip = clips[person]
        raw = clip.first_frame + frame * (2 if clip.recording in FIFTY else 1)
        paint(image, *clip.recording, raw, gt["annot2"][frame, person], background=place == 0)
    return image
