"""A sweep whose jobs each train by two processes, through every launcher that runs on one machine.

Four jobs, two lifters: of the two jobs that want one lifter, one trains it and the other reuses it or waits for it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

WORDS = [
    "-m", "experiment=train", "data=synthetic", "size=tiny", "data.windows_per_epoch=128", "seed=1,2",
    "table.title=a,b", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
]  # fmt: skip
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=workstation", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
}


@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_each_job_of_a_sweep_trains_its_own_lifter_by_two_ranks(run, run_here, tmp_path: Path, launcher: str) -> None:
    if launcher != "basic":
        pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher", reason="needs extra sweeps")
    start = run_here if launcher == "basic" else run
    done = start(*WORDS, *LAUNCHERS[launcher], f"paths.lifters={tmp_path}/l", f"hydra.sweep.dir={tmp_path}/sweep")
    assert done.returncode == 0, done.output
    jobs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/metrics.json"))
    assert len(jobs) == 4, "one set of outputs a job"
    lifter_of_seed: dict[str, set[str]] = {}
    trainings = []
    for job in jobs:
        seed = re.search("seed-([0-9])", job.name)
        assert seed is not None
        digest = json.loads((job / "lifter.json").read_text())["hash"]
        lifter_of_seed.setdefault(seed[1], set()).add(digest)
        spec = json.loads((tmp_path / "l" / digest / "spec.json").read_text())
        assert spec["seed"] == int(seed[1])
        ranks = sorted(job.glob("training/rank_*/run.log"))
        for rank, log in enumerate(ranks):
            assert f"rank {rank} of 2 trains the lifter {digest}" in log.read_text()
        trainings += [digest] * bool(ranks)
        assert len(ranks) in (0, 2)
    assert all(len(digests) == 1 for digests in lifter_of_seed.values())
    assert len(trainings) == len(set(trainings)) == 2, "one training of each lifter"
    for digest in trainings:
        assert json.loads((tmp_path / "l" / digest / "done.json").read_text())["split"]["processes"] == 2


@pytest.mark.parametrize("launcher", ["workstation", "slurm", "joblib", "submitit_local", "submitit_slurm"])
def test_launchers_compose(launcher: str, repo: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs extra sweeps")
    from hydra import compose, initialize_config_dir
    from hydra.utils import get_object

    with initialize_config_dir(version_base="1.3", config_dir=str(repo / "conf")):
        cfg = compose("config", overrides=[f"hydra/launcher={launcher}"], return_hydra_config=True)
    settings = cfg.hydra.launcher
    assert "Launcher" in get_object(settings._target_).__name__
    if launcher == "slurm":
        assert (settings.tasks_per_node, settings.nodes, settings.array_parallelism) == (1, 1, 64)
