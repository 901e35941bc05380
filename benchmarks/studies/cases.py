"""What `predict` makes of inputs that real detectors and tools write, beside what it made of them in version 0.1:

    python -m benchmarks.studies.cases FOLDER --whole ts1_keypoints.json --truth multiview/truth.npz

FOLDER holds missing_joints/, side_swaps/, frame_numbers/, pose2sim/ and formats/ with small inputs; missing ones are
left out. `--whole` is MuPoTS-3D TS1 as HR-Net saw it, of which two cases are parts; `--truth` the triangulated truth of
the multiview clip, whose camera 2 another case shows. The default lifter, one thread.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.multiview import FOLDER, JOINTS
from data.keypoints import read_detections
from inference.cameras.camera import CameraSettings
from inference.pipeline import Pipeline
from inference.scene import Scene
from pose.errors import PoseError
from pose.joint_sets import COCO_17, MUPOTS_17
from pose.sequence import PoseSequence

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
_HIP = MUPOTS_17.index("hip")
TS1 = CameraSettings(fx=1500.0, image_size=(2048, 2048))
#: Case -> what version 0.1 gave.
BEFORE = {
    "missing_joints/ts1_5pct_missing.json": "126 to 293 mm relative, 445 to 766 mm absolute",
    "missing_joints/ts1_no_right_hip.json": "people at 0.25 to 0.5 m",
    "missing_joints/openpose_bystander.json": "bystander at 2.1 m, 0.66 m tall",
    "side_swaps/one_man_swaps.json": "two people at one place",
    "side_swaps/cam2_mediapipe.json": "348 mm refined, 184 lifted",
    "frame_numbers/dots": "80 frames",
    "pose2sim/nan_rows": "refused",
    "pose2sim/empty_people": "refused",
    "pose2sim/body25b": "read as BODY_25, 374 mm off",
}


def predict(path: Path, camera: CameraSettings, fps: float, people: int | None = None) -> Scene:
    return Pipeline(camera=camera, fps=fps, people=people).run(path).scene


def distances(whole: Scene, part: Scene) -> list[tuple[float, float]]:
    """Mean distance of each person of `whole` from the same person of `part`, mm: absolute, relative to the hip."""
    found = []
    for person in whole.people:
        other = min(part.people, key=lambda one: _apart_px(person, one))
        _, mine, theirs = np.intersect1d(person.frame, other.frame, return_indices=True)
        a, b = person.require("poses_3d")[mine], other.require("poses_3d")[theirs]
        relative = (a - a[:, [_HIP]]) - (b - b[:, [_HIP]])
        found.append((float((a - b).norm(dim=-1).mean()), float(relative.norm(dim=-1).mean())))
    return found


def _apart_px(a: PoseSequence, b: PoseSequence) -> float:
    """Median distance of the joints that both saw; infinite where they share no frame."""
    _, mine, theirs = np.intersect1d(a.frame, b.frame, return_indices=True)
    both = (a.confidence[mine] > 0) & (b.confidence[theirs] > 0)
    apart = (a.keypoints_2d[mine] - b.keypoints_2d[theirs]).norm(dim=-1)[both]
    return float(apart.median()) if len(apart) else float("inf")


def against_truth(scene: Scene, truth: dict[str, np.ndarray], camera: int) -> tuple[float, float, float]:
    """MPJPE in mm of the only person, refined and lifted, over the joints common to COCO-17 and MuPoTS-17; and how much
    of the first 40 frames counts as observed."""
    (person,) = scene.people
    extrinsics = truth["extrinsics"][camera]
    world = truth["poses_3d_world"][:, 0][:, [COCO_17.index(name) for name in JOINTS]]
    target = (world @ extrinsics[:, :3].T + extrinsics[:, 3])[person.frame.numpy()]
    ours = [MUPOTS_17.index(name) for name in JOINTS]
    hips = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]
    errors = {}
    for key in ("lifted_3d", "poses_3d"):
        poses = person.require(key)[:, ours].numpy()
        relative = (poses - poses[:, hips].mean(1, keepdims=True)) - (target - target[:, hips].mean(1, keepdims=True))
        errors[key] = float(np.nanmean(np.linalg.norm(relative, axis=-1)))
    early = float(person.require("observed")[person.frame < 40].float().mean())
    return errors["poses_3d"], errors["lifted_3d"], early


def figures(folder: Path, whole: Path, truth_file: Path) -> Iterator[tuple[str, str]]:
    """Case and figure, one after the other."""
    everybody = predict(whole, TS1, 30, 3)
    for name in ("ts1_5pct_missing", "ts1_no_right_hip"):
        path = folder / "missing_joints" / f"{name}.json"
        if path.exists():
            part = predict(path, TS1, 30, 3)
            far = ", ".join(f"{relative:.0f} / {absolute:.0f}" for absolute, relative in distances(everybody, part))
            depth = ", ".join(f"{float(person.root[:, 2].median()) / 1000:.1f}" for person in part.people)
            yield f"missing_joints/{name}.json", f"relative / absolute mm: {far}; people at {depth} m"
    path = folder / "missing_joints" / "openpose_bystander.json"
    if path.exists():
        scene = predict(path, CameraSettings(image_size=(1080, 1920)), 60)
        neck, *ankles = (MUPOTS_17.index(name) for name in ("neck", "left_ankle", "right_ankle"))
        for person in scene.people:
            poses = person.require("poses_3d")
            tall = float((poses[:, neck] - poses[:, ankles].mean(1)).norm(dim=-1).median()) / 1000
            far = float(person.root[:, 2].median()) / 1000
            yield "missing_joints/openpose_bystander.json", f"person {person.person} at {far:.1f} m, {tall:.2f} m tall"
    path = folder / "side_swaps" / "one_man_swaps.json"
    if path.exists():
        scene = predict(path, CameraSettings(image_size=(640, 360)), 30)
        yield "side_swaps/one_man_swaps.json", f"{len(scene.people)} person"
    path = folder / "side_swaps" / "cam2_mediapipe.json"
    if path.exists():
        truth = dict(np.load(truth_file))
        K = truth["K"][1]
        camera = CameraSettings(K[0, 0], K[1, 1], K[0, 2], K[1, 2], image_size=(1088, 1920))
        refined, lifted, early = against_truth(predict(path, camera, 60), truth, 1)
        figure = f"{refined:.0f} mm refined, {lifted:.0f} lifted, frames 0 to 39 {early:.0%} observed"
        yield "side_swaps/cam2_mediapipe.json", figure
    others = [
        folder / name
        for name in ("frame_numbers/dots", *(f"pose2sim/{n}" for n in ("nan_rows", "empty_people", "body25b")))
    ]
    others += sorted((folder / "formats").iterdir()) if (folder / "formats").is_dir() else []
    for path in filter(Path.exists, others):
        try:
            found = read_detections(path, image_size=(2048, 2048))
            yield str(path.relative_to(folder)), f"read: {len(found)} detections in {found.n_frames} frames"
        except PoseError as error:
            yield str(path.relative_to(folder)), f"refused: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--whole", type=Path, default=GOLDEN / "detections" / "ts1_keypoints.json")
    parser.add_argument("--truth", type=Path, default=FOLDER / "truth.npz")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    torch.set_num_threads(1)
    print("| case | now | version 0.1 |\n|---|---|---|")
    for case, figure in figures(arguments.folder, arguments.whole, arguments.truth):
        print(f"| {case} | {figure} | {BEFORE.get(case, 'refused or misread')} |", flush=True)


if __name__ == "__main__":
    main()
