"""Rows are named by what varies; two sweeps of one experiment are kept apart, or refused in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from experiments.runs.sweep_words import note_command, place_sweep, row_name, sweep_words, varied
from pose.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf"


@pytest.fixture
def composed():
    """(multirun configuration, the configuration of a job) of these words."""

    def compose(*words: str, job: tuple[str, ...] = ()):
        loader = GlobalHydra.instance().config_loader()
        whole = loader.load_configuration("config", list(words), RunMode.MULTIRUN)
        place_sweep(whole)
        return whole, loader.load_sweep_config(whole, list(job))

    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        yield compose


def folder_of(config) -> str:
    return str(config.hydra.sweep.dir)


@pytest.mark.parametrize(
    ("words", "job", "name"),
    [
        (["seed=1,2", "size=tiny"], ["seed=1", "size=tiny"], "seed-1"),
        (["checkpoint=A,B"], ["checkpoint=B"], "checkpoint-B"),
        (["coordinates=normal,universal"], ["coordinates=normal"], "coordinates-normal"),
        (["trainer.devices=1,2"], ["trainer.devices=2"], "trainer.devices-2"),
        (["refinement=none"], ["refinement=none"], "row"),
        (["refinement=published/no_hip_terms,paper"], ["refinement=published/no_hip_terms"], None),
    ],
)
def test_a_row_is_named_by_what_varies(composed, words, job, name) -> None:
    experiment = "experiment=mupots_mm"
    _, config = composed("hydra.mode=MULTIRUN", experiment, *words, job=(experiment, *job))
    found = row_name(config.hydra.job.override_dirname)
    assert found == name or (name is None and found.startswith("refinement-published_no_hip_terms_"))


def test_projects_that_share_outputs_have_folders_of_their_own(composed, tmp_path, monkeypatch) -> None:
    def sweep(project: str, *words: str) -> str:
        (tmp_path / project).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / project)
        whole, _ = composed("experiment=mupots_mm", f"paths.outputs={tmp_path / 'shared'}", "seed=1,2", *words)
        note_command(whole)
        return folder_of(whole)

    first, second = sweep("a"), sweep("b")
    assert first != second and (sweep("a"), sweep("b")) == (first, second)
    assert sweep("a", "paths.datasets=/data") == sweep("b", "paths.datasets=/data")  # the same wherever they start
    with pytest.raises(ConfigError, match=f"holds another sweep.*started in {tmp_path / 'a'}"):
        sweep("b", f"hydra.sweep.dir={first}")
    monkeypatch.chdir(tmp_path / "a")
    whole, _ = composed("experiment=mupots_mm", "seed=1,2")
    monkeypatch.chdir(tmp_path / "b")  # outputs of its own move with a project
    assert folder_of(composed("experiment=mupots_mm", "seed=1,2")[0]) == folder_of(whole)


def test_thirteen_overrides_give_a_name_that_file_systems_take(composed) -> None:
    keys = [f"model.network.key_with_a_long_name_{i}" for i in range(13)]
    jobs = [[f"+{key}={value}" for key in keys] for value in "ab"]
    swept = [f"+{key}=a,b" for key in keys]
    names = {row_name(composed(*swept, job=tuple(job))[1].hydra.job.override_dirname) for job in jobs}
    assert len(names) == 2 and all(len(name) < 120 for name in names)


def test_sweeps_of_other_words_or_keys_have_other_folders(composed, tmp_path: Path) -> None:
    plain = "experiment=table_interpolation"
    assert folder_of(composed(plain)[0]) == "outputs/table_interpolation/sweep"
    assert folder_of(composed(plain, "refinement=none,paper", "logger=csv")[0]) == "outputs/table_interpolation/sweep"
    other = [
        folder_of(composed(plain, *words)[0])
        for words in (
            ["seed=1,2"],
            ["seed=1"],
            ["size=tiny"],
            ["checkpoint=a"],
            ["paths.datasets=a"],
            ["paths.datasets=b"],
        )
    ]
    assert len(set(other)) == 6 and all(name.startswith("outputs/table_interpolation/sweep_") for name in other)
    both, job = composed("experiment=mupots_mm,mupots_pck", job=("experiment=mupots_pck",))
    assert folder_of(both) == "outputs/mupots_mm+mupots_pck/sweep" == job.hydra.sweep.dir
    given = composed(plain, "size=tiny", f"hydra.sweep.dir={tmp_path}")[0]
    assert folder_of(given) == str(tmp_path)


def test_a_folder_of_another_sweep_is_refused(composed, tmp_path: Path) -> None:
    def start(*words: str) -> None:
        note_command(composed(*words, f"hydra.sweep.dir={tmp_path}")[0])

    start("experiment=table_interpolation", "size=tiny")
    start("experiment=table_interpolation", "size=tiny", "refinement=none,paper", "logger=csv")
    for words in (["size=tiny", "seed=1,2"], ["size=small"], []):
        with pytest.raises(
            ConfigError, match=r"holds another sweep, experiment=table_interpolation refinement=\.\.\. size=ti"
        ):
            start("experiment=table_interpolation", *words)
    with pytest.raises(ConfigError, match="holds another sweep"):
        start("experiment=table_lifter", "size=tiny")


def test_what_the_file_varies_counts_as_varied_unless_it_is_given(composed) -> None:
    assert varied(sweep_words(composed("experiment=table_lifter")[0])) == ["network"]
    assert varied(sweep_words(composed("experiment=table_lifter", "network=causal", "seed=1,2")[0])) == ["seed"]
