"""A sweep whose jobs want one lifter, trained by two processes, through each launcher that starts processes here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

WORDS = [
    "-m", "experiment=train", "data=synthetic", "size=tiny", "data.windows_per_epoch=128", "table.title=a,b",
    "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
]  # fmt: skip
LAUNCHERS = {
    "joblib": ["hydra/launcher=workstation", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
}


@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_one_job_trains_by_two_ranks_and_the_other_waits_for_its_lifter(run, tmp_path: Path, launcher: str) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher", reason="needs extra sweeps")
    done = run(*WORDS, *LAUNCHERS[launcher], f"paths.lifters={tmp_path}/l", f"hydra.sweep.dir={tmp_path}/sweep")
    assert done.returncode == 0, done.output
    jobs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/metrics.json"))
    assert len(jobs) == 2, "one set of outputs a job"
    (digest,) = {json.loads((job / "lifter.json").read_text())["hash"] for job in jobs}
    ranks = [log for job in jobs for log in sorted(job.glob("training/rank_*/main.log"))]
    assert len(ranks) == 2, "one training"
    for rank, log in enumerate(ranks):
        assert f"rank {rank} of 2 trains the lifter {digest}" in log.read_text()
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
