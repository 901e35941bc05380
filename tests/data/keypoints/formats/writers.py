"""Several people in each frame in the layouts that many tools write: frames of (P, 17, 3) -> a function of a folder.

The layouts are those of the tools' own documentation and code (docs/inputs.md has a sample of each). `MANY` lists them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pose.joint_sets import BODY_25, COCO_17, OPENPOSE_18, JointSet
from tests.data.keypoints.formats.writers_of_arrays import ARRAYS, SIZE

N_FRAMES = 10
CAMEL = ["".join([part if not i else part.title() for i, part in enumerate(n.split("_"))]) for n in COCO_17.names]


def dump(content: object, name: str = "k.json") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


def in_order(people: np.ndarray, joints: JointSet, size: int | None = None) -> np.ndarray:
    """(P, 17, 3) -> (P, size, 3) in another order; joints that COCO-17 lacks lie between the shoulders."""
    out = np.repeat((people[:, 5:6] + people[:, 6:7]) / 2, size or len(joints), axis=1)
    for index, name in enumerate(joints.names):
        if name in COCO_17.names:
            out[:, index] = people[:, COCO_17.index(name)]
        elif name == "hip":
            out[:, index] = (people[:, 11] + people[:, 12]) / 2
    return out


def as_csv(rows: list[list], delimiter: str = ",") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with open(folder / "k.csv", "w", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)
        return folder / "k.csv"

    return write


def ultralytics_person(p, track=0):
    keypoints = dict(zip(("x", "y", "visible"), p.T.tolist(), strict=True))
    return {"name": "person", "class": 0, "confidence": 0.9, "box": {}, "track_id": track, "keypoints": keypoints}


def ultralytics(frames):
    return dump([[ultralytics_person(p, i) for i, p in enumerate(people)] for people in frames])


def ultralytics_texts(frames):
    """`[result.to_json() for result in results]`: text in JSON."""
    return dump([json.dumps([ultralytics_person(p, i) for i, p in enumerate(people)]) for people in frames])


def ultralytics_csv_folder(frames):
    """`to_csv` of each frame; a date and a resolution beside the frame's number."""

    def write(folder: Path) -> Path:
        for number, people in enumerate(frames):
            rows = [["name", "confidence", "track_id", "keypoints"]]
            rows += [["person", 0.9, i, str(p["keypoints"])] for i, p in enumerate(map(ultralytics_person, people))]
            as_csv(rows)(folder).rename(folder / f"2024_{number:04d}_1080p.csv")
        return folder

    return write


def yolo_labels(frames):
    """The parent of the folder, as Ultralytics makes it; beside the labels the names of the classes."""

    def write(parent: Path) -> Path:
        folder = parent / "labels"
        folder.mkdir()
        (folder / "classes.txt").write_text("person\n")
        for number, people in enumerate(frames):
            joints = people / [*SIZE, 1]
            rows = [[0, 0.5, 0.5, 0.1, 0.2, *p.ravel(), 0.93, i + 1] for i, p in enumerate(joints)]
            text = "\n".join(" ".join(f"{value:.10g}" for value in row) for row in rows)
            (folder / f"clip_{number + 1}.txt").write_text(text + "\n")
        return parent

    return write


def dwpose(frames):
    """ComfyUI's lists and DWPose's: a row of fractions of the canvas."""
    people = [in_order(p, OPENPOSE_18) / [*SIZE, 1] for p in frames]
    return dump(
        [
            {
                "people": [{"pose_keypoints_2d": one.ravel().tolist(), "face_keypoints_2d": []} for one in frame],
                "canvas_width": SIZE[0],
                "canvas_height": SIZE[1],
            }
            for frame in people
        ]
    )


def kinetics(frames):
    """Pairs, whose number also divides by three, with the scores beside them."""
    people = [in_order(p, OPENPOSE_18) for p in frames]
    data = [
        {
            "frame_index": index + 1,
            "skeleton": [{"pose": (one[:, :2] / SIZE).ravel().tolist(), "score": one[:, 2].tolist()} for one in frame],
        }
        for index, frame in enumerate(people)
    ]
    return dump({"data": data, "label": "walking", "label_index": 3})


def mmpose_0x(frames):
    return dump(
        [
            [
                {"bbox": [1.0, 2.0, 3.0, 4.0, 0.9], "keypoints": p.tolist(), "track_id": i, "area": 9.0}
                for i, p in enumerate(people)
            ]
            for people in frames
        ]
    )


