"""Files as people really have them: frames that are missing or not told apart, empty entries, other axes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import read_detections
from pose.errors import DataError
from pose.joint_sets import BODY_25, COCO_17, OPENPOSE_18
from tests.data.keypoints.formats.writers import SIZE, as_csv, dump, in_order, ultralytics_person

NO_FRAME = r"a row is a person, and no column says in which frame; add one called 'frame'"


@pytest.mark.parametrize("bad", [None, 1.5, [3], True, "", {"a": 1}])
@pytest.mark.parametrize("key", ["frame", "frame_id", "image_id"])
@pytest.mark.parametrize("layout", ["people", "frames"])
def test_an_unusable_frame_number_is_named(bad, key: str, layout: str, source, tmp_path: Path):
    entries = [{key: i, "instances": [{"keypoints": p.tolist()} for p in frame]} for i, frame in enumerate(source[0])]
    if layout == "people":
        entries = [{key: i, "keypoints": p.tolist()} for i, frame in enumerate(source[0]) for p in frame]
    entries[7][key] = bad
    with pytest.raises(DataError, match=r"entry 7: frame: a whole number from 0 or an image's name is expected"):
        read_detections(dump(entries)(tmp_path))
    del entries[7][key]
    with pytest.raises(DataError, match=r"entry 7: frame: .* found none"):
        read_detections(dump(entries)(tmp_path))


def test_numbers_beside_names_of_frames_are_refused(source, tmp_path: Path):
    for shape in ((17, 3), (51,)):
        rows = [{"image_id": i, "keypoints": f[0].reshape(shape).tolist()} for i, f in enumerate(source[0])]
        rows[4]["image_id"] = "abc"
        with pytest.raises(DataError, match=r"numbers or names are expected, found both, such as 'abc'"):
            read_detections(dump(rows)(tmp_path))


@pytest.mark.parametrize("empty", [None, {}, [], {"people": None}, {"people": {}}, {"people": []}])
@pytest.mark.parametrize("place", [0, 4])
def test_frames_without_people_count(empty, place: int, source, tmp_path: Path):
    people, expected = source
    joints = [in_order(p, BODY_25) for p in people]
    for number, frame in enumerate(joints):
        content = {"people": [{"pose_keypoints_2d": p.ravel().tolist()} for p in frame]}
        (tmp_path / f"c_{number:06d}_keypoints.json").write_text(json.dumps(empty if number == place else content))
    found = read_detections(tmp_path)
    rows = expected.frame != place
    assert (found.n_frames, found.frame.tolist()) == (expected.n_frames, expected.frame[rows].tolist())
    np.testing.assert_allclose(found.keypoints_2d, expected.keypoints_2d[rows], atol=2e-3)


def test_null_among_named_frames_is_a_frame(source, tmp_path: Path):
    content = {f"{i}.png": [{"keypoints": p.tolist()} for p in f] for i, f in enumerate(source[0])} | {"warnings": []}
    found = read_detections(dump(content | {"0.png": None, "9.png": None})(tmp_path))
    assert (found.n_frames, found.frame.tolist()) == (10, [i for i in range(1, 9) for _ in range(3)])


@pytest.mark.parametrize("absent", [None, {}, [], {"keypoints": None}, {"keypoints": []}])
def test_absent_people_first_in_a_file(absent, source, tmp_path: Path):
    people, expected = source
    flat = {f"{i}.jpg": [absent, *({"keypoints": p.ravel().tolist()} for p in f)] for i, f in enumerate(people)}
    rows = {f"{i}.jpg": [absent, *({"keypoints": p.tolist()} for p in f)] for i, f in enumerate(people)}
    for content in (flat, rows):
        found = read_detections(dump(content)(tmp_path))
        np.testing.assert_allclose(found.keypoints_2d, expected.keypoints_2d, atol=2e-3)


@pytest.mark.parametrize("name", ["clip_{}_0_keypoints", "frame_{:04d}_1080p", "v2_{:04d}_30fps", "clip ({})"])
def test_the_number_that_differs_is_the_frames(name: str, source, tmp_path: Path):
    frames = [37, 38, 60]
    content = {f"{name.format(f)}.jpg": [{"keypoints": source[0][0][0].ravel().tolist()}] for f in frames}
    assert read_detections(dump(content)(tmp_path)).frame.tolist() == [0, 1, 23]


@pytest.mark.parametrize("wrap", [lambda frame: frame, lambda frame: [frame]])
def test_a_folder_of_frames_says_its_size(wrap, source, tmp_path: Path):
    """ComfyUI's canvas; and hidden files that a Mac leaves."""
    (tmp_path / "._f_0000.json").write_bytes(b"\0\5")
    for number, frame in enumerate(source[0]):
        people = [{"pose_keypoints_2d": (p / [*SIZE, 1]).ravel().tolist()} for p in in_order(frame, OPENPOSE_18)]
        content = wrap({"people": people, "canvas_width": SIZE[0], "canvas_height": SIZE[1]})
        (tmp_path / f"f_{number:04d}.json").write_text(json.dumps(content))
    found = read_detections(tmp_path)
    assert found.image_size == SIZE
    np.testing.assert_allclose(found.keypoints_2d, source[1].keypoints_2d, atol=2e-3)


