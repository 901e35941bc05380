"""Scenes with known truth and predictions with known kinds of errors: what refinements are tuned and judged on.

    clips = motion_clips("test")                        # or procedural_motions, which need no files
    scenes = make_scenes(clips, count=12, seed=0)       # list of scenes, each a list of PoseSequence with the truth
    predicted = lifter_errors(scenes)                   # the same people with predicted poses_3d
    predicted = simulated_errors(scenes, "scale", seed=0)

A scene is made by data/synthetic: several people placed so that they pass in front of each other, their detections and
what hides them. Everything follows from the seeds. The truth is in the scenes and the prediction in the same place of
the list that comes back, so the two are compared pairwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from data.synthetic.bodies import random_body
from data.synthetic.detections import autoregressive
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import SeenPerson, View, compose_scene, look_at, render_scene
from pose.cameras import Camera
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

REPO = Path(__file__).resolve().parents[2]
MOTION = REPO.parent / "shared" / "motion"
LIFTER = "builtin:mocap_normal"

FPS = 30.0
ROOT = MUPOTS_17.index("hip")

#: Shorter clips are left out.
LEAST_FRAMES = 150

#: (people, frames, generator) -> that many motions of one common length, each (T, 17, 3) mm, world, y up.
Motions = Callable[[int, int, np.random.Generator], list[np.ndarray]]
Scene = list[PoseSequence]


# --- motions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Clips:
    """Motion capture: a random part of a random clip for each person, turned left to right half of the time.

    clips: name -> (T, 17, 3) mm. Long clips are drawn more often; a scene is cut to the shortest clip in it.
    """

    clips: dict[str, np.ndarray]

    def __call__(self, people: int, frames: int, rng: np.random.Generator) -> list[np.ndarray]:
        names = list(self.clips)
        lengths = np.array([len(self.clips[name]) for name in names], dtype=float)
        chosen = [self.clips[str(name)] for name in rng.choice(names, people, p=lengths / lengths.sum())]
        frames = min(frames, *map(len, chosen))
        parts = []
        for clip in chosen:
            start = int(rng.integers(len(clip) - frames + 1))
            part = clip[start : start + frames].astype(float)
            if rng.uniform() < 0.5:
                part = part[:, list(MUPOTS_17.flip)] * [-1, 1, 1]
            parts.append(part * rng.uniform(0.92, 1.08))
        return parts


def motion_clips(part: str) -> Clips:
    """The clips beside the checkout of the people that the pretrained lifter is trained on, `train`, or of others,
    `test`; DataError where they are not there."""
    source = MOTION / f"{part}.npz"
    if not source.is_file():
        raise DataError(f"{source}: no such file; put the motion beside the checkout")
    with np.load(source) as clips:
        return Clips({name: clips[name] for name in clips.files if name != "fps" and len(clips[name]) >= LEAST_FRAMES})


def procedural_motions(people: int, frames: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Synthetic motions: nearly all people walk, the one in front walks across."""
    kinds = ["mixed"] + [str(rng.choice(("cross", "walk", "mixed"))) for _ in range(people - 1)]
    return [procedural_motion(kind, frames, FPS, random_body(rng), rng) for kind in kinds]


# --- scenes ----------------------------------------------------------------------------------------------------------


def make_scenes(motions: Motions, count: int, seed: int, frames: int = 300) -> list[Scene]:
    """`count` scenes of 2 to 4 people: truth, detections, and `annotated` where a person is in the image.

    The people of scene i are named "{seed}-{i}" / 0, 1, ... Scene i is the same whatever `count` is.
    """
    return [_scene(motions, f"{seed}-{i}", np.random.default_rng((seed, i)), frames) for i in range(count)]


def scene_view(rng: np.random.Generator) -> View:
    """The camera of a scene, by the generator's first draws: scene i of make_scenes has default_rng((seed, i))."""
    focal = rng.uniform(1300, 1700)
    width, height = ((2048, 2048), (1920, 1080))[int(rng.integers(2))]
    camera = Camera(focal, focal, width / 2 + rng.normal(0, 10), height / 2 + rng.normal(0, 10), width, height)
    return look_at(camera, np.array([0, rng.uniform(700, 2200), 0]), np.array([0, 1050.0, 4500.0]))


def _scene(motions: Motions, name: str, rng: np.random.Generator, frames: int) -> Scene:
    view = scene_view(rng)
    people = motions(int(rng.choice((2, 3, 4), p=(0.35, 0.4, 0.25))), frames, rng)
    seen = render_scene(compose_scene(people, view, rng), view, FPS, rng)
    return [_sequence(name, i, view.camera, person) for i, person in enumerate(seen)]


def _sequence(name: str, person: int, camera: Camera, seen: SeenPerson) -> PoseSequence:
    detection = torch.from_numpy(seen.detection)
    return PoseSequence(
        sequence=name,
        person=person,
        camera=camera,
        fps=FPS,
        keypoints_2d=detection[..., :2].contiguous(),
        confidence=detection[..., 2].contiguous(),
        detected=torch.from_numpy(seen.detected),
        poses_3d=torch.from_numpy(seen.annotation_3d).float(),
        annotation_2d=torch.from_numpy(seen.annotation_2d).float(),
        annotated=torch.from_numpy(seen.in_image),
        visible=torch.from_numpy(seen.visible),
        coordinates="normal",
    )


