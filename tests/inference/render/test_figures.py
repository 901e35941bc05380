"""The figure of made-up people: which occlusion is chosen, the right file, clear refusals."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inference.render.figures import choose_occlusion, hidden_frames, trajectory_figure
from pose.errors import DataError, MismatchError
from tests.inference.render.people import LIFTED, REFINED, SHADE, n_pixels, person, predicted, walker


def test_hidden_frames_are_those_undetected_or_mostly_occluded(people):
    detected = torch.ones(60, dtype=torch.bool)
    detected[50] = False
    sequence = dataclasses.replace(people[1], detected=detected)
    assert np.flatnonzero(hidden_frames(sequence)).tolist() == [*range(20, 30), 50]


def test_the_longest_occlusion_inside_a_track_is_chosen(people):
    assert choose_occlusion(people) == (1, 20, 30)
    at_the_end = person(3, walker(60, 30.0, (0, 3000), (100, 0)), 30.0, hidden=(30, 60))
    assert choose_occlusion([*people, at_the_end]) == (1, 20, 30)
    longer = person(3, walker(60, 30.0, (0, 3000), (100, 0)), 30.0, hidden=(16, 40))
    assert choose_occlusion([*people, longer]) == (3, 16, 40)


def test_margin_matters_between_occlusions_of_similar_length():
    walk = walker(90, 30.0, (0, 3000), (100, 0))
    near_the_end, inside = person(0, walk, 30.0, (77, 89)), person(1, walk, 30.0, (40, 50))
    assert choose_occlusion([near_the_end, inside]) == (1, 40, 50)


def test_frames_without_annotation_are_no_occlusion(people):
    annotated = torch.ones(60, dtype=torch.bool)
    annotated[20:30] = False
    people[1] = dataclasses.replace(people[1], annotated=annotated)
    assert choose_occlusion(people) == (0, 15, 45)


def test_without_an_occlusion_the_middle_second_of_the_longest_track(people):
    longest = person(3, walker(80, 30.0, (0, 3000), (100, 0)), 30.0)
    numbered = dataclasses.replace(longest, frame=torch.arange(80) + 1000)
    assert choose_occlusion([people[0], numbered]) == (1, 1025, 1055)
    short = person(4, walker(7, 30.0, (0, 3000), (100, 0)), 30.0)
    assert choose_occlusion([short]) == (0, 0, 7)


def test_occlusion_of_a_decimated_track_is_in_source_frames(people):
    assert choose_occlusion([people[1].decimated(2)]) == (0, 20, 29)


def test_no_tracks_no_occlusion():
    with pytest.raises(DataError, match="0 tracks without a frame"):
        choose_occlusion([])


def test_figure_has_its_size_and_shows_every_curve(people, tmp_path: Path):
    annotation = people[1]
    lifted, refined = predicted(annotation, 60), predicted(annotation, 10)
    path = tmp_path / "new" / "figure.png"
    trajectory_figure(path, annotation, lifted, refined, "A walk", "synthetic data", focus=(20, 30))
    with Image.open(path) as image:
        assert image.format == "PNG" and image.size == (1600, 900)
    assert min(n_pixels(path, colour) for colour in (LIFTED, REFINED, SHADE)) > 1000
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]


def test_figure_without_occlusion_or_focus(people, tmp_path: Path):
    trajectory_figure(tmp_path / "a.png", people[0], predicted(people[0], 20), people[0], "A walk")
    assert n_pixels(tmp_path / "a.png", LIFTED) > 1000 > n_pixels(tmp_path / "a.png", SHADE)


def test_figure_of_one_frame_and_of_missing_poses(people, tmp_path: Path):
    one = person(0, walker(1, 30.0, (0, 3000), (0, 1)), 30.0)
    trajectory_figure(tmp_path / "one.png", one, one, one, "One frame")
    lost = people[1].with_poses(torch.full((60, 17, 3), math.nan), "normal")
    trajectory_figure(tmp_path / "lost.png", people[1], lost, lost, "Nothing predicted")
    assert (tmp_path / "one.png").stat().st_size > 0 and (tmp_path / "lost.png").stat().st_size > 0


def test_figure_refusals(people, tmp_path: Path):
    short = person(1, walker(50, 30.0, (0, 3000), (100, 0)), 30.0)
    with pytest.raises(MismatchError, match="TS1/1: lifted has 50 frames, the annotation 60"):
        trajectory_figure(tmp_path / "a.png", people[1], short, short, "t")
    universal = people[1].with_poses(people[1].poses_3d, "universal")
    with pytest.raises(MismatchError, match="refined: coordinates=universal given, coordinates=normal expected"):
        trajectory_figure(tmp_path / "a.png", people[1], people[1], universal, "t")
    with pytest.raises(DataError, match=r"focus=\(900, 950\) must lie in it"):
        trajectory_figure(tmp_path / "a.png", people[1], people[1], people[1], "t", focus=(900, 950))
    with pytest.raises(MismatchError, match="has no poses_3d"):
        bare = dataclasses.replace(people[1], poses_3d=None, coordinates=None)
        trajectory_figure(tmp_path / "a.png", bare, bare, bare, "t")
    assert not list(tmp_path.iterdir())
