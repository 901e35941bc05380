"""The MuPoTS-3D protocol (docs/method.md §9) again, deliberately plain: one switch, person, frame, joint at a time.

What the fast implementation, `pose.metrics.mupots`, is checked against and compared with in speed.
"""

from __future__ import annotations

import numpy as np

from pose.metrics.mupots import AnnotatedScene, PredictedScene


def plain_pairs(annotated: AnnotatedScene, predicted: PredictedScene, pairing: str) -> dict[tuple[int, int], int]:
    pairs = {}
    frames, people = annotated.valid.shape
    for t in range(frames):
        used = set()
        for p in range(people):
            if not annotated.valid[t, p]:
                continue
            if pairing == "given":
                if predicted.present[t, p]:
                    pairs[t, p] = p
                continue
            assert predicted.keypoints_2d is not None
            best, best_count = None, 0
            for r in range(predicted.present.shape[1]):
                if r in used or not predicted.present[t, r]:
                    continue
                count = 0
                for j in range(1, 14):
                    dx, dy = annotated.annotation_2d[t, p, j] - predicted.keypoints_2d[t, r, j]
                    count += abs(dx) < 40 and abs(dy) < 40
                if count > best_count:
                    best, best_count = r, count
            if best is not None:
                pairs[t, p] = best
                used.add(best)
    return pairs


def plain_rescale(pose: np.ndarray, truth: np.ndarray) -> np.ndarray:
    order = [14, 15, 1, 0, 16, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    parents = [1, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, 14, 14, 1]
    new = pose.copy()
    for j in order[1:]:
        bone = pose[j] - pose[parents[j]]
        wanted = np.linalg.norm(truth[j] - truth[parents[j]])
        new[j] = new[parents[j]] + bone / np.linalg.norm(bone) * wanted
    return new


def plain_aligned(pose: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The pose turned, scaled and moved onto the truth, without mirroring it."""
    source, goal = pose - pose.mean(0), truth - truth.mean(0)
    u, singular, vh = np.linalg.svd(source.T @ goal)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vh))])
    scale = (singular * signs).sum() / (source**2).sum()
    return scale * source @ (u * signs) @ vh + truth.mean(0)


def plain_scores(annotated: AnnotatedScene, predicted: PredictedScene, pairing: str, people: str) -> dict[str, float]:
    pairs = plain_pairs(annotated, predicted, pairing)
    errors: dict[str, list] = {"r": [], "a": [], "r_raw": [], "a_raw": []}
    poses, truths = [], []
    for t, p in np.argwhere(annotated.valid):
        if (t, p) not in pairs:
            if people == "all":
                for values in errors.values():
                    values.extend([100000.0] * 14)
            continue
        pose, truth = predicted.poses_3d[t, pairs[t, p]], annotated.annotation_3d[t, p]
        poses.append(pose)
        truths.append(truth)
        for suffix, scored in (("", plain_rescale(pose, truth)), ("_raw", pose)):
            for j in range(14):
                errors["a" + suffix].append(np.linalg.norm(scored[j] - truth[j]))
                errors["r" + suffix].append(np.linalg.norm((scored[j] - scored[14]) - (truth[j] - truth[14])))
    scores = {"detected_pct": 100 * len(pairs) / annotated.valid.sum()} if annotated.valid.any() else {}
    for kind, values in errors.items():
        if values:
            coordinates, _, raw = kind.partition("_")
            end = "_raw_pct" if raw else "_pct"
            scores[f"{coordinates}_pck{end}"] = 100 * np.mean([e < 150 for e in values])
            if not raw:
                curve = [np.mean([e < mm for e in values]) for mm in range(0, 151, 5)]
                scores[f"{coordinates}_auc{end}"] = 100 * np.mean(curve)
    if poses:
        pose, truth = np.array(poses), np.array(truths)
        scaled = pose * (pose * truth).sum() / (pose**2).sum()
        others = [j for j in range(17) if j != 14]

        def distance(a, b):
            return np.sqrt(((a - b) ** 2).sum(-1))

        def relative(x):
            return x - x[:, 14:15]

        scores |= {
            "mpjpe_mm": distance(relative(pose), relative(truth)).mean(),
            "a_mpjpe_mm": distance(pose, truth).mean(),
            "mrpe_mm": distance(pose, truth)[:, 14].mean(),
            "n_mrpe_mm": distance(scaled, truth)[:, 14].mean(),
            "n_mpjpe_mm": distance(relative(scaled), relative(truth))[:, others].mean(),
            "pa_mpjpe_mm": np.mean([distance(plain_aligned(p, t), t) for p, t in zip(pose, truth, strict=True)]),
        }
    return scores
