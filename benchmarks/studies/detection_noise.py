"""The simulated detectors beside real ones: scores, errors, jitter, how long they last, misses (docs/datasets.md).

`python -m benchmarks.studies.detection_noise` prints the table and draws docs/images/detection_noise.png. Real: HR-Net
on MuPoTS-3D TS1 (scores and jitter, no truth) and MoveNet on four calibrated views (errors too), from tests/golden.
Simulated: `data.mocap.scenes.detector(0)` and `(1)` on procedural motion in comparable scenes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.multiview import FOLDER
from data.keypoints.keypoints_json import read_keypoints_json
from data.mocap.scenes import detector
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import compose_scene, look_at, render_scene
from pose.cameras import Camera
from pose.joint_sets import COCO_17, MUPOTS_17

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
FIGURE = Path("docs/images/detection_noise.png")
BODY = slice(5, 17)
HEIGHT_MM = 1700.0
SCORE_BINS = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.01])


@dataclass(frozen=True, eq=False)
class Sample:
    """Detections of the twelve body joints: tracks of (T, 12, 3) x, y, score, NaN where missed; heights (T,) in px.

    errors: of each track (T, 12, 2) px, NaN where unknown; None if there is no truth.
    """

    name: str
    fps: float
    tracks: list[np.ndarray]
    heights: list[np.ndarray]
    errors: list[np.ndarray] | None

    @property
    def scores(self) -> np.ndarray:
        return np.concatenate([track[..., 2].ravel() for track in self.tracks])

    @property
    def relative_errors(self) -> np.ndarray:
        """Lengths of the errors as parts of the person's height, in the order of `scores`."""
        pairs = zip(self.errors or [], self.heights, strict=True)
        return np.concatenate([(np.linalg.norm(e, axis=-1) / h[:, None]).ravel() for e, h in pairs])

    @property
    def jitter(self) -> np.ndarray:
        """Second differences of sure joints (score of 0.3 or more in all three frames), parts of the height."""
        found = []
        for track, height in zip(self.tracks, self.heights, strict=True):
            second = np.linalg.norm(np.diff(track[..., :2], 2, axis=0), axis=-1) / height[1:-1, None]
            sure = track[..., 2] >= 0.3
            found.append(second[sure[:-2] & sure[1:-1] & sure[2:]])
        return np.concatenate(found)

    def memory(self, values: list[np.ndarray], seconds: float) -> float:
        """Correlation of (T, 12) values with themselves `seconds` later, joint by joint."""
        lag = max(round(seconds * self.fps), 1)
        first = np.concatenate([(v - np.nanmean(v, 0))[:-lag].ravel() for v in values])
        later = np.concatenate([(v - np.nanmean(v, 0))[lag:].ravel() for v in values])
        good = np.isfinite(first) & np.isfinite(later)
        return float(np.corrcoef(first[good], later[good])[0, 1])


def hrnet() -> Sample:
    """HR-Net on TS1: three people, followed by their places along x, which they keep in most frames."""
    frames = read_keypoints_json(GOLDEN / "detections" / "ts1_keypoints.json")
    rows = [list(frame.keypoints.double().numpy()) for frame in frames]
    rows[0].sort(key=lambda person: person[11:13, 0].mean())
    tracks = [np.full((len(rows), 12, 3), np.nan) for _ in range(3)]
    last: list[np.ndarray | None] = [None] * 3
    for t, people in enumerate(rows):
        left = people.copy()
        for p in range(3):
            if not left:
                break
            at = before if (before := last[p]) is not None else left[0]
            nearest = min(range(len(left)), key=lambda i: np.linalg.norm(left[i][BODY, :2] - at[BODY, :2]))
            last[p] = found = left.pop(nearest)
            tracks[p][t] = found[BODY]
    heights = [np.full(len(rows), np.nanmedian(_extent(track))) for track in tracks]
    return Sample("HR-Net, TS1", 30.0, tracks, heights, None)


def _extent(track: np.ndarray) -> np.ndarray:
    """Shoulders to ankles in px, as a person's height: (T,)."""
    return (track[:, 10:12, 1].mean(1) - track[:, :2, 1].mean(1)) / 0.77


def movenet() -> Sample:
    """MoveNet on the multi-view clip, each camera a track, with the projected triangulation as truth."""
    truth = np.load(FOLDER / "truth.npz")
    world, tracks, heights, errors = truth["poses_3d_world"][:, 0], [], [], []
    for camera in range(4):
        content = json.loads((FOLDER / f"cam{camera + 1}_keypoints.json").read_text())
        rows = [content[name] for name in sorted(content)]
        chosen = truth["detection"].reshape(len(rows), -1, 4)[:, 0, camera]
        points = np.full((len(rows), 17, 3), np.nan)
        for t, row in enumerate(chosen):
            if row >= 0:
                points[t] = np.reshape(rows[t][int(row)]["keypoints"], (17, 3))
        extrinsics, K = truth["extrinsics"][camera], truth["K"][camera]
        seen = world @ extrinsics[:, :3].T + extrinsics[:, 3]
        pixels = seen[..., :2] / seen[..., 2:] * np.diag(K)[:2] + K[:2, 2]
        tracks.append(points[:, BODY])
        errors.append((points[..., :2] - pixels)[:, BODY])
        heights.append(K[1, 1] * HEIGHT_MM / np.nanmean(seen[:, 11:13, 2], axis=1))
    return Sample("MoveNet, 4 views", float(truth["fps"]), tracks, heights, errors)


