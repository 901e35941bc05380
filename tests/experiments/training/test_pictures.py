"""Which occlusion a training draws: one that there is, else one that is made."""

from __future__ import annotations

import torch

from experiments.training.pictures import occlusion_of
from inference.render.figures import hidden_frames
from tests.inference.render.people import person, walker


def test_an_occlusion_that_there_is_stays_as_it_is() -> None:
    walk = walker(90, 30.0, (0, 3000), (100, 0))
    people = [person(0, walk, 30.0), person(1, walk, 30.0, hidden=(40, 50))]
    assert occlusion_of(people) == (people[1], (40, 50), "an occlusion")


def test_without_any_a_second_of_detections_is_taken_away() -> None:
    whole = person(0, walker(90, 30.0, (0, 3000), (100, 0)), 30.0)
    made, focus, how = occlusion_of([whole])
    assert (focus, how) == ((30, 60), "detections of a second taken away")
    inside = torch.zeros(90, dtype=torch.bool)
    inside[30:60] = True
    assert hidden_frames(made).tolist() == inside.tolist() == (~made.detected).tolist()
    assert not made.keypoints_2d[inside].any() and not made.confidence[inside].any(), "as an undetected person is"
    assert torch.equal(made.keypoints_2d[~inside], whole.keypoints_2d[~inside])
    assert whole.detected.all(), "the validation itself sees them"
