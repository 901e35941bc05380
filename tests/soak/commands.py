"""The commands that are killed and what they read: small, but in the genuine formats."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from data.synthetic.bodies import random_body
from data.synthetic.generate import ensure_synthetic
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import compose_scene, look_at, render_scene
from data.synthetic.settings import SyntheticSettings
from fileio.pickle_reader import read_pickle
from pose.cameras import Camera

#: Of each command what makes its INPUTS, in a folder, and its words; all that it writes goes into PLACE.
_PLACES = "paths.outputs=PLACE/outputs paths.lifters=PLACE/lifters paths.synthetic=PLACE/synthetic "
_PLACES += "hydra.run.dir=PLACE/run logger=csv"
_TRAIN = "experiment=train data=synthetic size=tiny trainer.max_epochs=4 model.network.channels=32"
_SWEEP = "experiment=table_refinement_terms size=tiny "
_SWEEP += "refinement=energy_fast,published/no_median_filter,published/no_robust_cap hydra.sweep.dir=PLACE/sweep"
_PREDICT = "experiment=predict input=INPUTS/keypoints.npz fps=30 camera.image_size=[2048,2048]"
_MOCAP = "experiment=prepare prepare=mocap prepare.videos=2 prepare.frames=40 prepare.test_frames=24 prepare.jobs=2 "
_MOCAP += "paths.mocap=INPUTS paths.datasets=PLACE/datasets"
_MUPOTS = "experiment=prepare prepare=mupots_3d prepare.source=INPUTS prepare.keypoints=INPUTS/keypoints "
_MUPOTS += "paths.datasets=PLACE/datasets"


def words(name: str, inputs: Path, place: Path) -> list[str]:
    """What follows `python run.py` in the command `name`."""
    text = f"{COMMANDS[name][1]} {_PLACES}"
    return [word.replace("INPUTS", str(inputs)).replace("PLACE", str(place)) for word in text.split()]


def _nothing(folder: Path) -> None:
    """Synthetic data are made by the command itself, and may be killed while they are."""


def _keypoints(folder: Path) -> None:
    """Two people seen for half a second."""
    rng = np.random.default_rng(0)
    camera = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
    view = look_at(camera, np.array([0, 1300.0, 0]), np.array([0, 1e3, 4e3]))
    motions = [procedural_motion("walk", 16, 30, random_body(rng), rng) for _ in range(2)]
    seen = render_scene(compose_scene(motions, view, rng), view, 30, rng)
    keypoints = np.stack([person.detection for person in seen], axis=1)
    np.savez(folder / "keypoints.npz", keypoints=keypoints, joint_set="COCO-19")


def _motions(folder: Path) -> None:
    """Two captured motions of two people."""
    rng = np.random.default_rng(0)
    for subject in ("01", "02"):
        motion = procedural_motion("mixed", 90, 30, random_body(rng), rng)
        np.savez(folder / f"walk_{subject}_30fps.npz", **{f"{subject}_01": motion})


def _download(folder: Path) -> None:
    """MultiPersonTestSet.zip with 20 sequences of two frames, and keypoints of its pictures beside it."""
    settings = SyntheticSettings(seed=0, mpi_frames=2, muco_frames=2, test_frames=2, mupots_frames=2, muco_videos=1)
    genuine = ensure_synthetic(folder.with_name("genuine"), settings) / "MuPoTS"
    with zipfile.ZipFile(folder / "MultiPersonTestSet.zip", "w") as archive:
        for number in range(1, 21):
            name = f"MultiPersonTestSet/TS{number}"
            for file in ("annot.mat", "occlusion.mat"):
                archive.write(genuine / name / file, f"{name}/{file}")
            picture = io.BytesIO()
            Image.new("RGB", (2048, 2048) if number <= 5 else (1920, 1080)).save(picture, "JPEG")
            content = {}
            for frame, people in enumerate(read_pickle(genuine / "hrnet_pose2d" / f"TS{number}.pkl")["pose"]):
                archive.writestr(f"{name}/img_{frame:06d}.jpg", picture.getvalue())
                content[f"img_{frame:06d}.jpg"] = [
                    {"keypoints": person[:17].ravel().tolist(), "score": 0.9} for person in people
                ]
            path = folder / "keypoints" / f"TS{number}" / "keypoints.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content))


COMMANDS = {
    "train": (_nothing, _TRAIN),
    "prepare mocap": (_motions, _MOCAP),
    "sweep": (_nothing, _SWEEP),
    "predict": (_keypoints, _PREDICT),
    "prepare mupots_3d": (_download, _MUPOTS),
}