def test_annotations_say_the_size_if_all_images_have_one(source, tmp_path: Path):
    entries = [{"id": i, "image_id": i, "keypoints": f[0].ravel().tolist()} for i, f in enumerate(source[0])]
    images = [{"id": i, "file_name": f"{i}.png", "width": 640, "height": 480} for i in range(10)]
    assert read_detections(dump({"images": images, "annotations": entries})(tmp_path)).image_size == (640, 480)
    images[3]["width"] = 320
    assert read_detections(dump({"images": images, "annotations": entries})(tmp_path)).image_size is None


def test_texts_of_json_one_after_the_other(source, tmp_path: Path):
    """`file.write(result.to_json())` for each frame."""
    texts = [json.dumps([ultralytics_person(p) for p in frame], indent=2) for frame in source[0]]
    found = read_detections(dump("".join(texts))(tmp_path))
    np.testing.assert_allclose(found.keypoints_2d, source[1].keypoints_2d, atol=2e-3)
    with pytest.raises(DataError, match=r"not a JSON file or damaged"):
        read_detections(dump("".join(texts)[:-5])(tmp_path))


def test_files_of_several_videos_are_refused(tmp_path: Path):
    for name in ("A", "B"):
        for number in range(4):
            (tmp_path / f"{name}_{number:012d}_keypoints.json").write_text('{"people": []}')
    with pytest.raises(DataError, match=r"files of 2 videos, A_, B_; put those of one into a folder of their own"):
        read_detections(tmp_path)


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [[], ["frame_no"], ["Frame Number"], ["#frame"], ["FrameIdx"]])
@pytest.mark.parametrize("nothing", ["", "nan"])
def test_rows_of_nobody_are_frames(header: list[str], nothing: str, source, tmp_path: Path):
    people, expected = source
    rows = [[*([i + 1] if header else []), *f[0].ravel()] for i, f in enumerate(people)]
    rows[3][len(header) :] = [nothing] * 51
    del rows[6]
    found = read_detections(as_csv([[*header, *(f"{n}_{a}" for n in COCO_17.names for a in "xyc")], *rows])(tmp_path))
    there = [i for i in range(10) if i not in (3, 6)]
    assert found.frame.tolist() == [i - (i > 6 and not header) for i in there]
    np.testing.assert_allclose(found.keypoints_2d, expected.keypoints_2d[::3][there], atol=2e-3)


def test_people_without_frames_are_refused(source, tmp_path: Path):
    people = [(i, p) for frame in source[0] for i, p in enumerate(frame)]
    table = [["person_id", *(f"{n}_{a}" for n in COCO_17.names for a in "xyc")], *([i, *p.ravel()] for i, p in people)]
    cells = [["name", "keypoints"], *(["person", str(ultralytics_person(p)["keypoints"])] for _, p in people)]
    for rows in (table, cells):
        with pytest.raises(DataError, match=NO_FRAME):
            read_detections(as_csv(rows)(tmp_path))


def test_a_frame_that_is_no_number_among_numbers_is_refused(tmp_path: Path):
    rows = [[frame, *(100.0 + j for j in range(34))] for frame in (0, "x", 2)]
    with pytest.raises(DataError, match=r"data row 2: frame: a number is expected, found .x."):
        read_detections(as_csv([["frame", *(f"{n}_{a}" for n in COCO_17.names for a in "xy")], *rows])(tmp_path))