def simulated(weak: float, fps: float, people: int, scenes: int = 12, frames: int = 200) -> Sample:
    """The simulated detector on scenes of so many people."""
    tracks, heights, errors = [], [], []
    for number in range(scenes):
        rng = np.random.default_rng((number, people))
        camera = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
        height, kinds = rng.uniform(1000, 2200), ("mixed", "cross", "walk")
        view = look_at(camera, np.array([0, height, 0]), np.array([0, 950.0, 4000]))
        motions = [procedural_motion(kinds[p % 3], frames, fps, random_body(rng), rng) for p in range(people)]
        placed = compose_scene(motions, view, rng, behind=0.25)
        for person in render_scene(placed, view, fps, rng, detector(weak)):
            joints = [MUPOTS_17.index(name) for name in COCO_17.names[BODY]]
            points = person.detection[:, BODY].astype(float)
            points[~person.detected] = np.nan
            tracks.append(points)
            errors.append(points[..., :2] - person.annotation_2d[:, joints])
            heights.append(camera.fy * HEIGHT_MM / person.annotation_3d[:, MUPOTS_17.index("hip"), 2])
    return Sample(f"simulated, weak={weak:g}", fps, tracks, heights, errors)


def row(sample: Sample) -> list[str]:
    """A line of the table."""
    scores = sample.scores
    good = np.isfinite(scores)
    cells = [sample.name, f"{100 * (~good).mean():.1f}"]
    cells += [f"{value:.2f}" for value in np.quantile(scores[good], [0.05, 0.25, 0.5, 0.75, 0.95])]
    cells += [f"{100 * value:.2f}" for value in np.quantile(sample.jitter, [0.5, 0.9])]
    cells.append(f"{sample.memory([track[..., 2] for track in sample.tracks], 0.2):.2f}")
    if sample.errors is None:
        return [*cells, "", "", "", ""]
    errors = sample.relative_errors
    both = good & np.isfinite(errors)
    sure = both & (scores >= 0.5)
    cells += [f"{100 * np.median(errors[sure]):.2f}", f"{100 * np.quantile(errors[sure], 0.95):.2f}"]
    cells.append(f"{100 * np.median(errors[both & (scores < 0.2)]):.2f}")
    return [*cells, f"{sample.memory([e[..., 0] for e in sample.errors], 0.2):.2f}"]


HEAD = [
    "detector", "missed %", "score 5%", "25%", "median", "75%", "95%", "jitter median % of height", "90%",
    "score memory 0.2 s", "error, sure: median % of height", "95%", "error, score < 0.2: median", "error memory 0.2 s",
]  # fmt: skip


def draw(samples: list[Sample], path: Path) -> None:
    """Distributions of scores and jitter, and the error at each score: real lines solid, simulated ones dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for number, sample in enumerate(samples):
        style = {"color": f"C{number // 2}", "linestyle": "--" if number % 2 else "-", "label": sample.name}
        scores = sample.scores
        left.hist(scores[np.isfinite(scores)], bins=25, range=(0, 1), density=True, histtype="step", **style)
        jitter = np.sort(sample.jitter)
        middle.plot(100 * jitter, np.linspace(0, 1, len(jitter)), **style)
        if sample.errors is not None:
            errors = sample.relative_errors
            which = np.digitize(scores, SCORE_BINS)
            points = [np.nanmedian(errors[which == b]) for b in range(1, len(SCORE_BINS))]
            right.plot((SCORE_BINS[:-1] + SCORE_BINS[1:]) / 2, 100 * np.array(points), marker="o", **style)
    left.set(title="Scores of the body joints", xlabel="score", ylabel="density")
    middle.set(title="Jitter of sure joints", xlabel="second difference, % of height", ylabel="fraction below")
    middle.set_xlim(0, 4)
    right.set(title="Error at each score", xlabel="score", ylabel="median error, % of height")
    for axes in (left, middle, right):
        axes.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    real = [hrnet(), movenet()]
    samples = [real[0], simulated(0.0, 30.0, 3), real[1], simulated(1.0, 60.0, 2)]
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for sample in samples:
        print("| " + " | ".join(row(sample)) + " |")
    draw(samples, FIGURE)
    print(f"figure: {FIGURE}")


if __name__ == "__main__":
    main()