def sapiens(frames):
    """One file for each image, with Goliath's 308 joints named."""
    names = [*COCO_17.names[::-1], *(f"extra_{i}" for i in range(291))]
    meta = {"keypoint_id2name": {str(i): name for i, name in enumerate(names)}}

    def write(folder: Path) -> Path:
        for number, people in enumerate(frames):
            joints = in_order(people, JointSet("goliath", tuple(names)))
            instances = [{"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist()} for p in joints]
            content = {"meta_info": meta, "instance_info": instances}
            (folder / f"{number:06d}.json").write_text(json.dumps(content))
        return folder

    return write


def openpifpaf_lines(frames):
    lines = [
        {
            "frame": number,
            "predictions": [
                {"keypoints": p.ravel().tolist(), "score": 0.8, "category_id": 1, "id_": i + 1}
                for i, p in enumerate(people)
            ],
        }
        for number, people in enumerate(frames)
    ]
    return dump("".join(json.dumps(line) + "\n" for line in lines), "clip.openpifpaf.json")


def openpifpaf_bare_lines(frames):
    lines = [[{"keypoints": p.ravel().tolist(), "bbox": [0, 0, 1, 1]} for p in people] for people in frames]
    return dump("".join(json.dumps(line) + "\n" for line in lines), "clip.jsonl")


def alphapose_tracked(frames):
    return dump(
        [
            {
                "image_id": f"{number}.jpg",
                "category_id": 1,
                "keypoints": p.ravel().tolist(),
                "score": 2.9,
                "box": [0, 0, 1, 1],
                "idx": i + 1,
            }
            for number, people in enumerate(frames)
            for i, p in enumerate(people)
        ]
    )


def tfjs_person(p):
    named = zip(p.tolist(), COCO_17.names, strict=True)
    return {"score": 0.8, "keypoints": [{"x": x, "y": y, "score": s, "name": n} for (x, y, s), n in named]}


def tfjs(frames):
    return dump([[tfjs_person(p) for p in people] for people in frames])


def tfjs_in_any_order(frames):
    """Each person's joints in another order."""
    people = [[tfjs_person(p) for p in people] for people in frames]
    for number, frame in enumerate(people):
        for person in frame:
            person["keypoints"] = person["keypoints"][number:] + person["keypoints"][:number]
    return dump(people)


def posenet(frames):
    return dump(
        [
            {
                "poses": [
                    {
                        "score": 0.8,
                        "keypoints": [
                            {"position": {"x": x, "y": y}, "part": n, "score": s}
                            for (x, y, s), n in zip(p.tolist(), CAMEL, strict=True)
                        ],
                    }
                    for p in people
                ]
            }
            for people in frames
        ]
    )


def easy_vitpose(frames):
    """y before x, people by track."""
    content = [{str(i): p[:, [1, 0, 2]].tolist() for i, p in enumerate(people)} for people in frames]
    return dump({"keypoints": content, "skeleton": {str(i): n for i, n in enumerate(COCO_17.names)}})


def coco_annotations_with_names(frames):
    """Another order of joints, said by `categories`."""
    order = np.random.default_rng(0).permutation(17)
    names = [COCO_17.names[i] for i in order]
    entries = [
        {"id": 9 * i + j, "image_id": i, "track_id": j, "keypoints": p[order].ravel().tolist()}
        for i, people in enumerate(frames)
        for j, p in enumerate(people)
    ]
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(len(frames))]
    return dump({"images": images, "annotations": entries, "categories": [{"id": 1, "keypoints": names}]})


def mmpose_test_results(frames):
    """MMPose 0.x: a batch of people over all frames, each with the image that it is in."""
    people = [(p.tolist(), f"img_{number:04d}.jpg") for number, frame in enumerate(frames) for p in frame]
    return dump([{"preds": [p for p, _ in people], "image_paths": [name for _, name in people], "boxes": []}])


def coco_annotations_with_empty_entries(frames):
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(len(frames))]
    entries = [
        {"id": 10 * i + j, "image_id": i, "keypoints": p.ravel().tolist(), "num_keypoints": 17}
        for i, people in enumerate(frames)
        for j, p in enumerate(people)
    ]
    entries += [
        {"id": 900, "image_id": 3, "iscrowd": 1},
        {"id": 901, "image_id": 4, "keypoints": [], "num_keypoints": 0},
    ]
    return dump({"images": images, "annotations": entries})