@pytest.mark.parametrize("names", [COCO_17.names, range(17)])
def test_a_joint_a_row(names, source, tmp_path: Path):
    rows = [
        [number, i, name, *joint]
        for number, frame in enumerate(source[0])
        for i, p in enumerate(frame)
        for name, joint in zip(names, p, strict=True)
    ]
    found = read_detections(as_csv([["frame", "person", "landmark", "x", "y", "score"], *rows])(tmp_path))
    np.testing.assert_allclose(found.keypoints_2d, source[1].keypoints_2d, atol=2e-3)
    assert found.identity is not None and found.identity.tolist() == [0, 1, 2] * 10
    with pytest.raises(DataError, match=r"frame 0: joint \w+ is there twice; a column of people is expected"):
        read_detections(as_csv([["frame", "landmark", "x", "y"], *([r[0], *r[2:5]] for r in rows)])(tmp_path))


def test_decimal_commas(source, tmp_path: Path):
    rows = [[i, *(str(value).replace(".", ",") for value in f[0].ravel())] for i, f in enumerate(source[0])]
    path = as_csv([["frame", *(f"{n}_{a}" for n in COCO_17.names for a in "xyc")], *rows], ";")(tmp_path)
    np.testing.assert_allclose(read_detections(path).keypoints_2d, source[1].keypoints_2d[::3], atol=2e-3)


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("saved", [[], [0.931]])
def test_labels_of_people_whom_the_tracker_did_not_take(scored: bool, saved: list, source, tmp_path: Path):
    people, expected = source
    for number, frame in enumerate(people):
        joints = (frame / [*SIZE, 1])[..., : 3 if scored else 2]
        rows = [[0, 0.5, 0.5, 0.1, 0.2, *p.ravel(), *saved, *([i] if i else [])] for i, p in enumerate(joints)]
        (tmp_path / f"clip_{number + 1}.txt").write_text("\n".join(" ".join(f"{v:.10g}" for v in row) for row in rows))
    found = read_detections(tmp_path, image_size=SIZE)
    np.testing.assert_allclose(found.keypoints_2d, expected.keypoints_2d, atol=2e-3)
    assert found.identity is not None
    assert found.identity.tolist() == [-1, 1, 2] * 10


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_frames_as_the_second_axis_are_refused(source, tmp_path: Path):
    people = np.stack(source[0])
    for array in (people.transpose(1, 0, 2, 3), people.transpose(3, 0, 2, 1)[..., :2]):
        np.save(tmp_path / "k.npy", np.concatenate([array, array], axis=1))
        with pytest.raises(DataError, match=r"seems to be the frames; swap the two"):
            read_detections(tmp_path / "k.npy")


def test_people_who_lie_are_read_as_they_are_and_noted(source, tmp_path: Path):
    lying = np.stack([frame[0] for frame in source[0]])[..., [1, 0, 2]]
    np.save(tmp_path / "k.npy", lying)
    found = read_detections(tmp_path / "k.npy")
    np.testing.assert_allclose(found.keypoints_2d[:, :17], lying[..., :2], atol=2e-3)
    assert "if they don't, the file has y before x" in found.notes[0]


def test_depths_are_no_scores(source, tmp_path: Path):
    joints = np.stack([frame[0] for frame in source[0]])
    joints[..., 2] = np.linspace(-0.5, 0.5, 17)
    np.save(tmp_path / "k.npy", joints)
    found = read_detections(tmp_path / "k.npy")
    assert (found.confidence[:, :17] == 1).all()
    assert "so they are depths" in found.notes[0]


def test_a_crowd_in_one_frame_is_noted(source, tmp_path: Path):
    people = [{"keypoints": p[:, :2].tolist(), "keypoint_scores": [0.9] * 17} for frame in source[0] for p in frame]
    found = read_detections(dump([{"frame_id": 0, "instances": people}])(tmp_path))
    assert "all 30 people are in one" in found.notes[0]


def test_compressed_files_ask_to_be_unpacked(tmp_path: Path):
    (tmp_path / "k.json.gz").write_bytes(gzip.compress(b"[]"))
    with pytest.raises(DataError, match=r"k.json.gz: compressed; unpack it, gunzip k.json.gz"):
        read_detections(tmp_path / "k.json.gz")
