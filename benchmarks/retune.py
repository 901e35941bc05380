"""`python -m benchmarks.refinement --retune`: the best settings that a small search finds for what is compared.

On the lifter's errors on the motions for tuning, which are in no report. Lowest MRPE + MPJPE, each in units of what it
is without refinement, over all frames. The found values are written to the option's file in conf/refinement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import error_sources as sources
from benchmarks import refinement as benchmark

Draw = Callable[[np.random.Generator], Any]


def _between(low: float, high: float) -> Draw:
    return lambda rng: float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")


def _one_of(*values: Any) -> Draw:
    return lambda rng: values[int(rng.integers(len(values)))]


_ORDER = _one_of("step_zero_velocity_loss", "step_const_velocity_loss")

#: What is searched, and in which range.
SPACES: dict[str, dict[str, Draw]] = {
    "one_euro": {"min_cutoff": _between(0.05, 5), "beta": _between(0.02, 10), "speed_cutoff": _between(0.2, 5)},
    "savitzky_golay": {"window_s": _between(0.2, 4), "order": _one_of(1, 2, 3)},
    "gaussian": {"sigma_s": _between(0.02, 2)},
    "kalman_rts": {
        "noise_root": _between(0.02, 2),
        "noise_rel": _between(0.01, 1),
        "acceleration_root": _between(0.05, 10),
        "acceleration_rel": _between(0.05, 20),
        "power": _between(0.25, 6),
    },
    "paper_retuned": {
        "pose_loss": _one_of("capped_l2", "gm", "capped_l2_euc_err"),
        "l2_cap": _between(0.003, 3),
        "gm_alpha": _between(0.003, 3),
        "smooth_visibility": _one_of(True, False),
        "smoothness_loss_hip": _ORDER,
        "smoothness_loss_rel": _ORDER,
        "smoothness_weight_hip": _between(0.1, 3000),
        "smoothness_weight_hip_large": _between(0.001, 100),
        "smoothness_weight_rel": _between(0.01, 300),
        "smoothness_weight_rel_large": _between(0.0001, 10),
    },
}
#: Random settings that are tried, and then single keys changed one at a time.
DRAWS, CHANGES = 60, 90


def retune(size: benchmark.Size, cache: Any) -> None:
    """Search every option of SPACES and write what was found."""
    data = "cmu" if benchmark.MOCAP.is_file() else "procedural"
    lifter = sources.trained_lifter(benchmark.motions(data, "train"), size.lifter, cache)
    scenes, predicted = benchmark.predictions(data, "lifter", 0, size, lifter, part="tune")
    plain = np.sum([benchmark.scene_sums(*pair) for pair in zip(scenes, predicted, strict=True)], axis=0)

    def cost(name: str, settings: dict[str, Any]) -> float:
        refined, _ = benchmark.refined_scenes(benchmark.option(name, **settings), predicted)
        sums = np.sum([benchmark.scene_sums(*pair) for pair in zip(scenes, refined, strict=True)], axis=0)
        return float((sums[:2, 0] / plain[:2, 0]).sum())

    for name, space in SPACES.items():
        start = cost(name, {})
        best, settings = search(lambda found, name=name: cost(name, found), space, start, np.random.default_rng(0))
        print(f"{name}: {start:.4f} -> {best:.4f} {settings}", flush=True)
        if size is not benchmark.QUICK:
            write_settings(name, settings)


def search(
    cost: Callable[[dict[str, Any]], float], space: dict[str, Draw], start: float, rng: np.random.Generator
) -> tuple[float, dict[str, Any]]:
    """Lowest cost and its settings; no settings if none is better than `start`. Values near the best are tried last."""
    best, settings = start, {}
    for trial in range(DRAWS + CHANGES):
        if trial < DRAWS or not settings:
            found = {key: draw(rng) for key, draw in space.items()}
        else:
            key = str(rng.choice(list(space)))
            value = settings[key]
            near = isinstance(value, float) and rng.uniform() < 0.7
            found = {**settings, key: float(f"{value * np.exp(rng.normal(0, 0.5)):.3g}") if near else space[key](rng)}
        if (value := cost(found)) < best:
            best, settings = value, found
    return best, settings


def write_settings(name: str, settings: dict[str, Any]) -> None:
    """Put the values into the option's file, comments kept."""
    file = benchmark.CONF / f"{name}.yaml"
    text = file.read_text()
    for key, value in settings.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        text = re.sub(rf"(?m)^{key}: \S+", f"{key}: {shown}", text)
    file.write_text(text)
