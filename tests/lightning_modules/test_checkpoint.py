"""Checkpoints: every kind that is read, both that are written, and each way in which one can be wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_modules import builtin
from lightning_modules.checkpoint import export_published, export_safetensors, load_lifter, save_lifter
from lightning_modules.lifter import Lifter
from lightning_modules.prediction import lift
from pose.errors import ConfigError, DataError, MismatchError


def same(one: Lifter, other: Lifter) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert built(one) == built(other) and one.coordinates == other.coordinates and one.fps == other.fps


@pytest.fixture
def published(golden: Path, tmp_path: Path) -> Path:
    """A copy of the published folder that a test may damage."""
    return Path(shutil.copytree(golden / "checkpoint", tmp_path / "published"))


def built(lifter: Lifter) -> tuple:
    network = lifter.network
    return network.channels, network.filter_widths, network.dropout.p, network.causal, network.norm


def edit_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"].update(changes.pop("model", {}))
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_a_published_folder(golden_lifter: Lifter, golden: Path) -> None:
    assert golden_lifter.settings["network"] == {
        "channels": 24,
        "filter_widths": [3, 3, 3],
        "dropout": 0.25,
        "causal": False,
        "norm": "batch",
    }
    assert golden_lifter.coordinates == "normal" and golden_lifter.fps is None and not golden_lifter.training
    statistics = dict(np.load(golden / "preprocess.npz"))
    assert torch.equal(golden_lifter.feature_mean, torch.from_numpy(statistics["mean2d"]))
    assert torch.equal(golden_lifter.target_std, torch.from_numpy(statistics["std3d"]))


def test_our_own_in_all_its_places(make_lifter, tmp_path: Path) -> None:
    lifter = make_lifter(coordinates="universal", training={"data": "synthetic", "sizes": [1, 2]})
    folder = tmp_path / "lifters" / "abc"
    save_lifter(folder / "lifter.ckpt", lifter)
    for number, place in enumerate(["../lifters/abc", str(folder)]):
        run = tmp_path / f"run{number}"
        run.mkdir()
        (run / "lifter.json").write_text(json.dumps({"folder": place}))
        same(load_lifter(run), lifter)
    for path in (folder, folder / "lifter.ckpt", str(folder)):
        loaded = load_lifter(path, coordinates="universal")
        same(loaded, lifter)
        assert loaded.settings == lifter.settings
    assert os.listdir(folder) == ["lifter.ckpt"]


def test_a_checkpoint_of_an_earlier_version(make_lifter, tmp_path: Path) -> None:
    """Lightning wrote them, and `coordinates` was `variant`."""
    lifter, path = make_lifter(coordinates="universal", training={"data": "synthetic"}), tmp_path / "old.ckpt"
    save_lifter(path, lifter)
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["variant"] = content["hyper_parameters"].pop("coordinates")
    torch.save({**content, "pytorch-lightning_version": "2.4.0", "epoch": 3, "optimizer_states": []}, path)
    same(load_lifter(path, coordinates="universal"), lifter)
    assert load_lifter(path).settings == lifter.settings


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"norm": "instance"}])
@pytest.mark.parametrize("coordinates", ["normal", "universal"])
def test_the_published_format_round_trip(make_lifter, tmp_path: Path, options, coordinates: str) -> None:
    lifter = make_lifter(network={"channels": 8, "filter_widths": [3, 3], **options}, coordinates=coordinates)
    export_published(lifter, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["config.json", "model_params.pkl", "preprocess_params.pkl"]
    same(load_lifter(tmp_path / "out", coordinates=coordinates), lifter)


def test_the_export_looks_like_the_original(golden_lifter: Lifter, golden: Path, tmp_path: Path) -> None:
    export_published(golden_lifter, tmp_path)
    original = golden / "checkpoint"
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads((original / "config.json").read_text())
    ours, theirs = (torch.load(folder / "model_params.pkl", weights_only=True) for folder in (tmp_path, original))
    assert set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in theirs)
    ours, theirs = (pickle.loads((folder / "preprocess_params.pkl").read_bytes()) for folder in (tmp_path, original))
    assert [step["name"] for step in ours] == [step["name"] for step in theirs]
    for mine, other in zip(ours[:2], theirs[:2], strict=True):
        assert set(mine["state"]) == set(other["state"])
        np.testing.assert_array_equal(mine["state"]["std"], other["state"]["std"])


def test_another_variant_is_refused_naming_both(golden: Path) -> None:
    with pytest.raises(MismatchError, match="coordinates=normal given, coordinates=universal expected"):
        load_lifter(golden / "checkpoint", coordinates="universal")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"channels": 32}}, r"model_params\.pkl: shrink\.weight has shape \(51, 24, 1\).*\(51, 32, 1\)"),
        ({"model": {"filter_widths": [5, 3, 3]}}, r"model_params\.pkl: .* has shape \(24, 42, 3\).*\(24, 42, 5\)"),
        ({"pose2d_type": "openpose"}, r"config\.json: pose2d_type is 'openpose', expected 'hrnet'"),
        ({"pose3d_scaling": "metric"}, r"config\.json: pose3d_scaling is 'metric', expected 'normal' or 'univ'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_naming_both(published: Path, changes, message: str) -> None:
    edit_config(published, **changes)
    with pytest.raises(MismatchError, match=message):
        load_lifter(published)


def test_layers_that_do_not_fit_are_refused(published: Path) -> None:
    edit_config(published, model={"filter_widths": [3, 3]})
    with pytest.raises(DataError, match=r"model_params\.pkl: weights do not fit.*unknown layers_conv\.2\.weight"):
        load_lifter(published)
    edit_config(published, model={"filter_widths": [3, 3, 4]})
    with pytest.raises(ConfigError, match=r"filter_widths=\[3, 3, 4\]"):
        load_lifter(published)


def test_statistics_of_another_width_are_refused(published: Path) -> None:
    path = published / "preprocess_params.pkl"
    steps = pickle.loads(path.read_bytes())
    steps[0]["state"]["std"] = np.ones(51, np.float32)
    path.write_bytes(pickle.dumps(steps, 2))
    with pytest.raises(MismatchError, match=r"std of step 0 has shape \(51,\), expected \(42,\)"):
        load_lifter(published)
    steps[0]["state"]["std"] = np.zeros(42, np.float32)
    path.write_bytes(pickle.dumps(steps, 2))
    with pytest.raises(DataError, match=r"preprocess_params\.pkl: mean and std of step 0 must be finite, std positive"):
        load_lifter(published)
    steps[0]["state"]["std"] = "many"
    path.write_bytes(pickle.dumps(steps, 2))
    with pytest.raises(DataError, match=r"preprocess_params\.pkl: mean and std of step 0 are no numbers"):
        load_lifter(published)
    path.write_bytes(pickle.dumps(steps[1:2], 2))
    with pytest.raises(DataError, match=r"preprocess_params\.pkl: expected a list of three"):
        load_lifter(published)


class _Runs:
    def __reduce__(self):
        return os.system, ("echo owned",)


@pytest.mark.parametrize("name", ["model_params.pkl", "preprocess_params.pkl", "config.json"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "garbage", "program"])
def test_damage_is_one_line_that_names_the_file(published: Path, name: str, damage: str) -> None:
    path = published / name
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "garbage":
        path.write_bytes(b"\x00\x01 nothing of the kind")
    else:
        path.write_bytes(pickle.dumps(_Runs(), 2))
    with pytest.raises(DataError) as caught:
        load_lifter(published)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_old_weights_without_counters_are_read(published: Path, golden_lifter: Lifter) -> None:
    path = published / "model_params.pkl"
    state = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, path)
    assert torch.equal(load_lifter(published).network.shrink.weight, golden_lifter.network.shrink.weight)


def test_weights_that_are_not_numbers_are_refused(published: Path) -> None:
    path = published / "model_params.pkl"
    state = torch.load(path, weights_only=True)
    state["shrink.bias"][3] = torch.nan
    torch.save(state, path)
    with pytest.raises(DataError, match=r"model_params\.pkl: shrink\.bias: 1 values are NaN"):
        load_lifter(published)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match=r"model_params\.pkl: expected a dict of tensors"):
        load_lifter(published)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: does not exist; give builtin:NAME, a published checkpoint folder"):
        load_lifter(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds neither lifter\.ckpt, lifter\.json nor config\.json"):
        load_lifter(tmp_path)
    (tmp_path / "lifter.json").write_text('{"folder": "gone"}')
    with pytest.raises(DataError, match=r"lifter\.json: points to .*gone, which does not exist"):
        load_lifter(tmp_path)
    (tmp_path / "lifter.json").write_text("[]")
    with pytest.raises(DataError, match=r"lifter\.json: expected a JSON object, found list"):
        load_lifter(tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(DataError, match=r"other\.ckpt: has no 'hyper_parameters'"):
        load_lifter(tmp_path / "other.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": {"lr": 1}}, tmp_path / "other.ckpt")
    with pytest.raises(DataError, match=r"other\.ckpt: not a checkpoint of this lifter"):
        load_lifter(tmp_path / "other.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": {}, "more": _Runs()}, tmp_path / "other.ckpt")
    with pytest.raises(DataError, match=r"other\.ckpt: not a readable file of weights"):
        load_lifter(tmp_path / "other.ckpt")


def test_a_safetensors_file_holds_a_lifter_in_half_precision(make_lifter, make_person, tmp_path: Path) -> None:
    lifter = make_lifter(coordinates="universal", training={"data": "mocap"}).eval()
    export_safetensors(tmp_path / "a.safetensors", lifter)
    loaded = load_lifter(tmp_path / "a.safetensors", coordinates="universal")
    assert loaded.settings == lifter.settings and not loaded.training
    assert torch.equal(loaded.feature_std, lifter.feature_std)
    for name, value in lifter.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=5e-4, atol=1e-6)
    before, after = (lift(one, [make_person()])[0].poses_3d for one in (lifter, loaded))
    assert (before - after).abs().max() < 0.01 * before.std()
    with pytest.raises(MismatchError, match="coordinates=universal given, coordinates=normal expected"):
        load_lifter(tmp_path / "a.safetensors", coordinates="normal")


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * 64])
def test_a_damaged_safetensors_file_is_refused(make_lifter, tmp_path: Path, damage) -> None:
    path = tmp_path / "a.safetensors"
    export_safetensors(path, make_lifter())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"a\.safetensors: not a lifter in a safetensors file"):
        load_lifter(path)


def test_lifters_that_come_with_the_package_have_names(make_lifter, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(builtin, "WEIGHTS", tmp_path)
    with pytest.raises(ConfigError, match="checkpoint=builtin:mine: no such lifter; there are none"):
        load_lifter("builtin:mine")
    export_safetensors(tmp_path / "mine.safetensors", make_lifter())
    assert load_lifter("builtin:mine").coordinates == "normal"
    with pytest.raises(ConfigError, match="checkpoint=builtin:yours: no such lifter; there are mine"):
        load_lifter("builtin:yours")
