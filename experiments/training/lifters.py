"""Train a lifter once, and reuse it: `outputs/lifters/<hash>/`.

The hash covers all that decides the weights: the training data (fingerprint of its files or the generator's version),
its augmentation, the network, the optimiser, epochs, batch, precision, the coordinates, the seed, and the source code
that trains it, of this project and of plug-ins. It covers no path, logger, device or number of workers. A lifter folder
holds

    spec.json     what the hash covers; also the version and the commit, which it does not
    last.ckpt     the state after the last whole epoch; a training that was killed or cut short goes on from it
    lifter.ckpt   the finished lifter: weights, statistics, joint sets, coordinates, frame rate
    done.json     written last: the folder is complete; the final validation metrics, version, commit, and how many
                  epochs were seen: `finished` is false where early stopping left some out
    lock          held by the run that trains here: of several that want the same lifter one trains, the others wait

Randomness is derived from seed and epoch, so a continued training ends in the same weights as an unbroken one. On
several devices, or in accumulated parts, every step learns from the same windows as on one; the weights differ a little
all the same, since batch normalisation and dropout work on each part by itself.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.datasets import data_module
from experiments.loggers import for_trainer
from experiments.progress import stage
from experiments.runs.hashing import deciding_settings, short_hash
from experiments.runs.inputs import code_digest, commit, plugin_digests, version
from experiments.runs.run_dir import run_folder
from experiments.runs.sweep import command_started
from experiments.training.devices import Plan, plan
from experiments.training.ranks import CURVES_FILE, LineLogger, train_in_processes
from fileio.json_yaml import load_object, write_json
from fileio.locks import waiting_for
from pose.errors import ConfigError, MismatchError

if TYPE_CHECKING:
    from data.training.datamodules import LifterDataModule
    from lightning_modules.lifter import Lifter

log = logging.getLogger(__name__)

_RETRAIN = "train again with fresh=true"
#: Callbacks that only watch. Any other may stop a training early or change its weights.
_CHANGE_NO_WEIGHTS = {
    "experiments.progress.progress_bar", "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.callbacks.DeviceStatsMonitor", "pytorch_lightning.callbacks.ModelSummary",
    "pytorch_lightning.callbacks.RichProgressBar", "pytorch_lightning.callbacks.TQDMProgressBar",
    "pytorch_lightning.callbacks.Timer",
}  # fmt: skip


def obtain(cfg: DictConfig, logger: Any = None) -> tuple[Lifter, str]:
    """The lifter of this configuration and the name of its training data: loaded, reused, continued or trained."""
    from lightning_modules.checkpoint import load_lifter

    if cfg.checkpoint is not None:
        lifter = load_lifter(cfg.checkpoint, coordinates=cfg.coordinates)
        _warn_if_unfinished(f"checkpoint={cfg.checkpoint}", lifter.training_record)
        return lifter, lifter.training_record.get("data", "not known")
    folder, metrics = train(cfg, logger)
    _warn_if_unfinished(str(folder), metrics)
    return load_lifter(folder, coordinates=cfg.coordinates), metrics["train_data"]


def train(cfg: DictConfig, logger: Any = None) -> tuple[Path, dict[str, Any]]:
    """Train the lifter of this configuration unless it is there; its folder and the content of done.json.

    With `checkpoint=` the training starts from that lifter's weights, and network, features and standardisation are its
    own.
    """
    split = plan(cfg.trainer, cfg.data.batch_size)
    module, spec, digest = _hash_spec(cfg, split)
    folder = Path(cfg.paths.lifters) / digest
    write_json(run_folder() / "lifter.json", {"folder": str(folder.resolve()), "hash": digest})
    done, noted = folder / "done.json", folder / "spec.json"
    if cfg.fresh or not done.exists():
        with waiting_for(folder / "lock", f"the lifter {digest}"):
            if cfg.fresh and not (noted.exists() and noted.stat().st_mtime >= command_started()):
                _empty(folder)  # unless this command, or a run that it waited for, has begun it
            if not done.exists():
                if not noted.exists():
                    _tell_of_other_code(folder, spec)
                    write_json(noted, {**spec, "made_by": _made_by()})
                if split.in_processes:
                    train_in_processes(cfg, split, folder, digest, logger)
                else:
                    _fit(cfg, split, module, folder, digest, logger)
                return folder, load_object(done, _RETRAIN)
    log.info("reusing the lifter %s", folder)
    return folder, load_object(done, _RETRAIN)


def train_as_rank(cfg: DictConfig, folder: Path, digest: str, rank: int) -> None:
    """The part of one process in the training of `folder`, which another run holds the lock of.

    MismatchError if this configuration is not that of the lifter `digest`.
    """
    split = plan(cfg.trainer, cfg.data.batch_size)
    module, _, found = _hash_spec(cfg, split)
    if found != digest:
        raise MismatchError(
            f"lifter {digest}: process {rank} found {found}; training data or code changed, start again"
        )
    _fit(cfg, split, module, folder, digest, LineLogger(run_folder() / CURVES_FILE), rank)


def _hash_spec(cfg: DictConfig, split: Plan) -> tuple[LifterDataModule, dict[str, Any], str]:
    """The training data of one process, all that decides the weights as plain values, and their hash."""
    import torch

    from lightning_modules.components import make_features, make_network

    model: Any = OmegaConf.to_container(cfg.model, resolve=True)
    start = _start(cfg)
    if start is not None:
        model |= {"features": start.settings.get("features"), "network": start.settings["network"]}
    features = make_features(model["features"])
    with torch.device("meta"):
        network: Any = make_network(model["network"], features)
    with stage("training data"):
        module = data_module(
            cfg,
            features=features,
            standardisers=None if start is None else (start.feature_standardiser, start.target_standardiser),
            receptive_field=network.receptive_field,
            causal=network.causal,
            coordinates=cfg.coordinates,
            batch_size=split.batch_size,
        )
        fingerprint = module.fingerprint()
    settings = deciding_settings(cfg)
    callbacks = {name: value for name, value in settings["callbacks"].items() if _changes_weights(value)}
    plugins = plugin_digests([model, OmegaConf.to_container(cfg.data, resolve=True), callbacks])
    spec = {
        "code": {"training": code_digest(), **plugins},
        "training_data": fingerprint,
        "coordinates": cfg.coordinates,
        "seed": cfg.seed,
        # The fingerprint says it for the settings of synthetic data.
        "data": {key: value for key, value in settings["data"].items() if key != "settings"},
        "model": model,
        "trainer": settings["trainer"],
    }
    if start is not None:
        spec["start"] = _digest(start)
    if callbacks:
        spec["callbacks"] = callbacks
    return module, spec, short_hash(spec)


def _start(cfg: DictConfig) -> Lifter | None:
    """The lifter whose weights the training starts from. ConfigError where the command names another network too."""
    from lightning_modules.checkpoint import load_lifter

    if cfg.checkpoint is None:
        return None
    for word in HydraConfig.get().overrides.task if HydraConfig.initialized() else []:
        key = word.lstrip("+~").split("=")[0]
        if key in ("model", "network", "features") or key.startswith(("model.network", "model.features")):
            raise ConfigError(f"{word}: network and features are those of checkpoint={cfg.checkpoint}; leave it out")
    start = load_lifter(cfg.checkpoint, coordinates=cfg.coordinates)
    if start.scaled:
        raise ConfigError(
            f"checkpoint={cfg.checkpoint}: predicts normal coordinates and scales them; use the normal one"
        )
    return start


def _digest(lifter: Lifter) -> str:
    """Of its weights and statistics, wherever they were read from."""
    digest = hashlib.sha256()
    for name, value in sorted(lifter.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _tell_of_other_code(folder: Path, spec: dict[str, Any]) -> None:
    """Name the finished lifters of the same settings and data that other code has trained: they are not reused."""
    for path in sorted(folder.parent.glob("*/done.json")):
        other = load_object(path.with_name("spec.json"), _RETRAIN) if path.with_name("spec.json").is_file() else {}
        changed = [key for key in sorted({*other, *spec} - {"made_by"}) if other.get(key) != spec.get(key)]
        if changed == ["code"]:
            log.warning("%s has these settings, but other code trained it; checkpoint=%s uses it", *[path.parent] * 2)


def _warn_if_unfinished(name: str, record: dict[str, Any]) -> None:
    seen, asked = record.get("epochs"), record.get("max_epochs")
    if isinstance(seen, int) and isinstance(asked, int) and seen < asked:
        log.warning("%s: its training ended after %d of %d epochs", name, seen, asked)


def _made_by() -> dict[str, str | None]:
    return {"version": version(), "commit": commit()}


def _changes_weights(callback: Any) -> bool:
    target = (callback or {}).get("_target_")
    return target is not None and target not in _CHANGE_NO_WEIGHTS


def _empty(folder: Path) -> None:
    """Remove what is in a lifter folder, done.json first and all but the lock, which is held."""
    (folder / "done.json").unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()
    log.info("fresh=true: training from the start in %s", folder)


def _fit(
    cfg: DictConfig, split: Plan, module: LifterDataModule, folder: Path, digest: str, logger: Any, rank: int = 0
) -> None:
    """Train in `folder`, going on from its last.ckpt; as rank 0 write lifter.ckpt and done.json."""
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import ProgressBar

    from experiments.training.callbacks import EpochCheckpoint, ended_as_asked, usable
    from experiments.training.pictures import OcclusionPictures
    from lightning_modules.checkpoint import load_lifter, save_lifter
    from lightning_modules.lifter import Lifter
    from lightning_modules.prediction import lift
    from lightning_modules.synced_norm import synchronise
    from lightning_modules.training import LifterTraining
    from pose.metrics.mpi_inf_3dhp import mean_sequence_scores

    last = folder / "last.ckpt"
    goes_on = usable(last)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # importing it has reset that
    keep = EpochCheckpoint(last)
    callbacks = [made for callback in cfg.callbacks.values() if (made := instantiate(callback)) is not None]
    if cfg.logger.get("pictures"):
        callbacks.insert(0, OcclusionPictures(run_folder() / "pictures", logger))
    trainer = instantiate(
        cfg.trainer,
        logger=False if logger is None else for_trainer(logger),
        callbacks=[*callbacks, keep],
        default_root_dir=str(folder),
        **_trainer_kwargs(split),
        # Lightning would add its own, into files too.
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        _convert_="all",
    )
    with stage("reading the training data"):  # after what a wrong key would end
        module.setup("fit")
    # The first weights must not depend on what this process did before.
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    settings: Any = OmegaConf.to_container(cfg.model, resolve=True)
    network, features = settings.pop("network"), settings.pop("features")
    model, start = instantiate(settings, _convert_="all"), _start(cfg)
    if start is not None:
        network, features = start.settings["network"], start.settings.get("features")
    lifter = Lifter(
        network,
        coordinates=cfg.coordinates,
        fps=module.fps,
        seed=cfg.seed,
        training={
            "data": module.train_name,
            "epochs": 0,
            "max_epochs": cfg.trainer.max_epochs,
            "batch_size": cfg.data.batch_size,
        },
        features=features,
        feature_standardiser=module.table.feature_standardiser,
        target_standardiser=module.table.target_standardiser,
    )
    if start is not None:
        lifter.load_state_dict(start.state_dict())
    log.info(
        "training on %s: %d frames, %d epochs%s%s, in %s",
        module.train_name, len(module.table), cfg.trainer.max_epochs,
        "" if start is None else f", from {cfg.checkpoint}", ", continued" if goes_on else "", folder,
    )  # fmt: skip
    if split.processes > 1 and cfg.trainer.get("sync_batchnorm"):
        synchronise(lifter.network)
    with stage("training"):
        trainer.fit(
            LifterTraining(lifter, **model),
            datamodule=module,
            ckpt_path=str(last) if goes_on else None,
        )
    finished = ended_as_asked(trainer, keep)
    if rank != 0:
        return
    if not keep.trained:  # Lightning then skips the end of a training, where averages of weights take their place.
        lifter.load_state_dict(load_lifter(last).state_dict())
    sequences = module.validation_sequences
    metrics, per_sequence = mean_sequence_scores(lift(lifter, sequences), sequences)
    lifter.training_record["epochs"] = trainer.current_epoch
    save_lifter(folder / "lifter.ckpt", lifter)
    done = {
        "train_data": module.train_name,
        "hash": digest,
        "made_by": _made_by(),
        "finished": finished,
        "epochs": trainer.current_epoch,
        "max_epochs": cfg.trainer.max_epochs,
        "split": {"processes": split.processes, "accumulate": split.accumulate, "batch_size": split.batch_size},
        "validation": {"metrics": metrics, "per_sequence": per_sequence},
    }
    write_json(folder / "done.json", done)


def _trainer_kwargs(split: Plan) -> dict[str, Any]:
    """What shares a batch among processes and accumulated parts."""
    kwargs: dict[str, Any] = {
        "strategy": "ddp" if split.processes > 1 else "auto",
        "devices": split.processes,
        "accumulate_grad_batches": split.accumulate,
        "sync_batchnorm": False,  # Lightning's is for CUDA alone
    }
    if split.in_processes:
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment

        # What this process belongs to, such as a Slurm job of another shape, does not concern the training.
        kwargs["plugins"] = [LightningEnvironment()]
    return kwargs
