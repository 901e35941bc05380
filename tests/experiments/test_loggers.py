"""What wandb is told, read back out of the files of real offline runs; and that it never stops a run."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from lightning_modules.checkpoint import load_lifter


def records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format after a header of 7 bytes, in blocks of 32 kB."""
    data, block, at = path.read_bytes(), 32768, 7
    assert data[:4] == b":W&B"
    whole = b""
    while at + 7 <= len(data):
        if block - at % block < 7:  # too short for a header: padding
            at += block - at % block
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield whole
            whole = b""


@dataclass
class Told:
    """An offline run as it would reach the server."""

    about: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[tuple[str, set[str]]] = field(default_factory=list)
    exit_code: int | None = None


def told(folder: Path, patience_s: float = 20.0) -> Told:
    """The only offline run below this folder's wandb/. wandb's own process writes it, now and then a moment later."""
    (log,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    end = time.monotonic() + patience_s
    while (found := _read(log)).exit_code is None and time.monotonic() < end:
        time.sleep(0.2)
    return found


def _read(log: Path) -> Told:
    from wandb.proto.wandb_internal_pb2 import Record

    found = Told()
    for content in records(log):
        record = Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.about = record.run
            found.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            found.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            for item in record.history.item:
                key = item.key or "/".join(item.nested_key)
                found.curves.setdefault(key, []).append(json.loads(item.value_json))
        elif kind == "summary":
            for item in record.summary.update:
                found.summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        elif kind == "artifact":
            names = {entry.path for entry in record.artifact.manifest.contents}
            found.artifacts.append((record.artifact.type, names))
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def test_curves_config_summary_and_table_of_a_sweep(run_here, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    done = run_here(
        "experiment=table_occlusion_length", "size=tiny", "trainer.max_epochs=3", "refinement=none,interpolation",
        f"paths.lifters={tmp_path / 'lifters'}", f"hydra.sweep.dir={folder}",
        "logger.entity=lab", "logger.tags=[draft]",
    )  # fmt: skip
    assert done.returncode == 0, done.output

    first, second = (folder / f"refinement-{name}" for name in ("none", "interpolation"))
    trained = told(first)
    assert (trained.about.project, trained.about.run_group) == ("temporal-smoothing", "table_occlusion_length")
    assert trained.about.job_type == "evaluate"
    assert {"normal", "data=synthetic", "test=synthetic", "refinement=none", "draft"} <= set(trained.about.tags)
    assert (trained.about.display_name, trained.about.entity) == ("refinement-none", "lab")
    assert trained.config["size"]["batch_size"] == 64 and trained.config["seed"] == 0
    assert trained.config["paths"]["lifters"] == str(tmp_path / "lifters"), "resolved"
    assert trained.curves["train/learning_rate"] == pytest.approx([1e-3, 0.95e-3, 0.95**2 * 1e-3])
    for key in ("train/loss", "val/mpjpe_mm"):
        assert len(trained.curves[key]) == 3, f"{key}: one value an epoch"
    assert trained.curves["train/loss"][-1] < trained.curves["train/loss"][0]
    assert trained.exit_code == 0

    reused, metrics = told(second), json.loads((second / "metrics.json").read_text())
    assert reused.about.run_id != trained.about.run_id, "each row is a run of its own"
    assert "train/loss" not in reused.curves
    for kind in ("lifted", "refined"):
        for key, value in metrics["metrics"][kind].items():
            assert reused.summary[f"{kind}/{key}"] == pytest.approx(value), (kind, key)
    occluded = metrics["occlusion"]["refined"]["mrpe_mm"]
    assert reused.summary["refined/mrpe_mm/visible"] == pytest.approx(occluded["visible"])
    assert not (second / "wandb_id.txt").exists(), "it has come to its end"
    assert reused.artifacts == [("result", {"metrics.json", "table.md"})]

    whole = told(folder)
    assert (whole.about.job_type, whole.about.run_group) == ("table", "table_occlusion_length")
    assert whole.artifacts[-1] == ("result", {"table.md", "table.csv", "table.tex", "figure.png", "figure.pdf"})
    assert {"table", "figure"} <= {name.split("/")[0] for name in whole.curves}
    (stored,) = folder.glob("wandb/offline-run-*/files/media/table/*.json")
    table = json.loads(stored.read_text())
    assert table["columns"][:2] == ["refinement", "MRPE mm, visible ↓"]
    assert [row[0] for row in table["data"]] == ["none", "interpolation"]
    assert table["data"][1][1] == pytest.approx(metrics["occlusion"]["refined"]["mrpe_mm"]["visible"])
    assert list(folder.glob("wandb/offline-run-*/files/media/images/figure_*.png"))


def test_a_picture_of_an_occlusion_after_every_epoch(run_here, tmp_path: Path) -> None:
    """Off by default, and the same lifter with and without."""
    words = ["experiment=train", "data=synthetic", "size=tiny", "logger=wandb", "trainer.max_epochs=2"]
    weights = []
    for pictures in (False, True):
        place = tmp_path / str(pictures)
        more = [f"paths.lifters={place}", *["logger.pictures=true"] * pictures]
        done = run_here(*words, "data.windows_per_epoch=256", *more, folder=f"run_{pictures}")
        assert done.returncode == 0, done.output
        weights.append(load_lifter(next(place.iterdir())).state_dict())
        shown = told(done.folder)
        assert len(shown.curves["val/mpjpe_mm"]) == 2
        assert len(shown.curves.get("val/occlusion/count", [])) == 2 * pictures
    stored = sorted(done.folder.glob("wandb/offline-run-*/files/media/images/val/occlusion_*.png"))
    drawn = sorted(done.folder.glob("pictures/epoch_*.png"))
    assert len(stored) == 2 and [path.read_bytes() for path in drawn] == [path.read_bytes() for path in stored]
    assert drawn[0].read_bytes() != drawn[1].read_bytes(), "the lifter has learned"
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.size == (1600, 900)
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def break_init(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("no server, no disk, no luck")

    monkeypatch.setattr("wandb.init", fail)


def remove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)


@pytest.mark.parametrize("way", [break_init, remove])
def test_without_wandb_the_run_goes_on(run_here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way) -> None:
    way(monkeypatch)
    words = ["experiment=mupots_mm", "size=tiny", "data.windows_per_epoch=640", f"paths.lifters={tmp_path / 'lifters'}"]
    done = run_here(*words)
    assert done.returncode == 0, done.output
    assert "wandb cannot be used" in done.output
    curves = (done.folder / "curves" / "metrics.csv").read_text()
    assert "train/loss" in curves and "refined/mrpe_mm" in curves
    swept = run_here("-m", *words, "refinement=none,interpolation", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert swept.returncode == 0, swept.output
    assert (tmp_path / "sweep" / "table.md").exists()


def test_a_failure_on_the_way_is_only_said(run_here, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("the connection is gone")

    monkeypatch.setattr("wandb.sdk.wandb_run.Run.log", fail)
    monkeypatch.setattr("wandb.sdk.wandb_run.Run.log_artifact", fail)
    done = run_here("experiment=mupots_mm", "size=tiny")
    assert done.returncode == 0, done.output
    assert "the connection is gone" in done.output
    assert (done.folder / "table.md").exists()


def test_a_failed_run_says_so_and_the_next_has_its_own(run_here, tmp_path: Path, monkeypatch) -> None:
    from experiments.tasks import evaluate

    def broken(cfg):
        raise RuntimeError("a bug")

    monkeypatch.setattr(evaluate, "read_test_set", broken)
    words = ["-m", "experiment=mupots_mm", "size=tiny", "refinement=none", "seed=1,2"]
    done = run_here(*words, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert done.returncode == 1
    both = [told(tmp_path / "sweep" / f"seed-{seed}") for seed in (1, 2)]
    assert [found.exit_code for found in both] == [1, 1]
    assert both[0].about.run_id != both[1].about.run_id
    noted = (tmp_path / "sweep" / "seed-1" / "wandb_id.txt").read_text()
    assert both[0].about.run_id == noted, "the same command goes on in this run"


@pytest.mark.parametrize("word", ["logger.mode=sometimes", "logger.pictures=2"])
def test_a_setting_that_is_not_known_is_an_error(run_here, word: str) -> None:
    done = run_here("experiment=mupots_mm", "size=tiny", word)
    assert done.returncode == 2
    assert f"{word}: must be" in done.output


#: wandb's own agent; what it asks its server is answered here: the sweep, one trial, the end.
AGENT = """
import json, multiprocessing, sys
import wandb
from wandb.apis.public import sweeps
from wandb.wandb_agent import Agent

sweep, trial = map(json.loads, sys.argv[1:])
commands = [{"type": "run", "run_id": "trial1", "program": sweep["program"], "args": trial}]

class Server:  # older versions of wandb ask an object, newer ones call functions
    def sweep(self, *asked, **more):
        return {"config": json.dumps(sweep)}

    def register_agent(self, *asked, **more):
        return {"id": "agent"}

    def agent_heartbeat(self, *asked, **more):
        return [commands.pop()] if commands else []

wandb.Api = Server
sweeps._sweep_with_runs, sweeps._register_agent = Server.sweep, Server.register_agent
sweeps._agent_heartbeat = Server.agent_heartbeat
Agent.POLL_INTERVAL = 0.2
Agent(Server(), multiprocessing.Queue(), sweep_id="sweep1", count=1).run()
"""


def test_wandbs_agent_drives_a_run_by_the_sweep_of_the_page(repo: Path, tmp_path: Path) -> None:
    page = (repo / "docs" / "sweeps.md").read_text()
    sweep = yaml.safe_load(page.split("```yaml\n# sweep.yaml\n")[1].split("```")[0])
    values = {key: of["values"][-1] if "values" in of else of["min"] for key, of in sweep["parameters"].items()}
    sweep["command"].remove("logger.mode=online")
    sweep["command"][-1:-1] = ["logger.mode=offline", "size=tiny", "data=synthetic", f"paths.outputs={tmp_path}"]
    trial = {key: {"value": value} for key, value in values.items()}
    found_first = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", AGENT, json.dumps(sweep), json.dumps(trial)],
        cwd=repo, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PATH": found_first, "WANDB_DIR": str(tmp_path), "WANDB_SWEEP_ID": "sweep1"},
    )  # fmt: skip
    (folder,) = (tmp_path / "train").iterdir()
    cfg = yaml.safe_load((folder / "config.yaml").read_text())
    assert (cfg["model"]["optimizer"]["lr"], cfg["objective"]) == (1e-4, sweep["metric"]["name"]), done.stderr
    assert cfg["model"]["network"]["channels"] == cfg["size"]["channels"] // 2
    driven = told(folder)
    assert (driven.about.run_id, driven.about.sweep_id, driven.exit_code) == ("trial1", "sweep1", 0)
    assert driven.config["model.optimizer.lr"] == 1e-4, "what the sweep compares trials by"
    assert len(driven.curves[sweep["metric"]["name"]]) == 1
