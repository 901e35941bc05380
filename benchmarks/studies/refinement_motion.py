"""What a refinement makes of real motion, in seconds: errors, speed, bones, feet, a stroke, and poses without a camera.

    python -m benchmarks.studies.refinement_motion                     # motion of training subjects: to tune on
    python -m benchmarks.studies.refinement_motion --part test         # of others: to report, never to tune on
    python -m benchmarks.studies.refinement_motion --proportions       # people of other proportions
    python -m benchmarks.studies.refinement_motion --set joint_std_mm=30 rounds=3

Scenes of ../shared/motion before simulated cameras and detectors (benchmarks/studies/error_sources.py), lifted by the
pretrained lifter once and kept in outputs/refinement_motion. Contact: a true ankle below 150 mm/s and within 40 mm of
its lowest. `slide`: how far a refined ankle moves along the floor in a frame of contact; `float`: its height against
the median of all people's ankles in contact, along the true up; `own floor`: over the floor that the refinement found,
of those who stand on it. `wrong >60`: root errors in spans of more than 60 frames in which the detections are those of
the person in front, with simulated errors. The stroke is made up: an arm that swings at 25 m/s² at the wrist, seen with
a score of 0.77, and a prediction that flattens it.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter1d

from benchmarks.studies import error_sources as sources
from benchmarks.studies.error_sources import FPS, LIFTER, MOTION, REPO, ROOT, Clips, Scene, frame_visible
from benchmarks.studies.refinement import option
from benchmarks.studies.refinement_coverage import coverage_counts
from data.synthetic.detections import autoregressive
from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence
from refinement.refiner import Refiner

CONFORMANCE = REPO / "tests" / "golden" / "conformance"
CACHE = REPO / "outputs" / "refinement_motion"
ANKLES = [MUPOTS_17.index(f"{side}_ankle") for side in ("left", "right")]
_ARM = [MUPOTS_17.index(f"right_{joint}") for joint in ("shoulder", "elbow", "wrist")]
CONTACT_MM_S, CONTACT_MM = 150.0, 40.0
PUBLISHED = (
    {},
    {"pose_loss": "gm"},
    {"pose_loss": "capped_l2_euc_err"},
    {"l2_cap": 0.01},
    {"smooth_visibility": False},
)


@dataclass(frozen=True, eq=False)
class Material:
    """truth and lifted: scenes; ups (scenes, 3): up in each camera's coordinates."""

    truth: list[Scene]
    lifted: list[Scene]
    ups: np.ndarray


def material(part: str, lifter: str, count: int = 10, seed: int = 0, proportions: bool = False) -> Material:
    """Scenes of the motion of `train` or `test` subjects, lifted; from the cache where they are there."""
    name = f"{part}-{lifter.replace(':', '-').replace('/', '-')}-{count}-{seed}"
    file = CACHE / f"{name}{'-proportions' * proportions}.pkl"
    if not file.exists():
        motions = sources.motion_clips(part)
        truth = sources.make_scenes(OtherBodies(motions) if proportions else motions, count, seed, 300)
        lifted = sources.lifter_errors(truth, lifter)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps((truth, lifted)))
    truth, lifted = pickle.loads(file.read_bytes())  # written by this function
    ups = [sources.scene_view(np.random.default_rng((seed, i))).rotation @ [0.0, 1.0, 0.0] for i in range(count)]
    return Material(truth, lifted, np.array(ups))


@dataclass(frozen=True, eq=False)
class OtherBodies:
    """The same motions of people whose legs, trunk, arms and head are each longer or shorter by 8 % (std)."""

    motions: Clips

    def __call__(self, people: int, frames: int, rng: np.random.Generator) -> list[np.ndarray]:
        return [_stretched(motion, rng) for motion in self.motions(people, frames, rng)]


