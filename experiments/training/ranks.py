"""Training in processes of its own: one for each device, started, watched and ended by the run that wants the lifter.

Every process is a run on the same configuration file, which holds nothing but this lifter's resolved settings, so
that what it does cannot depend on the command line, the sweeper or the launcher of the run. It finds its rank in the
environment as torchrun would set it; rank variables of the run itself are not passed on. The run

- relays what rank 0 logs to its own logger, while training goes on;
- ends all processes if one fails, and passes on that one's error;
- is what they live for: their standard input closes when the run ends, however it does, and they end too. (torch's
  elastic launcher, killed, leaves its ranks running, each in a session of its own.)
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.command_line import quoted_value
from experiments.loggers import log_image
from experiments.runs.run_dir import run_folder
from experiments.runs.signals import EXIT_CODES
from experiments.training.devices import Plan, taken
from fileio.json_yaml import write_text
from pose.errors import ConfigError, DataError

log = logging.getLogger(__name__)

_ROOT = str(Path(__file__).resolve().parents[2])
#: The entry point, with our packages first, wherever they are, and without those of the folder it is started in.
_START = f"import sys; sys.path.insert(0, {_ROOT!r}); from experiments.main import main; main()"
#: Files in the folder of a rank: the message of an error that a user can cause, and what rank 0 logged.
ERROR_FILE, CURVES_FILE = "error.txt", "curves.jsonl"
#: Keys of the configuration file beside those of the run.
WORKER = "worker"
_RANK_PREFIXES = ("TORCHELASTIC_", "SLURM_", "PMI_", "OMPI_", "JSM_")
_RANK_VARIABLES = {
    "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE",
    "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED", "PL_SEED_WORKERS",
}  # fmt: skip
_POLL_S = 0.2
_END_S = 10.0


def train_in_processes(cfg: DictConfig, plan: Plan, folder: Path, digest: str, logger: Any) -> None:
    """Train the lifter `digest` in `folder` by `plan.processes` processes, on devices that no other job uses.

    Their logs are in `training/` of the run's folder. Raises ConfigError with the message of a process that could not
    use its configuration or data, RuntimeError naming the log of one that failed otherwise.
    """
    place = (run_folder() / "training").resolve()
    _write_config(cfg, plan, folder, digest, place / "config.yaml")
    with taken(plan) as devices:
        _run_ranks(place, plan.processes, devices, logger)


def _write_config(cfg: DictConfig, plan: Plan, folder: Path, digest: str, path: Path) -> None:
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    settings["task"] = {"_target_": "experiments.training.rank_task.work", "_partial_": True}
    settings["trainer"]["devices"] = plan.processes
    settings[WORKER] = {"folder": str(folder.resolve()), "hash": digest}
    write_text(path, OmegaConf.to_yaml(OmegaConf.create(_literal(settings))))


def _literal(value: Any) -> Any:
    """Resolved settings as OmegaConf reads them again: `${...}` in a file's name is no reference."""
    if isinstance(value, dict):
        return {key: _literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value


def rank_command(place: Path, rank: int) -> list[str]:
    """The command of one rank; its folder may hold any character that Hydra's grammar gives a meaning to."""
    return [
        sys.executable, "-P", "-c", _START, "--config-path", str(place), "--config-name", "config",
        f"hydra.run.dir={quoted_value(str(place / f'rank_{rank}'))}", "hydra.output_subdir=null",
    ]  # fmt: skip


def rank_environment(rank: int, processes: int, port: int, devices: dict[str, str]) -> dict[str, str]:
    """The run's environment without what says which rank of what the run is, and with what says it of the process."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in _RANK_VARIABLES and not key.startswith(_RANK_PREFIXES)
    }
    own = {"LOCAL_RANK": rank, "RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": processes, "MASTER_PORT": port}
    return {**kept, **{key: str(value) for key, value in own.items()}, "MASTER_ADDR": "127.0.0.1", **devices}


def _run_ranks(place: Path, processes: int, devices: dict[str, str], logger: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[subprocess.Popen] = []
    curves = _Curves(place / "rank_0" / CURVES_FILE, logger)
    try:
        for rank in range(processes):
            own = place / f"rank_{rank}"
            own.mkdir(parents=True, exist_ok=True)
            for left in (own / ERROR_FILE, own / CURVES_FILE):
                left.unlink(missing_ok=True)
            with (own / "output.log").open("wb") as output:
                started.append(
                    subprocess.Popen(
                        rank_command(place, rank),
                        env=rank_environment(rank, processes, port, devices),
                        stdin=subprocess.PIPE,
                        stdout=None if rank == 0 else output,
                        stderr=None if rank == 0 else output,
                    )
                )
        running = True
        while running:
            time.sleep(_POLL_S)
            codes = [process.poll() for process in started]
            running = None in codes
            curves.relay()
            if failed := [rank for rank, code in enumerate(codes) if code]:
                raise _failure(place, failed, started)
    finally:
        _end(started)


def _failure(place: Path, failed: list[int], started: list[subprocess.Popen]) -> Exception:
    """The error of the rank that says most about it: a message for the user, else the first that ended."""
    for rank in failed:
        said = place / f"rank_{rank}" / ERROR_FILE
        if said.exists():
            return ConfigError(said.read_text(encoding="utf-8"))
    rank = failed[0]
    code = started[rank].returncode
    if code < 0 or code in EXIT_CODES:
        why = f"was ended by {signal.Signals(-code if code < 0 else code - 128).name}"
        more = "; for want of memory? give a smaller data.batch_size or trainer.accumulate_grad_batches" * (code == -9)
        return DataError(f"training process {rank} of {len(started)} {why}{more}; the same command goes on")
    error = DataError if code == 2 else RuntimeError  # 2: an error that is no fault of ours, said in its log
    return error(f"training process {rank} of {len(started)} ended with code {code}; its log: {place / f'rank_{rank}'}")


def _end(started: list[subprocess.Popen]) -> None:
    """End what still runs: a closed standard input asks for it, a signal does it."""
    for process in started:
        if process.stdin is not None:
            process.stdin.close()
    deadline = time.monotonic() + _END_S
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Curves:
    """Passes on to a logger the lines that have been added to a file since the last time."""

    def __init__(self, path: Path, logger: Any) -> None:
        self.path, self.logger, self.position = path, logger, 0

    def relay(self) -> None:
        if self.logger is None or not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            for line in file:
                if not line.endswith(b"\n"):  # half written
                    break
                self.position += len(line)
                entry = json.loads(line)
                if "picture" in entry:
                    key, path = entry["picture"]
                    log_image(self.logger, key, Path(path), entry["step"])
                else:
                    self.logger.log_metrics(entry["metrics"], step=entry["step"])
        self.logger.save()


class LineLogger:
    """A logger that adds a line to `path` for whatever is logged, for the run to relay."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._add({"step": step, "metrics": {key: float(value) for key, value in metrics.items()}})

    def log_image(self, key: str, images: list[str], step: int) -> None:
        self._add({"step": step, "picture": [key, images[0]]})

    def _add(self, entry: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        """Each line is saved already."""
