"""`experiment=predict` from the command line: files, pictures, summary, and mistakes as one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.predictions import read_predictions
from fileio.video import VideoWriter, read_video


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    """Twelve frames of two people, one of them missed twice."""
    rng = np.random.default_rng(0)
    people = rng.uniform([[[100, 100]], [[400, 120]]], [[[200, 400]], [[500, 420]]], (2, 17, 2))
    frames = {}
    for frame in range(12):
        rows = []
        for number, points in enumerate(people):
            if number == 0 or frame not in (5, 6):
                rows.append({"keypoints": np.column_stack([points + frame, np.ones(17)]).ravel().tolist(), "score": 1})
        frames[f"{frame:03d}.jpg"] = rows
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(frames))
    return path


@pytest.fixture
def words(repo: Path, keypoints: Path) -> list[str]:
    checkpoint = repo / "tests" / "golden" / "checkpoint"
    return ["experiment=predict", f"input={keypoints}", f"checkpoint={checkpoint}", "camera.image_size=[640,480]"]


def the_error(output: str) -> str:
    assert "Traceback" not in output, output
    (line,) = [line for line in output.splitlines() if "[ERROR]" in line]
    return line


def test_files_pictures_and_summary(run_here, words: list[str]) -> None:
    pytest.importorskip("av")
    pytest.importorskip("ezc3d")
    done = run_here(*words, "fps=30", "heights=[1750,null]")
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert set(summary["files"]) >= {
        "predictions.npz", "predictions.json", "predictions.csv", "person_0.trc", "person_1.trc", "scene.c3d",
        "person_0.bvh", "person_1.bvh", "page.html", "overlay.mp4", "animation.mp4",
    }  # fmt: skip
    assert all((done.folder / name).stat().st_size > 0 for name in summary["files"])
    assert [(one["person"], one["detected"], one["last_frame"]) for one in summary["people"]] == [
        (0, 12, 11),
        (1, 10, 11),
    ]
    assert (summary["fps"], summary["n_frames"], summary["coordinates"]) == (30, 12, "normal")
    assert (summary["camera"]["how"], summary["refinement"]) == ("guessed", "occlusion")
    assert any(note.startswith("Scale:") for note in summary["notes"])
    assert {"tracking", "lifting", "refinement"} <= set(summary["stage_seconds"])
    for shown in ("people 2", "is a guess", "Scale:", "overlay.mp4"):
        assert shown in done.output
    people = read_predictions(done.folder / "predictions.npz")
    assert [len(person) for person in people] == [12, 12]
    assert all(person.require("poses_3d").isfinite().all() for person in people)


def test_pictures_that_are_wanted(run_here, words: list[str]) -> None:
    done = run_here(*words, "fps=30", "exporter=csv", "refinement=none", "pictures=[page]")
    assert done.returncode == 0, done.output
    assert json.loads((done.folder / "summary.json").read_text())["files"] == ["predictions.csv", "page.html"]
    assert not (done.folder / "animation.mp4").exists()
    done = run_here(*words, "pictures=[page,film]", folder="refused")
    assert "pictures=film: must be true, false or a list of page, overlay, animation" in the_error(done.output)


@pytest.mark.parametrize(
    "name",
    ["my video (1).json", "a,b.json", "[x]=y.json", 'it\'s "3".json', "Übung 影片.json", "2024_01", "{a}$b#.json"],
)
def test_file_names_of_any_kind(run_here, words: list[str], keypoints: Path, name: str) -> None:
    path = keypoints.rename(keypoints.with_name(name))
    words = [f"input={path}" if word.startswith("input=") else word for word in words]
    done = run_here(*words, "fps=30", "exporter=csv", "pictures=false", "refinement=none")
    assert done.returncode == 0, done.output
    assert json.loads((done.folder / "summary.json").read_text())["input"] == str(path)


def test_a_file_name_that_the_shell_took_apart(run_here) -> None:
    done = run_here("experiment=predict", "input=my", "video", "(1).mp4")
    assert done.returncode == 2
    assert (
        done.output
        == "'video' is no key=value; a name with spaces or brackets needs quotes: 'input=my video (1).mp4'\n"
    )


def test_input_options_reach_the_reader_and_its_notes_the_summary(run_here, words: list[str]) -> None:
    options = ["input_options.n_frames=20", "input_options.score_scale=2", "input_options.joint_set=COCO-17"]
    done = run_here(*words, *options, "fps=30", "exporter=csv", "pictures=false", "refinement=none")
    assert done.returncode == 0, done.output
    assert json.loads((done.folder / "summary.json").read_text())["n_frames"] == 20
    done = run_here(*words, "fps=30", "exporter=csv", "pictures=false", "refinement=none")
    notes = json.loads((done.folder / "summary.json").read_text())["notes"]
    assert any("hardly any of the people look like bodies in the order of COCO-17" in note for note in notes)


def test_level_warnings_and_the_video_behind_keypoints(run_here, words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "seen.mp4", 24.0) as writer:  # its rate is not that of the keypoints
        for _ in range(12):
            writer.write(np.full((240, 320, 3), (20, 200, 20), dtype=np.uint8))
    held = ["camera.tilt_deg=12", "camera.roll_deg=-3", f"video={tmp_path / 'seen.mp4'}"]
    done = run_here(*words, "fps=30", "exporter=[json]", *held)
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert summary["level"] == {"level": "auto", "how": "given", "tilt_deg": 12.0, "roll_deg": -3.0}
    assert "the camera looks down by 12 degrees and is turned counterclockwise by 3" in done.output
    assert json.loads((done.folder / "predictions.json").read_text())["level"]["tilt_deg"] == pytest.approx(12)
    assert all(person["stature_m"] > 0 for person in summary["people"])
    # Rows of random points are no people, which does not go without a word.
    assert summary["warnings"] and summary["warnings"] == summary["notes"][: len(summary["warnings"])]
    assert all(warning.startswith(("Warning: person", "Camera: ")) for warning in summary["warnings"])
    first = next(line for line in (done.folder / "summary.md").read_text().splitlines() if line.startswith("- "))
    assert first == f"- {summary['warnings'][0]}"
    assert "bvh, glb and the pictures are level" in done.output
    frames = [frame.image for frame in read_video(done.folder / "overlay.mp4")]
    assert len(frames) == 12 and np.median(frames[3], axis=(0, 1))[1] > 150  # green
    assert '"pictures":{"every"' in (done.folder / "page.html").read_text()


def test_a_video_of_other_proportions_is_refused_before_predicting(run_here, words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "wide.mp4", 24.0) as writer:
        writer.write(np.zeros((180, 640, 3), dtype=np.uint8))
    done = run_here(*words, "fps=30", f"video={tmp_path / 'wide.mp4'}")
    assert done.returncode == 2
    assert "pictures of 640 x 180 have other proportions than camera.image_size=[640,480]" in done.output
    assert not (done.folder / "predictions.npz").exists()


def test_identities_of_the_file(run_here, words: list[str], keypoints: Path) -> None:
    """Not used and said so by default; used with tracker=given, also where the file exchanges them."""
    frames = json.loads(keypoints.read_text())
    for people in frames.values():
        for place, person in enumerate(people):
            person["track_id"] = 5 + place
    first = frames["000.jpg"]
    first[0]["track_id"], first[1]["track_id"] = 6, 5
    keypoints.write_text(json.dumps(frames))
    words = [*words, "fps=30", "exporter=csv", "pictures=false", "refinement=none"]
    for tracker, noted in ("offline", True), ("given", False):
        done = run_here(*words, f"tracker={tracker}", folder=tracker)
        assert done.returncode == 0, done.output
        summary = json.loads((done.folder / "summary.json").read_text())
        assert any("tracker=given uses them" in note for note in summary["notes"]) == noted
        assert len(summary["people"]) == 2


def test_chosen_exporters_and_no_pictures(run_here, words: list[str]) -> None:
    done = run_here(*words, "fps=30", "exporter=[csv,json]", "pictures=false", "refinement=none", "people=1")
    assert done.returncode == 0, done.output
    files = json.loads((done.folder / "summary.json").read_text())["files"]
    assert files == ["predictions.csv", "predictions.json"]
    assert not list(done.folder.glob("*.mp4"))


def test_what_a_format_cannot_hold_leaves_the_others(run_here, words: list[str], monkeypatch) -> None:
    pytest.importorskip("ezc3d")
    monkeypatch.setattr("inference.export.c3d.MAX_FRAMES", 10)
    done = run_here(*words, "fps=30", "exporter=[csv,c3d,trc]", "refinement=none", "pictures=false")
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert summary["files"] == ["predictions.csv", "person_0.trc", "person_1.trc"]
    assert "Left out: clip.json: 12 frames, a C3D file holds 10 at most" in summary["notes"][-1]


def test_pictures_are_left_out_where_av_is_missing(run_here, words: list[str], monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    done = run_here(*words, "fps=30", "exporter=npz")
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert summary["files"] == ["predictions.npz", "page.html"]
    assert any(note.startswith("Left out:") and "PyAV" in note for note in summary["notes"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["input=null"], "input=null: give input=PATH"),
        (["input=absent.mp4"], "absent.mp4"),
        (["fps=0"], "fps=0"),
        (["fps=abc"], "fps=abc: must be a number"),
        (["people=0"], "people=0"),
        (["people=1.5"], "people=1.5: must be a whole number"),
        (["people=two"], "people=two: must be a whole number"),
        (["camera.fx=wide"], "camera.fx=wide"),
        (["camera.image_size=640"], "camera.image_size=640"),
        (["camera.image_size=[a,b]"], "camera.image_size=['a', 'b']"),
        (["input_options.joint_set=COCO"], "unknown joint set 'COCO'"),
        (["input_options.joint_set=BODY_25"], "17 joints found, input_options.joint_set=BODY_25 has 25"),
        (["input_options.score_scale=much"], "input_options.score_scale=much: must be a number > 0"),
        (["input_options.first_frame=1.5"], "input_options.first_frame=1.5: must be a whole number"),
        (["input_options.first_frame=3"], "comes before input_options.first_frame=3"),
        (["input_options.n_frames=0"], "input_options.n_frames=0: must be a whole number"),
        (["heights=1750"], "heights=1750: must be statures in mm by person number"),
        (["heights={0:1.75}"], "heights[0]=1.75: must be a number >= 400 and <= 2600; mm"),
        (["camera.fov_deg=300"], "camera.fov_deg=300: must be a number >= 3.2 and <= 170; degrees"),
        (["camera.tilt_deg=100"], "camera.tilt_deg=100: must be a number >= -90 and <= 90; degrees"),
        (["camera.roll_deg=left"], "camera.roll_deg=left: must be a number >= -180 and <= 180; degrees"),
        (["level=flat"], "level=flat: must be one of auto, camera"),
        (["video=absent.mp4"], "absent.mp4"),
        (["camera.image_size=[120,90]"], "camera.image_size=[120, 90]: the keypoints don't fit it"),
        (["camera.image_size=null"], "give camera.image_size=[WIDTH,HEIGHT]"),
        (["coordinates=universal"], "universal"),
        (
            ["camera.fx=35"],
            "camera.fx=35: is no focal length in pixels of an image 640 px wide; of a lens in mm it is fx_px",
        ),
        (["camera.fx=[1500]"], "camera.fx=[1500]: must be a number <= 1e+06 and > 0"),
        (["camera.cx=1e12"], "camera.cx=1000000000000.0: must be a number >= -1e+06 and <= 1e+06; pixels"),
        (["camera.image_size=[1e9,480]"], "at most 1e+06"),
        (["fps=1e-9"], "fps=1e-09: must be a number >= 1e-05 and <= 10000; frames per second"),
        (["fps=1e300"], "fps=1e+300: must be a number >= 1e-05 and <= 10000"),
        (["exporter=[]"], "exporter=[]: give at least one of"),
    ],
)
def test_mistakes_are_one_line(run_here, words: list[str], changed: list[str], said: str) -> None:
    keys = {word.split("=")[0] for word in changed}
    done = run_here(*[word for word in words if word.split("=")[0] not in keys], *changed, "pictures=false")
    assert done.returncode == 2, done.output
    assert said in the_error(done.output)
