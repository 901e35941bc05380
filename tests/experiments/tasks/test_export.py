"""`experiment=export`: a lifter in every format that other programs read."""

from __future__ import annotations

import pytest

from lightning_modules.checkpoint import load_lifter

LIFTER = "checkpoint=builtin:mocap_normal_causal"


def test_onnx(run_here) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs extra onnx")
    done = run_here("experiment=export", LIFTER, "format=onnx")
    assert done.returncode == 0, done.output
    said = onnxruntime.InferenceSession(done.folder / "lifter.onnx").get_modelmeta().custom_metadata_map
    assert said["causal"] == "true" and int(said["receptive_field"]) == load_lifter(LIFTER[11:]).receptive_field


@pytest.mark.parametrize(("form", "name"), [("published", "published"), ("safetensors", "lifter.safetensors")])
def test_files_that_we_read_ourselves(run_here, form: str, name: str, golden) -> None:
    done = run_here("experiment=export", f"checkpoint={golden / 'checkpoint'}", f"format={form}")
    assert done.returncode == 0, done.output
    before, after = load_lifter(golden / "checkpoint"), load_lifter(done.folder / name)
    assert after.settings["coordinates"] == before.settings["coordinates"]
    assert before.network.state_dict().keys() == after.network.state_dict().keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["format=h5", LIFTER], "format=h5: must be one of onnx, published, safetensors"),
        ([], "checkpoint=null: give the lifter to export, such as checkpoint=builtin:mocap_normal"),
    ],
)
def test_what_it_needs(run_here, words: list[str], message: str) -> None:
    done = run_here("experiment=export", *words)
    assert done.returncode == 2 and message in done.output
