"""How often the truth lies within the standard deviations that a refinement states.

A joint's standard deviation is that of one coordinate, the same in all three directions, while a lifter errs mostly in
depth. So what is counted is the error's root mean square over the coordinates, |error| / sqrt(3): within one standard
deviation in about 68% of cases and within two in about 95%, if the statement is right.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.studies.error_sources import ROOT, Scene, frame_visible

CLASSES = ("hip", "other joints, observed", "other joints, inferred")
PARTS = ("visible", "occluded")
WITHIN = (1, 2)


def coverage_counts(truth: Scene, refined: Scene) -> np.ndarray:
    """Numbers of joints (classes, parts, 3): all that are annotated, those within one and two std."""
    counts = np.zeros((len(CLASSES), len(PARTS), 1 + len(WITHIN)))
    for true, guess in zip(truth, refined, strict=True):
        std, seen = guess.std_mm, guess.observed
        assert true.poses_3d is not None and guess.poses_3d is not None and std is not None and seen is not None
        error = (guess.poses_3d - true.poses_3d).norm(dim=-1) / 3**0.5
        hip = torch.zeros_like(seen)
        hip[:, ROOT] = True
        visible = frame_visible(true)
        for c, of_class in enumerate((hip, seen & ~hip, ~seen & ~hip)):
            for p, of_part in enumerate((visible, ~visible)):
                chosen = of_class & (of_part & true.annotated)[:, None]
                ratio = error[chosen] / std[chosen]
                counts[c, p] += [len(ratio), *(int((ratio <= limit).sum()) for limit in WITHIN)]
    return counts


def coverage_rows(counts: np.ndarray) -> list[list[str]]:
    """Lines of a table: class, then for all frames and each part the percentages within one and two std."""
    rows = []
    for name, per_part in zip(CLASSES, counts, strict=True):
        cells = []
        for number, *inside in (per_part.sum(axis=0), *per_part):
            cells.append(", ".join(f"{100 * n / number:.0f}" for n in inside) if number else "")
        rows.append([name, *cells])
    return rows