def nothing_for_absent_people(frames):
    """null, {}, and rows of NaN, as Pose2Sim and others write people out of sight."""
    joints = [in_order(p, BODY_25) for p in frames]
    absent = [
        None,
        {},
        {"pose_keypoints_2d": []},
        {"pose_keypoints_2d": [float("nan")] * 75},
        {"pose_keypoints_2d": [None] * 75},
    ]

    def write(folder: Path) -> Path:
        for number, people in enumerate(joints):
            rows = [{"person_id": [-1], "pose_keypoints_2d": p.ravel().tolist()} for p in people]
            content = {"version": 1.3, "people": [absent[number % 5], *rows]}
            (folder / f"cam01.{number:04d}.json").write_text(json.dumps(content))
        return folder

    return write


def fractions(frames):
    entries = [
        {"image_id": i, "keypoints": (p / [*SIZE, 1]).ravel().tolist()}
        for i, people in enumerate(frames)
        for p in people
    ]
    return dump(entries)


def rtmw_scores(frames):
    """Scores up to 10: those of a certain joint are about 9."""
    return dump(
        [
            {"instances": [{"keypoints": p[:, :2].tolist(), "keypoint_scores": (9 * p[:, 2]).tolist()} for p in people]}
            for people in frames
        ]
    )


def deeplabcut_of_several(frames):
    """Four header rows."""
    names = [f"ind{i}" for i in range(3)]
    columns = [
        ("DLC", person, joint, axis) for person in names for joint in COCO_17.names for axis in ("x", "y", "likelihood")
    ]
    header = [
        [level, *(column[place] for column in columns)]
        for place, level in enumerate(("scorer", "individuals", "bodyparts", "coords"))
    ]
    rows = [[number, *np.stack(list(people)).ravel().tolist()] for number, people in enumerate(frames)]
    return as_csv([*header, *rows])


def csv_by_person(frames):
    header = ["frame", "track_id", *(f"{n}_{a}" for n in COCO_17.names for a in ("x", "y", "conf"))]
    return as_csv([header, *([i, j, *p.ravel()] for i, people in enumerate(frames) for j, p in enumerate(people))], ";")


def ultralytics_csv(frames):
    header = ["frame", "name", "class", "confidence", "box", "track_id", "keypoints"]
    rows = [
        [number, "person", 0, 0.9, "{'x1': 1.0}", i, str(dict(zip(("x", "y", "visible"), p.T.tolist(), strict=True)))]
        for number, people in enumerate(frames)
        for i, p in enumerate(people)
    ]
    return as_csv([header, *rows])


def sports2d_tracked(frames):
    def write(folder: Path) -> Path:
        for number, people in enumerate(frames):
            rows = [{"person_id": [i], "pose_keypoints_2d": p.ravel().tolist()} for i, p in enumerate(people)]
            (folder / f"c_{number:06d}.json").write_text(json.dumps({"version": 1.3, "people": rows}))
        return folder

    return write


def by_track(frames):
    """Each person's frames, not each frame's people."""
    people = {str(j): [{"frame": i, "keypoints": f[j].tolist()} for i, f in enumerate(frames)] for j in range(3)}
    return dump(people)


def list_of_tracks(frames):
    return dump(
        [
            {"track_id": j, "frames": [{"frame": i, "keypoints": f[j].tolist()} for i, f in enumerate(frames)]}
            for j in range(3)
        ]
    )


def objects_by_image(frames):
    return dump({f"{i}.png": {"people": [{"keypoints": p.tolist()} for p in f]} for i, f in enumerate(frames)})


MANY = [
    *ARRAYS,
    by_track, list_of_tracks, objects_by_image,
    ultralytics_csv, ultralytics_csv_folder, ultralytics_texts, tfjs_in_any_order, coco_annotations_with_names,
    mmpose_test_results, sports2d_tracked,
    ultralytics, yolo_labels, dwpose, kinetics, mmpose_0x, sapiens, openpifpaf_lines, openpifpaf_bare_lines,
    alphapose_tracked, tfjs, posenet, easy_vitpose, coco_annotations_with_empty_entries, nothing_for_absent_people,
    fractions, rtmw_scores, deeplabcut_of_several, csv_by_person,
]  # fmt: skip
TRACKED = {
    by_track, list_of_tracks,
    ultralytics_csv, ultralytics_csv_folder, ultralytics_texts, coco_annotations_with_names, sports2d_tracked,
    ultralytics, yolo_labels, mmpose_0x, openpifpaf_lines, alphapose_tracked, easy_vitpose, deeplabcut_of_several,
    csv_by_person,
}  # fmt: skip
