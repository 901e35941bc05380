"""The metrics a second time, deliberately plain: from docs/method.md §9 alone, one joint at a time, in Python lists.

Slow and without any cleverness, so that reading it is enough to believe it. Nothing is taken from pose.metrics; the
Procrustes rotation goes another way too (Horn's quaternions instead of a singular value decomposition).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

HIP = 14
ORDER = (14, 15, 1, 0, 16, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
PARENTS = (1, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, 14, 14, 1)

Point = Sequence[float]
Pose = Sequence[Point]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def distance(a: Point, b: Point) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def minus(a: Point, b: Point) -> list[float]:
    return [x - y for x, y in zip(a, b, strict=True)]


def relative_pose(pose: Pose) -> list[list[float]]:
    return [minus(joint, pose[HIP]) for joint in pose]


def scaled(poses: Sequence[Pose], truths: Sequence[Pose]) -> list[list[list[float]]]:
    """A whole sequence times <pred, gt> / <pred, pred>."""
    pairs = [
        (x, y)
        for pose, truth in zip(poses, truths, strict=True)
        for a, b in zip(pose, truth, strict=True)
        for x, y in zip(a, b, strict=True)
    ]
    scale = sum(x * y for x, y in pairs) / sum(x * x for x, _ in pairs)
    return [[[scale * x for x in joint] for joint in pose] for pose in poses]


def errors(poses: Sequence[Pose], truths: Sequence[Pose], joints: Sequence[int] = range(17)) -> list[float]:
    return [distance(pose[j], truth[j]) for pose, truth in zip(poses, truths, strict=True) for j in joints]


def relative_errors(poses: Sequence[Pose], truths: Sequence[Pose], joints: Sequence[int] = range(17)) -> list[float]:
    return errors([relative_pose(pose) for pose in poses], [relative_pose(truth) for truth in truths], joints)


def millimetre_scores(poses: Sequence[Pose], truths: Sequence[Pose]) -> dict[str, float]:
    others = [joint for joint in range(17) if joint != HIP]
    return {
        "mpjpe_mm": mean(relative_errors(poses, truths)),
        "a_mpjpe_mm": mean(errors(poses, truths)),
        "mrpe_mm": mean(errors(poses, truths, [HIP])),
        "n_mrpe_mm": mean(errors(scaled(poses, truths), truths, [HIP])),
        "n_mpjpe_mm": mean(relative_errors(scaled(poses, truths), truths, others)),
    }


def aligned(pose: Pose, truth: Pose) -> list[list[float]]:
    """The pose moved, turned and scaled onto the truth (Horn 1987)."""
    centre, goal = ([mean([joint[k] for joint in points]) for k in range(3)] for points in (pose, truth))
    a, b = [minus(joint, centre) for joint in pose], [minus(joint, goal) for joint in truth]
    s = [[sum(p[i] * q[j] for p, q in zip(a, b, strict=True)) for j in range(3)] for i in range(3)]
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = s
    matrix = [
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ]
    w, x, y, z = np.linalg.eigh(np.array(matrix))[1][:, -1].tolist()
    rotation = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    turned = [[sum(row[k] * joint[k] for k in range(3)) for row in rotation] for joint in a]
    scale = sum(p[k] * q[k] for p, q in zip(turned, b, strict=True) for k in range(3))
    scale /= sum(p[k] ** 2 for p in a for k in range(3))
    return [[scale * joint[k] + goal[k] for k in range(3)] for joint in turned]


def pa_mpjpe(poses: Sequence[Pose], truths: Sequence[Pose]) -> float:
    return mean(errors([aligned(pose, truth) for pose, truth in zip(poses, truths, strict=True)], truths))


def acceleration_errors(
    poses: Sequence[Pose], truths: Sequence[Pose], counts: Sequence[bool], frame: Sequence[int]
) -> list[float]:
    """Of one person over time: 17 values for every three frames that count and follow each other."""
    values = []
    for t in range(1, len(poses) - 1):
        consecutive = frame[t] - frame[t - 1] == 1 and frame[t + 1] - frame[t] == 1
        if consecutive and counts[t - 1] and counts[t] and counts[t + 1]:
            for j in range(17):
                bend = [
                    [track[t + 1][j][k] - 2 * track[t][j][k] + track[t - 1][j][k] for k in range(3)]
                    for track in (poses, truths)
                ]
                values.append(distance(*bend))
    return values


def pck(values: Sequence[float], threshold: float = 150) -> float:
    return 100 * mean([float(value < threshold) for value in values])


def auc(values: Sequence[float]) -> float:
    return mean([pck(values, threshold) for threshold in range(0, 151, 5)])


def detection_rate(paired: Sequence[bool], annotated: Sequence[bool]) -> float:
    return 100 * mean([float(found) for found, counts in zip(paired, annotated, strict=True) if counts])


def root_ap(roots, present, truths, annotated, score) -> float:
    """One prediction at a time, of distinct scores, the surest first."""
    frames = [f for f in range(len(roots)) if any(annotated[f])]
    ranked = sorted(((score[f][r], f, r) for f in frames for r in range(len(roots[f])) if present[f][r]), reverse=True)
    everybody, taken, right, total = sum(sum(row) for row in annotated), set(), 0, 0.0
    for seen, (_, f, r) in enumerate(ranked, start=1):
        people = [p for p in range(len(truths[f])) if annotated[f][p]]
        nearest = min(people, key=lambda p: distance(roots[f][r], truths[f][p]))
        if distance(roots[f][r], truths[f][nearest]) < 250 and (f, nearest) not in taken:
            taken.add((f, nearest))
            right += 1
            total += right / seen / everybody
    return 100 * total


def root_ap_at_once(roots, present, truths, annotated) -> float:
    """Without scores: the percentage of predictions that are the only right one of their person, times recall."""
    frames = [f for f in range(len(roots)) if any(annotated[f])]
    right, seen = set(), 0
    for f in frames:
        people = [p for p in range(len(truths[f])) if annotated[f][p]]
        for r in (r for r in range(len(roots[f])) if present[f][r]):
            seen += 1
            nearest = min(people, key=lambda p: distance(roots[f][r], truths[f][p]))
            if distance(roots[f][r], truths[f][nearest]) < 250:
                right.add((f, nearest))
    return 100 * len(right) ** 2 / seen / sum(sum(row) for row in annotated) if seen else 0.0


def occlusion_lengths(visible: Sequence[bool]) -> list[int]:
    """One joint over time: how long the occlusion around each frame lasts, 0 where it is visible."""
    lengths = []
    for t in range(len(visible)):
        if visible[t]:
            lengths.append(0)
            continue
        first = last = t
        while first > 0 and not visible[first - 1]:
            first -= 1
        while last < len(visible) - 1 and not visible[last + 1]:
            last += 1
        lengths.append(last - first + 1)
    return lengths


def split(values: Sequence[float], lengths: Sequence[int]) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for value, length in zip(values, lengths, strict=True):
        names = ["visible"] if length == 0 else ["occluded"]
        if length > 60:
            names.append("occluded_over_60")
        elif length > 0:
            first = next(low for low, high in ((1, 5), (6, 15), (16, 30), (31, 60)) if length <= high)
            names.append({1: "occluded_1_5", 6: "occluded_6_15", 16: "occluded_16_30", 31: "occluded_31_60"}[first])
        for name in names:
            parts.setdefault(name, []).append(value)
    return {name: mean(found) for name, found in parts.items()}


# ---- the MuPoTS-3D protocol


def pairs(points, valid, keypoints, present, pairing: str) -> dict[tuple[int, int], int]:
    """(frame, person) -> row. points [t][p][j] and keypoints [t][r][j] px."""
    found = {}
    for t in range(len(valid)):
        used = set()
        for p in range(len(valid[t])):
            if not valid[t][p]:
                continue
            if pairing == "given":
                if present[t][p]:
                    found[t, p] = p
                continue
            best, most = None, 0
            for r in range(len(present[t])):
                if r in used or not present[t][r]:
                    continue
                near = 0
                for j in range(1, 14):
                    dx, dy = minus(points[t][p][j], keypoints[t][r][j])
                    near += abs(dx) < 40 and abs(dy) < 40
                if near > most:
                    best, most = r, near
            if best is not None:
                found[t, p] = best
                used.add(best)
    return found


def rescaled(pose: Pose, truth: Pose) -> list[list[float]]:
    new = [list(joint) for joint in pose]
    for j in ORDER[1:]:
        parent = PARENTS[j]
        bone, length = minus(pose[j], pose[parent]), distance(pose[j], pose[parent])
        wanted = distance(truth[j], truth[parent])
        new[j] = [new[parent][k] + bone[k] / length * wanted for k in range(3)]
    return new


def protocol(points, truths, valid, poses, keypoints, present, pairing: str, people: str) -> dict[str, float]:
    """One sequence: [t][p] of the annotated, [t][r] of the predicted people."""
    everybody = [(t, p) for t in range(len(valid)) for p in range(len(valid[t])) if valid[t][p]]
    if not everybody:
        return {}
    rows = pairs(points, valid, keypoints, present, pairing)
    found = [(poses[t][rows[t, p]], truths[t][p]) for t, p in everybody if (t, p) in rows]
    missed = [100000.0] * 14 * (len(everybody) - len(found)) if people == "all" else []
    raw, true = [pose for pose, _ in found], [truth for _, truth in found]
    fitted = [rescaled(pose, truth) for pose, truth in found]
    roots, goals = ([[pose[HIP] for pose in frame] for frame in of] for of in (poses, truths))
    scores = {
        "detected_pct": 100 * len(found) / len(everybody),
        "frames_pct": 100 * len({t for t, _ in rows}) / len({t for t, _ in everybody}),
        "ap_root_25cm_pct": root_ap_at_once(roots, present, goals, valid),
    }
    if found or missed:
        for end, shown in (("_pct", fitted), ("_raw_pct", raw)):
            relative, absolute = (
                relative_errors(shown, true, range(14)) + missed,
                errors(shown, true, range(14)) + missed,
            )
            scores |= {f"r_pck{end}": pck(relative), f"r_auc{end}": auc(relative)}
            scores |= {f"a_pck{end}": pck(absolute), f"a_auc{end}": auc(absolute)}
    if found:
        scores |= millimetre_scores(raw, true) | {"pa_mpjpe_mm": pa_mpjpe(raw, true)}
        frames, nothing = list(range(len(valid))), [[0.0, 0.0, 0.0]] * 17
        for key, shown in (("accel_mm", relative_pose), ("a_accel_mm", list)):
            values: list[float] = []
            for p in range(len(valid[0])):
                counts = [(t, p) in rows for t in frames]
                track = [shown(poses[t][rows[t, p]] if counts[t] else nothing) for t in frames]
                values += acceleration_errors(track, [shown(truths[t][p]) for t in frames], counts, frames)
            if values:
                scores[key] = mean(values)
    return scores