def _stretched(motion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other bone lengths at the same stature, (T, 17, 3); the way of the feet on the floor grows with the legs."""
    stretch = np.exp(rng.normal(0, 0.08, 4))
    legs, trunk, arms, head = stretch / (stretch @ [0.51, 0.32, 0.0, 0.17])  # of the stature
    grown = motion * legs
    parts = {"spine": trunk, "neck": trunk, "shoulder": trunk, "elbow": arms, "wrist": arms, "head": head}
    order = [ROOT]
    for joint in order:  # grows while it is walked
        order += [child for child, parent in enumerate(MUPOTS_17.parents) if parent == joint and child != joint]
    for joint in order[1:]:
        parent = MUPOTS_17.parents[joint]
        kind = MUPOTS_17.names[joint].removeprefix("left_").removeprefix("right_").removesuffix("_top")
        grown[:, joint] = grown[:, parent] + (motion[:, joint] - motion[:, parent]) * parts.get(kind, legs)
    return grown


def _numpy(sequence: PoseSequence) -> np.ndarray:
    return sequence.require("poses_3d").double().numpy()


def scene_figures(made: Material, method: Refiner) -> dict[str, float]:
    """All figures on lifted scenes."""
    sums: dict[str, list[np.ndarray]] = {}
    coverage: Any = 0
    result = method([person for scene in made.lifted for person in scene])
    refined = iter(result.sequences)
    floors = iter(result.ground or [None] * len(result.sequences))
    for truth, up in zip(made.truth, made.ups, strict=True):
        heights = []
        for true in truth:
            guess = next(refined)
            a, b, seen = _numpy(guess), _numpy(true), frame_visible(true).numpy()
            good = true.annotated.numpy()
            error = a - b
            relative = np.linalg.norm(error - error[:, [ROOT]], axis=-1).mean(1)
            root = np.linalg.norm(error[:, ROOT], axis=-1)
            hidden = occluded_over(seen, 60) & good
            values = {
                "mrpe vis": root[seen & good], "mrpe occ": root[~seen & good], "mrpe >60": root[hidden],
                "mpjpe vis": relative[seen & good], "mpjpe occ": relative[~seen & good], "mpjpe >60": relative[hidden],
            }  # fmt: skip
            both = np.convolve(~(seen & good), np.ones(3), "valid") == 0
            ra, rb = a - a[:, [ROOT]], b - b[:, [ROOT]]
            values["acc"] = np.linalg.norm(np.diff(ra - rb, 2, axis=0), axis=-1).mean(1)[both] * FPS**2 / 1000
            values["_speed"] = np.linalg.norm(np.diff(ra, axis=0), axis=-1)[1:][both].ravel()
            values["_true_speed"] = np.linalg.norm(np.diff(rb, axis=0), axis=-1)[1:][both].ravel()
            parents = list(MUPOTS_17.parents)
            bones = np.delete(np.linalg.norm(a - a[:, parents], axis=-1), ROOT, axis=1)
            values["bone sd"] = bones.std(0) / bones.mean(0) * 100
            feet, own = b[:, ANKLES] @ up, a[:, ANKLES] @ up
            world = next(floors)
            touch = contact(b[:, ANKLES], feet) & (seen & good)[:, None]
            step = np.diff(a[:, ANKLES], axis=0)
            along = np.linalg.norm(step - (step @ up)[..., None] * up, axis=-1)
            values["slide"] = along[touch[1:] & touch[:-1]]
            heights.append(own[touch])
            if world is not None:
                values["own floor"] = np.abs(a[:, ANKLES] @ world.axes[2] - world.floor_mm)[touch]
            for key, value in values.items():
                sums.setdefault(key, []).append(value)
            if guess.std_mm is not None:
                coverage = coverage + coverage_counts([true], [guess])
        feet = np.concatenate(heights)
        sums.setdefault("float", []).append(np.abs(feet - np.median(feet)) if len(feet) else feet)
    table = {
        key: float(np.concatenate(parts).mean())
        for key, parts in sums.items()
        if key[0] != "_" and sum(map(np.size, parts))
    }
    speeds = [np.percentile(np.concatenate(sums[key]), 95) for key in ("_speed", "_true_speed")]
    table["p95 speed"] = float(speeds[0] / speeds[1])
    if np.ndim(coverage):
        number, one, two = coverage.sum(axis=(0, 1))
        table["in 1 std"], table["in 2 std"] = 100 * one / number, 100 * two / number
    table["ms/100"] = 1e5 * result.seconds / sum(map(len, result.sequences))
    return table


def occluded_over(seen: np.ndarray, frames: int) -> np.ndarray:
    """(T,) bool: in a stretch of more than so many frames that are not seen."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~seen, [0]])))
    found = np.zeros(len(seen), dtype=bool)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        found[start:end] = end - start > frames
    return found


def contact(points: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(T, 2) bool: true ankles (T, 2, 3) of these heights that rest on the floor."""
    speed = np.linalg.norm(np.gradient(points, axis=0), axis=-1) * FPS
    return (speed < CONTACT_MM_S) & (heights < np.percentile(heights, 5) + CONTACT_MM)


def wrong_mm(truth: list[Scene], method: Refiner, seed: int = 0, frames: int = 60) -> float:
    """Root error in spans of more than so many frames in which the detections are another person's, simulated."""
    predicted = sources.simulated_errors(truth, "wrong", seed)
    refined = iter(method([person for scene in predicted for person in scene]).sequences)
    errors = [np.zeros(0)]
    for true, guess in ((t, g) for scenes in zip(truth, predicted, strict=True) for t, g in zip(*scenes, strict=True)):
        own = (guess.keypoints_2d == true.keypoints_2d).flatten(1).all(1).numpy()
        off = np.linalg.norm(_numpy(next(refined))[:, ROOT] - _numpy(true)[:, ROOT], axis=-1)
        errors.append(off[occluded_over(own, frames) & true.annotated.numpy()])
    return float(np.concatenate(errors).mean())


# --- a made-up stroke ------------------------------------------------------------------------------------------------


def stroke(clip: np.ndarray, seed: int = 0) -> tuple[PoseSequence, slice]:
    """A person who stands, and in the frames of the slice swings the arm; with a prediction that flattens the swing."""
    rng = np.random.default_rng(seed)
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    standing = clip[:1].repeat(120, axis=0).astype(float)
    standing[..., 1:] *= -1
    poses = standing - standing[:, [ROOT]] + [0.0, 0.0, 4000.0]
    reach = np.linalg.norm(poses[0, _ARM[1]] - poses[0, _ARM[0]]) + np.linalg.norm(
        poses[0, _ARM[2]] - poses[0, _ARM[1]]
    )
    # A rotation of the straight arm along a minimum-jerk curve, whose highest acceleration is 5.77 angle / duration².
    angle, first, frames = 2.6, 50, int(np.ceil(FPS * np.sqrt(5.77 * 2.6 * reach / 25000)))
    s = np.clip((np.arange(120) - first) / frames, 0, 1)
    turned = -1.3 + angle * (10 * s**3 - 15 * s**4 + 6 * s**5)
    direction = np.stack([np.sin(turned), 0.5 * np.cos(turned), -0.87 * np.cos(turned)], axis=1)
    for joint, parent in zip(_ARM[1:], _ARM[:-1], strict=True):
        bone = np.linalg.norm(clip[0, joint] - clip[0, parent])
        poses[:, joint] = poses[:, parent] + bone * direction
    points = camera.project(torch.from_numpy(poses)).numpy()
    keypoints, scores = np.zeros((120, 19, 2)), np.full((120, 19), 0.9)
    for joint, name in enumerate(COCO_19.names):
        keypoints[:, joint] = points[:, MUPOTS_17.index(name if name in MUPOTS_17.names else "head")]
    keypoints += rng.normal(0, 2.0, keypoints.shape)
    scores[:, COCO_19.index("right_wrist")] = 0.77
    lifted = gaussian_filter1d(poses, 6.0, axis=0) + 25 * autoregressive(poses.shape, 0, 0.3 * FPS, rng)
    lifted[:, ROOT] = poses[:, ROOT]
    person = PoseSequence(
        "stroke", 0, camera, FPS, torch.from_numpy(keypoints).float(), torch.from_numpy(scores).float(),
        torch.ones(120, dtype=torch.bool), torch.from_numpy(lifted).float(), coordinates="normal",
        annotation_2d=torch.from_numpy(points).float(),
    )  # fmt: skip
    return person, slice(first, first + frames + 1)


def stroke_mm(method: Refiner) -> float:
    """The farthest that the refined wrist lies beside its keypoint in the stroke, mm at its depth; mean of five."""
    clips = np.load(MOTION / "train.npz")
    names = [name for name in clips.files if name.startswith("reactidle")] or [n for n in clips.files if n != "fps"]
    farthest = []
    for seed, name in enumerate(names[:5]):
        person, frames = stroke(clips[name], seed)
        (refined,) = method([person]).sequences
        assert person.annotation_2d is not None and person.camera is not None
        wrist = refined.require("poses_3d")[frames, _ARM[2]]
        beside = (person.camera.project(wrist) - person.annotation_2d[frames, _ARM[2]]).norm(dim=-1)
        farthest.append(float((beside * wrist[:, 2] / person.camera.fx).max()))
    return float(np.mean(farthest))


def all_figures(made: Material, method: Refiner) -> dict[str, float]:
    """Those of scenes, of wrong detections and of the stroke."""
    return scene_figures(made, method) | {"wrong >60": wrong_mm(made.truth, method), "stroke": stroke_mm(method)}


# --- poses and scores alone ------------------------------------------------------------------------------------------


def noisy_sets(count: int = 20) -> list[list[tuple[PoseSequence, PoseSequence]]]:
    """Sets of (truth, prediction) in the manner of the conformance material's noisy_pred: a constant error of the root,
    and white noise on everything that grows as scores fall. Motion of training subjects; only scores are kept."""
    from data.sets.mupots_3d import MuPoTS3D

    people = MuPoTS3D(CONFORMANCE / "MuPoTS", fps=30).sequences("normal")
    sets = []
    for seed in range(count):
        rng = np.random.default_rng(7000 + seed)
        pairs = []
        for person in people:
            truth = _numpy(person)
            score = person.confidence.mean(1).double().numpy() * person.detected.numpy()
            grown = np.interp(score, [0.0, 0.45, 0.7, 0.85, 1.0], [9.0, 3.0, 1.5, 1.0, 0.9])[:, None]
            root = rng.normal(0, [30.0, 30.0, 98.0]) + 18 * grown * rng.standard_normal((len(truth), 3))
            relative = 20 * grown[..., None] * rng.standard_normal(truth.shape)
            relative[:, ROOT] = 0
            noisy = torch.from_numpy(truth + root[:, None] + relative).float()
            pairs.append((person, dataclasses.replace(person, camera=None).with_poses(noisy, "normal")))
        sets.append(pairs)
    return sets


def set_errors(pairs: list[tuple[PoseSequence, PoseSequence]], method: Refiner) -> np.ndarray:
    """(MRPE, MPJPE) over all annotated frames."""
    refined = method([noisy for _, noisy in pairs]).sequences
    errors = []
    for (truth, _), guess in zip(pairs, refined, strict=True):
        error = (_numpy(guess) - _numpy(truth))[truth.annotated.numpy()]
        relative = np.linalg.norm(error - error[:, [ROOT]], axis=-1).mean(1)
        errors.append(np.stack([np.linalg.norm(error[:, ROOT], axis=-1), relative], axis=1))
    return np.concatenate(errors).mean(0)


def set_figures(sets: list[list[tuple[PoseSequence, PoseSequence]]], method: Refiner, published: np.ndarray) -> str:
    """published (sets, 2): the lowest error of any published energy."""
    plain = np.array([set_errors(pairs, option("none")) for pairs in sets])
    own = np.array([set_errors(pairs, method) for pairs in sets])
    below = (own < published).sum(0)
    worst = (100 * (own / plain - 1)).max(0)
    return (
        f"scores only, {len(sets)} sets: MRPE {plain[:, 0].mean():.1f} plain, {published[:, 0].mean():.1f} published, "
        f"{own[:, 0].mean():.1f} refined (below in {below[0]}, worst {worst[0]:+.1f} % of plain); MPJPE "
        f"{plain[:, 1].mean():.1f}, {published[:, 1].mean():.1f}, {own[:, 1].mean():.1f} (below in {below[1]})"
    )


def lowest_published(sets: list[list[tuple[PoseSequence, PoseSequence]]]) -> np.ndarray:
    """(sets, 2): the lowest MRPE and MPJPE of any published energy, from the cache where they are there."""
    file = CACHE / f"published-{len(sets)}.npy"
    if not file.exists():
        energies = [option("energy_fast", **keys) for keys in PUBLISHED]
        found = np.array([[set_errors(pairs, energy) for energy in energies] for pairs in sets])
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, found.min(1))
    return np.load(file)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("train", "test"), default="train")
    parser.add_argument("--lifter", default=LIFTER)
    parser.add_argument("--options", nargs="+", default=["occlusion"], help="refinements to print; none for lifted")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="keys of refinement=occlusion")
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument("--proportions", action="store_true", help="people of other proportions")
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    torch.set_num_threads(1)
    changes: Any = OmegaConf.to_container(OmegaConf.from_dotlist(arguments.set))
    made = material(arguments.part, arguments.lifter, arguments.scenes, arguments.seed, arguments.proportions)
    sets = noisy_sets() if CONFORMANCE.is_dir() else []
    for name in arguments.options:
        method = option(name, **(changes if name == "occlusion" else {}))
        method(made.lifted[0][:1])  # what is imported late is imported now
        figures = all_figures(made, method)
        print(f"{name:10s} " + "  ".join(f"{key} {value:.3g}" for key, value in figures.items()), flush=True)
        if sets:
            print(set_figures(sets, method, lowest_published(sets)), flush=True)


if __name__ == "__main__":
    main()
