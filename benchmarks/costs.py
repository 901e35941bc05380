"""What the lifters of each table cost to train, from counted operations: the table in docs/experiments.md.

    python -m benchmarks.costs                                       # an A100 in float32, half of its peak
    python -m benchmarks.costs --peak-tflops 67 --fraction 0.4       # another GPU, or less of it

Counted are the matrix products of one training step, forward and backward, by torch's FlopCounterMode (a multiplication
and an addition are two), with every row's own network and batch; times the steps of all epochs. The windows are those
of the real data, all of them detected. Hours = operations / (peak x fraction): an ESTIMATE, nothing is timed. Steps of
the optimiser, reading and testing are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reading import MPI_FRAMES, MUCO_FRAMES, MUCO_VIDEOS
from data.sets.mpi_inf_3dhp import CAMERAS
from lightning_modules.lifter import Lifter

CONF = Path(__file__).resolve().parents[1] / "conf"
TABLES = (
    "mupots_pck", "mupots_mm", "mpii_3dhp", "mpii_3dhp_pck", "table_interpolation", "table_training_data",
    "table_refinement_terms", "table_lifter", "table_occlusion_length",
)  # fmt: skip
#: float32 of an A100 by its data sheet, and how much of it is assumed to be reached.
PEAK_TFLOPS, FRACTION = 19.5, 0.5
#: Windows of an epoch, the copies at other distances included: 16 recordings of which every second frame is kept, and
#: three people on average.
_MPI = 2 * 16 * len(CAMERAS) * MPI_FRAMES // 2
_MUCO = 2 * len(CAMERAS) * MUCO_VIDEOS * MUCO_FRAMES * 3
WINDOWS = {"mpi_inf_3dhp": _MPI, "muco_temp": _MUCO, "both": _MPI + _MUCO}


def rows_of(name: str) -> list[DictConfig]:
    """The configurations of a table's rows; one where it is no sweep."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        own: Any = OmegaConf.load(CONF / "experiment" / f"{name}.yaml")
        params = OmegaConf.select(own, "hydra.sweeper.params") or {}
        words = [f"{key}={value}" for key, values in params.items() for value in values.split(",")] or ["seed=0"]
        return [compose("config", [f"experiment={name}", word]) for word in words]


def operations(cfg: DictConfig) -> float:
    """Of the whole training of one row's lifter."""
    settings: Any = OmegaConf.to_container(cfg.model, resolve=True)
    batch = int(cfg.data.batch_size)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        lifter = Lifter(settings["network"], coordinates=cfg.coordinates, features=settings["features"]).train()
        windows = torch.zeros(batch, lifter.receptive_field, lifter.features.n_features)
        lifter.windows(windows).sum().backward()
    return float(counter.get_total_flops()) * (WINDOWS[cfg.data.name] // batch) * int(cfg.trainer.max_epochs)


def table(peak_tflops: float = PEAK_TFLOPS, fraction: float = FRACTION) -> str:
    """Markdown: rows, lifters that are trained, operations and hours of each table."""
    lines = ["| experiment | rows | lifters trained | operations, 10^15 | hours |", "|---|---|---|---|---|"]
    counted: dict[str, float] = {}
    for name in TABLES:
        rows, lifters = rows_of(name), set()
        for row in rows:
            lifter = OmegaConf.masked_copy(row, ["model", "data", "coordinates", "seed", "size"])
            lifters.add(key := OmegaConf.to_yaml(lifter))
            if key not in counted:
                counted[key] = operations(row)
        total = sum(counted[key] for key in lifters)
        hours = total / (peak_tflops * 1e12 * fraction) / 3600
        lines.append(f"| `{name}` | {len(rows)} | {len(lifters)} | {total / 1e15:,.0f} | {hours:.1f} |")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peak-tflops", type=float, default=PEAK_TFLOPS, help="of the GPU, 10^12 operations a second")
    parser.add_argument("--fraction", type=float, default=FRACTION, help="of the peak that is reached")
    options = parser.parse_args(words)
    if not (options.peak_tflops > 0 and 0 < options.fraction <= 1):
        parser.error("--peak-tflops must be above 0, --fraction above 0 and at most 1")
    print(table(options.peak_tflops, options.fraction))


if __name__ == "__main__":
    main()
