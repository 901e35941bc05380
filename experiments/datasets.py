"""Which data sets are there, and what a run does when they are not.

Decided once, before anything is read or hashed:
- What a run needs is what its training set (unless it takes a `checkpoint` or reads predictions) and its test set need.
- Nothing of it found, and `paths.datasets` left at its default: both fall back together to synthetic data of
  a small size. A warning says so, and every result is marked. But not over rows that were finished on real data, nor
  where `./datasets` is a dangling link, a file or holds folders of other case: these are errors.
- Anything else that is missing is an error that lists each file and where it comes from; with `data.require_real=true`
  so is synthetic data.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fileio.json_yaml import load_object
from fileio.text_lines import natural_order
from pose.errors import ConfigError, DataError, ListedError

log = logging.getLogger(__name__)

#: Folders below paths.datasets of each choice of `data` and `test`; synthetic data need none, and a set of the user's
#: own looks for its files itself.
FOLDERS = {
    "mpi_inf_3dhp": ("Mpi3DHP",),
    "muco_temp": ("MucoTemp", "Mpi3DHP"),
    "both": ("Mpi3DHP", "MucoTemp"),
    "mupots_3d": ("MuPoTS",),
    "mocap": ("Mocap",),
    "synthetic": (),
}


def resolve(cfg: DictConfig, trains: bool, tests: bool) -> DictConfig:
    """The configuration to go on with: `cfg`, or the same command on synthetic data. See the module's docstring."""
    needed = ([cfg.data] if trains else []) + ([cfg.test] if tests else [])
    folders = {folder for group in needed for folder in FOLDERS.get(group.name, ())}
    if cfg.data.require_real and any(group.name == "synthetic" for group in needed):
        raise ConfigError("data.require_real=true: data=synthetic or test=synthetic is chosen; choose real data sets")
    if not folders:
        return cfg
    root = datasets_root(cfg)
    if cfg.paths.datasets is not None and not root.is_dir():
        raise DataError(f"paths.datasets={root}: no such folder; give the one that holds MuPoTS/, Mpi3DHP/, MucoTemp/")
    found = any((root / folder).is_dir() for folder in folders)
    if not found and cfg.paths.datasets is None and not cfg.data.require_real:
        _check_absent(root, folders)
        _check_no_real_rows(root)
        return _on_synthetic_data(cfg, sorted(folders))
    missing: dict[str, list[Path]] = {}
    if trains:
        module = data_module(cfg, coordinates=cfg.coordinates)
        for reader in [*module.train_readers(), module.validation_reader()]:
            missing.setdefault(reader.SOURCE, []).extend(reader.missing_files())
    if tests:
        reader = evaluation_reader(cfg)
        missing.setdefault(reader.SOURCE, []).extend(reader.missing_files())
    if any(missing.values()):
        raise ListedError(_list_missing(missing))
    return cfg


def _check_absent(root: Path, folders: set[str]) -> None:
    """DataError where data sets are meant to be in `root` and cannot be used: synthetic ones would be a surprise."""
    if root.is_symlink() and not root.exists():
        raise DataError(f"{root}: a link to {root.readlink()}, which is not there; mount it, or remove the link")
    if root.exists() and not root.is_dir():
        raise DataError(f"{root}: is a file; a folder with the data sets is expected")
    for entry in root.iterdir() if root.is_dir() else ():
        for folder in folders:
            if entry.name.lower() == folder.lower() and (entry.name != folder or not entry.is_dir()):
                raise DataError(f"{entry}: a folder {folder} is expected; rename or mount it")


def _check_no_real_rows(root: Path) -> None:
    """DataError where this run, or a row of its sweep, was finished on real data: these are gone, or not mounted."""
    hydra = HydraConfig.get()
    place = Path(hydra.runtime.output_dir)
    for path in place.parent.glob("*/metrics.json") if hydra.mode == RunMode.MULTIRUN else [place / "metrics.json"]:
        try:
            data = load_object(path).get("data", "synthetic")
        except DataError:  # none, or damaged
            continue
        if data != "synthetic":
            raise DataError(
                f"{path.parent}: was finished on {data}, and {root} holds no data sets now; mount them, set "
                "paths.datasets, or take another folder for synthetic data"
            )


def data_files(cfg: DictConfig, trains: bool, tests: bool) -> list[Path]:
    """The files of the data sets that are read; none of synthetic data, whose content follows from their settings."""
    readers: list[Any] = [evaluation_reader(cfg)] if tests and cfg.test.name != "synthetic" else []
    if trains and cfg.data.name != "synthetic":
        module = data_module(cfg, coordinates=cfg.coordinates)
        readers += [*module.train_readers(), module.validation_reader()]
    return [Path(file) for reader in readers for file in reader.files()]


def datasets_root(cfg: DictConfig) -> Path:
    return Path(cfg.paths.datasets if cfg.paths.datasets is not None else "datasets")


def data_module(cfg: DictConfig, **more: Any):
    """The LightningDataModule of `cfg.data` on `paths.datasets`."""
    return _build(cfg.data, root=str(datasets_root(cfg)), **more)


def evaluation_reader(cfg: DictConfig):
    """The reader of `cfg.test` in its folder below `paths.datasets`."""
    return _build(cfg.test, root=str(datasets_root(cfg).joinpath(*FOLDERS.get(cfg.test.name, ())[:1])))


def _build(group: DictConfig, **more: Any) -> Any:
    options: Any = OmegaConf.to_container(group, resolve=True)
    return instantiate({key: value for key, value in options.items() if key not in ("name", "require_real")}, **more)


def _on_synthetic_data(cfg: DictConfig, folders: list[str]) -> DictConfig:
    benchmark = "mpi_inf_3dhp" if cfg.test.name == "mpi_inf_3dhp" else "mupots_3d"
    given: Any = OmegaConf.to_container(HydraConfig.get().overrides.task)  # unresolved: `\\${` stays as it is
    kept = [word for word in given if word.split("=")[0] not in ("data", "test", "test.detections")]
    sized = any(word.startswith("size=") for word in given)
    log.warning(
        "No data sets here (%s not found in ./datasets): this run uses SYNTHETIC DATA of a small size. Its "
        "numbers say nothing about the real data sets. Put those into ./datasets or set paths.datasets "
        "(docs/datasets.md).",
        ", ".join(folders),
    )
    parts = cfg.data.name if cfg.data.name in ("mpi_inf_3dhp", "muco_temp") else "both"
    words = ["data=synthetic", f"data.parts={parts}", "test=synthetic", f"test.benchmark={benchmark}"]
    words += [] if sized else [f"size={cfg.synthetic_size}"]
    return compose("config", overrides=[*kept, *words])


def _list_missing(missing: dict[str, list[Path]]) -> list[str]:
    """Every missing file, a line for each folder, under where it comes from."""
    lines = [f"{sum(len(set(files)) for files in missing.values())} files are missing:"]
    for source, files in missing.items():
        folders: dict[Path, list[str]] = {}
        for file in sorted(set(files), key=lambda file: natural_order(str(file))):
            folders.setdefault(file.parent, []).append(file.name)
        lines += [f"  {folder}: {', '.join(names)}" for folder, names in folders.items()]
        if files:
            lines.append(f"    from: {source}")
    return [*lines, "Add them, or set paths.datasets to the folder that holds them."]
