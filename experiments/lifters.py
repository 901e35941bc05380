"""Train a lifter once, and reuse it: `outputs/lifters/<hash>/`.

The hash covers all that decides the weights: the training data (fingerprint of its files or the generator's version),
its augmentation, the network, the optimiser, epochs, batch, precision, the coordinate variant, the seed and the version
of the training code. It covers no path, logger, device or number of workers. A lifter folder holds

    spec.json     what the hash covers
    last.ckpt     the state after the last finished epoch; a killed training goes on from it
    lifter.ckpt   the finished lifter: weights, statistics, joint sets, variant, frame rate
    done.json     written last: the folder is complete; holds the final validation metrics

Randomness is derived from seed and epoch, so a continued training ends in the same weights as an unbroken one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.datasets import data_module
from experiments.folder import run_folder, write_json
from experiments.progress import stage

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter

log = logging.getLogger(__name__)

#: Settings that do not change the weights: where things are, who is told, how fast it goes.
_NOT_IN_HASH = {
    "data": {"_target_", "cache", "device_resident", "require_real", "settings"},
    "trainer": {
        "_target_", "accelerator", "devices", "num_nodes", "log_every_n_steps", "num_sanity_val_steps",
        "enable_model_summary", "enable_checkpointing", "enable_progress_bar", "use_distributed_sampler",
    },
}  # fmt: skip


def obtain(cfg: DictConfig, logger: Any = None) -> tuple[Lifter, str]:
    """The lifter of this configuration and the name of its training data: loaded, reused, continued or trained."""
    from lightning_modules.checkpoint import load_lifter

    if cfg.checkpoint is not None:
        lifter = load_lifter(cfg.checkpoint, variant=cfg.coordinates)
        return lifter, lifter.hparams.get("training", {}).get("data", "not known")
    folder, metrics = train(cfg, logger)
    return load_lifter(folder, variant=cfg.coordinates), metrics["train_data"]


def train(cfg: DictConfig, logger: Any = None) -> tuple[Path, dict[str, Any]]:
    """Train the lifter of this configuration unless it is there; its folder and the content of done.json."""
    network = cfg.model.network
    with stage("training data"):
        module = data_module(
            cfg, receptive_field=math.prod(network.filter_widths), causal=network.causal, variant=cfg.coordinates
        )
        spec = _spec(cfg, module)
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]
    folder = Path(cfg.paths.lifters) / digest
    write_json(run_folder() / "lifter.json", {"folder": str(folder.resolve()), "hash": digest})
    if cfg.fresh and folder.exists():
        log.info("fresh=true: training again in %s", folder)
        shutil.rmtree(folder)
    done = folder / "done.json"
    if done.exists():
        log.info("reusing the lifter %s", folder)
        return folder, json.loads(done.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "spec.json", spec)
    metrics = {"train_data": module.train_name, "hash": digest, **_fit(cfg, module, folder, logger)}
    write_json(done, metrics)
    return folder, metrics


def _spec(cfg: DictConfig, module: Any) -> dict[str, Any]:
    """All that decides the weights, as plain values."""
    from lightning_modules.lifter import TRAINING_CODE_VERSION

    def kept(group: str) -> dict[str, Any]:
        settings: Any = OmegaConf.to_container(cfg[group], resolve=True)
        return {key: value for key, value in settings.items() if key not in _NOT_IN_HASH[group]}

    return {
        "training_code": TRAINING_CODE_VERSION,
        "training_data": module.fingerprint(),
        "coordinates": cfg.coordinates,
        "seed": cfg.seed,
        "data": kept("data"),
        "model": OmegaConf.to_container(cfg.model, resolve=True),
        "trainer": kept("trainer"),
    }


def _fit(cfg: DictConfig, module: Any, folder: Path, logger: Any) -> dict[str, Any]:
    """Train in `folder`, going on from its last.ckpt; the final validation metrics."""
    from experiments.callbacks import EpochCheckpoint
    from experiments.scoring import score_mpi_inf_3dhp
    from lightning_modules.checkpoint import save_lifter
    from lightning_modules.prediction import lift

    with stage("reading the training data"):
        module.setup("fit")
    last = folder / "last.ckpt"
    callbacks = [instantiate(callback) for callback in cfg.callbacks.values()]
    trainer = instantiate(
        cfg.trainer,
        logger=logger if logger is not None else False,
        callbacks=[callback for callback in callbacks if callback is not None] + [EpochCheckpoint(last)],
        default_root_dir=str(folder),
        _convert_="all",
    )
    # A partial, because Hydra would turn the standardisers, dataclasses, into dicts.
    lifter = instantiate(cfg.model, _partial_=True, _convert_="all")(
        variant=cfg.coordinates,
        fps=module.fps,
        seed=cfg.seed,
        training={"data": module.train_name, "epochs": cfg.trainer.max_epochs, "batch_size": cfg.data.batch_size},
        features=module.feature_standardiser,
        targets=module.target_standardiser,
    )
    log.info(
        "training on %s: %d frames, %d epochs%s, in %s",
        module.train_name, len(module.table), cfg.trainer.max_epochs, ", continued" if last.exists() else "", folder,
    )  # fmt: skip
    with stage("training"):
        trainer.fit(lifter, datamodule=module, ckpt_path=str(last) if last.exists() else None)
    sequences = module.validation_sequences
    validation = score_mpi_inf_3dhp(sequences, {"plain": lift(lifter, sequences)})
    save_lifter(folder / "lifter.ckpt", lifter)
    return {
        "validation": {
            "metrics": validation["metrics"]["plain"],
            "per_sequence": {name: scores["plain"] for name, scores in validation["per_sequence"].items()},
        }
    }