def frame_visible(sequence: PoseSequence) -> Tensor:
    """(T,) bool: the person is detected and at least half of the joints are in sight. The others count as occluded."""
    return sequence.detected & (sequence.visible.float().mean(1) >= 0.5)


# --- simulated errors ------------------------------------------------------------------------------------------------

SIMULATED = {
    "clean": "simulated noise, larger where the scores are low",
    "wrong": "the same, and in some occlusions the person in front with that person's confident scores",
    "scale": "the same, and each skeleton too large or too small and as much too far or too near",
}


def simulated_errors(scenes: list[Scene], kind: str, seed: int) -> list[Scene]:
    """The scenes with predictions made of the truth plus noise of a `kind` of SIMULATED.

    Root: errors along the viewing ray (relative) and across it; other joints: relative to the root. All last for a
    while; all grow where the detector's scores sink.
    """
    return [_simulated(scene, kind, np.random.default_rng((seed, i, 1))) for i, scene in enumerate(scenes)]


def _simulated(scene: Scene, kind: str, rng: np.random.Generator) -> Scene:
    predicted = []
    for person, truth in enumerate(scene):
        source = truth
        if kind == "wrong":
            source = _confused(scene, person, rng)
        poses = _noisy(source, rng)
        if kind == "scale":
            wander = autoregressive((len(truth),), 0, 2 * FPS, rng)
            poses = poses * np.exp(rng.normal(0, 0.08) + 0.04 * wander)[:, None, None]
        predicted.append(source.with_poses(torch.from_numpy(poses).float(), "normal"))
    return predicted


def _noisy(sequence: PoseSequence, rng: np.random.Generator) -> np.ndarray:
    poses = sequence.require("poses_3d").double().numpy()
    frames = len(poses)
    score = gaussian_filter1d(sequence.confidence.mean(1).double().numpy(), 2.0, mode="nearest")
    hidden = np.clip((0.8 - score) / 0.6, 0, 1)[:, None]
    depth = 0.015 * autoregressive((frames, 1), 0, FPS, rng) + 0.2 * hidden * autoregressive((frames, 1), 0, FPS, rng)
    across = 0.004 * autoregressive((frames, 2), 0, 0.3 * FPS, rng)
    across += 0.06 * hidden * autoregressive((frames, 2), 0, 0.5 * FPS, rng)
    root = poses[:, ROOT] * np.exp(depth)
    root[:, :2] += across * root[:, 2:]
    shape = poses.shape
    relative = poses - poses[:, ROOT, None]
    relative += 30 * autoregressive(shape, 0, 0.3 * FPS, rng) + 10 * rng.standard_normal(shape)
    relative += 170 * hidden[..., None] * autoregressive(shape, 0, 0.4 * FPS, rng)
    relative[:, ROOT] = 0
    return root[:, None] + relative


def _confused(scene: Scene, person: int, rng: np.random.Generator) -> PoseSequence:
    """The person, who in half of the occlusions is taken for the nearer person closest in the image."""
    own = scene[person]
    poses, keypoints_2d = own.require("poses_3d").clone(), own.keypoints_2d.clone()
    confidence, detected = own.confidence.clone(), own.detected.clone()
    hidden = ~frame_visible(own)
    edges = torch.diff(hidden.int(), prepend=torch.zeros(1), append=torch.zeros(1)).nonzero()[:, 0].tolist()
    hips = torch.stack([s.annotation_2d[:, ROOT] for s in scene if s.annotation_2d is not None])
    depths = torch.stack([s.require("poses_3d")[:, ROOT, 2] for s in scene])
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        middle = (start + end) // 2
        apart = (hips[:, middle] - hips[person, middle]).norm(dim=-1)
        apart[depths[:, middle] >= depths[person, middle]] = torch.inf
        other = int(apart.argmin())
        if not bool(apart[other].isfinite()) or rng.uniform() < 0.5:
            continue
        span = slice(start, end)
        poses[span], keypoints_2d[span] = scene[other].require("poses_3d")[span], scene[other].keypoints_2d[span]
        confidence[span], detected[span] = scene[other].confidence[span], scene[other].detected[span]
    return dataclasses.replace(own, poses_3d=poses, keypoints_2d=keypoints_2d, confidence=confidence, detected=detected)


# --- a real lifter's errors ------------------------------------------------------------------------------------------


def lifter_errors(scenes: list[Scene], lifter: str = LIFTER) -> list[Scene]:
    """The scenes with what a lifter predicts from their detections."""
    from inference.lifting import lift_upright
    from lightning_modules.checkpoint import load_lifter

    loaded = load_lifter(lifter)
    return [lift_upright(loaded, scene) for scene in scenes]
