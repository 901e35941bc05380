"""`python -m benchmarks.studies.refinement --retune`: the settings of the baselines, by a small search.

On the lifter's errors on the motions for tuning, which are in no report. Lowest MRPE + MPJPE, each in units of what it
is without refinement, over all frames. The found values are written to the option's file in conf/refinement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from benchmarks.studies import refinement as benchmark


@dataclass(frozen=True)
class Between:
    """A number within a range, drawn evenly in its logarithm."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return self._rounded(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))

    def near(self, value: float, rng: np.random.Generator) -> float:
        return self._rounded(np.clip(value * np.exp(rng.normal(0, 0.5)), self.low, self.high))

    @staticmethod
    def _rounded(value: float) -> float:
        return float(f"{value:.3g}")


@dataclass(frozen=True)
class OneOf:
    """One of some values."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def near(self, value: Any, rng: np.random.Generator) -> Any:
        return self.draw(rng)


Space = dict[str, Between | OneOf]

#: What is searched, and in which range.
SPACES: dict[str, Space] = {
    "one_euro": {"min_cutoff": Between(0.05, 10), "beta": Between(0.02, 10), "speed_cutoff": Between(0.2, 5)},
    "savitzky_golay": {"window_s": Between(0.2, 4), "order": OneOf((1, 2, 3))},
    "gaussian": {"sigma_s": Between(0.02, 2)},
    "kalman_rts": {
        "noise_root": Between(0.02, 2),
        "noise_rel": Between(0.01, 1),
        "acceleration_root": Between(0.05, 10),
        "acceleration_rel": Between(0.05, 20),
        "power": Between(0.25, 6),
    },
}
#: Random settings that are tried, and then single keys changed one at a time.
DRAWS, CHANGES = 60, 240
#: A smaller gain is no reason for other settings.
WORTHWHILE = 1e-4


def retune(data: str, size: benchmark.Size) -> None:
    """Search every option of SPACES and write what was found."""
    scenes, predicted = benchmark.predictions(data, "lifter", 0, size, part="tune")
    plain = np.sum([benchmark.scene_sums(*pair) for pair in zip(scenes, predicted, strict=True)], axis=0)

    def cost(name: str, settings: dict[str, Any]) -> float:
        refined, *_ = benchmark.refined_scenes(benchmark.option(name, **settings), predicted)
        sums = np.sum([benchmark.scene_sums(*pair) for pair in zip(scenes, refined, strict=True)], axis=0)
        return float((sums[:2, 0] / plain[:2, 0]).sum())

    for name, space in SPACES.items():
        stored: Any = OmegaConf.load(benchmark.CONF / f"{name}.yaml")
        start = {key: stored[key] for key in space}
        best, settings = search(lambda found, name=name: cost(name, found), space, start, np.random.default_rng(0))
        print(f"{name}: {cost(name, start):.4f} -> {best:.4f} {settings}", flush=True)
        if size.frames >= benchmark.Size.frames:  # what a quick run finds means nothing
            write_settings(name, settings)


def search(
    cost: Callable[[dict[str, Any]], float], space: Space, start: dict[str, Any], rng: np.random.Generator
) -> tuple[float, dict[str, Any]]:
    """Lowest cost and its settings, `start` among them: first random ones, then the best with one key changed."""
    best, settings = cost(start), start
    for trial in range(DRAWS + CHANGES):
        if trial < DRAWS:
            found = {key: values.draw(rng) for key, values in space.items()}
        else:
            key = str(rng.choice(list(space)))
            change = space[key].near(settings[key], rng) if rng.uniform() < 0.7 else space[key].draw(rng)
            found = {**settings, key: change}
        value = cost(found)
        if value < best - WORTHWHILE:
            best, settings = value, found
    return best, settings


def write_settings(name: str, settings: dict[str, Any]) -> None:
    """Put the values into the option's file; comments stay where they are."""
    file = benchmark.CONF / f"{name}.yaml"
    text = file.read_text()
    for key, value in settings.items():
        shown = f"{key}: {str(value).lower() if isinstance(value, bool) else value}"
        text = re.sub(rf"(?m)^{key}: \S+(?P<gap> *)", partial(_in_place, shown), text)
    file.write_text(text)


def _in_place(shown: str, match: re.Match[str]) -> str:
    return shown.ljust(len(match[0]) - 1) + " " if match["gap"] else shown
