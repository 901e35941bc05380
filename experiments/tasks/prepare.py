"""`experiment=prepare`: data sets out of downloads or motion capture, and what there is of them.

`prepare=check` prints two tables: the parts of every data set, and what each command still lacks. The other options
name functions that return steps (data/prepare/steps.py), which run until all are done; the same command continues.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from data.prepare.check import Overview
from data.prepare.steps import run_steps
from experiments.datasets import datasets_root
from experiments.progress import stage
from experiments.results.table import text_table
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from fileio.json_yaml import write_json, write_text
from fileio.terminal import show
from pose.progress import Progress

log = logging.getLogger(__name__)


def prepare(cfg: DictConfig) -> None:
    """Run the preparation `cfg.prepare` on paths.datasets and leave its report."""
    settle(cfg)
    root = datasets_root(cfg).absolute()
    options: Any = OmegaConf.to_container(cfg.prepare, resolve=True)
    name = options.pop("name")
    if name == "check":
        _publish(instantiate(options, root=str(root)))
        return
    jobs, verify = options.pop("jobs"), options.pop("verify")
    if "detector" in options:
        options["detector"] = _detector(options["detector"])
    with stage(f"{name}: looking at what is there"):
        steps = instantiate({"_convert_": "object", **options}, root=str(root))
    log.info("%s: %d steps, %d processes, into %s", name, len(steps), jobs, root)
    told = Progress(name, len(steps), "steps")
    report = run_steps(root, steps, jobs=jobs, progress=lambda settled, _: told.add(settled - told.done), verify=verify)
    write_json(run_folder() / "report.json", {"prepare": name, "root": str(root), **vars(report)})
    show(
        f"{name}: {report.done} steps done, {report.skipped} found done and verified, in {report.seconds:.0f} s; "
        f"record: {root / 'manifest.json'}"
    )


def _publish(overview: Overview) -> None:
    parts = [
        {
            "part": part.name,
            "there": part.there,
            "missing": part.missing or "-",
            "enables": ", ".join(overview.enables(part)) or "-",
        }
        for part in overview.parts
    ]
    uses = [
        {"experiment=": use.experiment, "state": f"lacks {', '.join(use.lacks)}" if use.lacks else "ready"}
        for use in overview.uses
    ]
    missing = [f"{part.name}: {part.get}" for part in overview.parts if part.missing]
    tables = [
        text_table(f"Data sets in {overview.root}", parts, missing and ["How to get what is missing:", *missing]),
        text_table("What can be run", uses),
    ]
    write_text(run_folder() / "check.md", markdown_text(*tables), show=True)


# --- detectors -------------------------------------------------------------------------------------------------------


class ConfiguredDetector:
    """The detector of a configuration, built when the first picture comes and again in every process and copy.

    Networks cannot be pickled, and one that follows people must not carry them from one recording into the next.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self._built: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def name(self) -> str:
        """The detector's name with what decides its results."""
        decides = {key: value for key, value in self.options.items() if key not in ("_target_", "name", "device")}
        return f"{self.options['name']} {json.dumps(decides, sort_keys=True)}"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        built = self._built
        if built is None:
            built = self._built = instantiate(self.options)
        return built(image)

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self.options, "_built": None}


def _detector(options: dict[str, Any]) -> ConfiguredDetector | None:
    """None for `detector=none`; otherwise it is built once here, so that a library that is missing is said at once."""
    if "_target_" not in options:
        return None
    instantiate(options)
    return ConfiguredDetector(options)
