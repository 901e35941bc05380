"""Whatever may take more than two seconds says how far it is, in frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.long_video import detections
from inference.cameras.camera import CameraSettings
from inference.export.json_csv import CsvExporter, JsonExporter
from inference.pipeline import Pipeline
from lightning_modules.prediction import lift


def test_every_long_stage_says_how_many_frames_are_done(tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture):
    for name in ("TELL_S", "TELL_FRACTION"):
        monkeypatch.setattr(f"pose.progress.{name}", 0.0)
    monkeypatch.setattr("inference.lifting.lift", lambda *given: lift(*given, frames_per_call=10))
    caplog.set_level("INFO")
    scene = Pipeline(camera=CameraSettings(fx=1500.0)).run(detections(40, people=2)).scene
    for exporter in (JsonExporter(), CsvExporter()):
        exporter.write(scene, tmp_path)
    said = {record.getMessage().split(":")[0] for record in caplog.records if " frames, " in record.getMessage()}
    assert said >= {"tracking", "lifting", "refinement", "predictions.json", "predictions.csv"}
