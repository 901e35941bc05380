from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies import tracking as benchmark
from benchmarks.studies.tracking import Scores, score


def test_scores_by_hand() -> None:
    # Two people; tracks 0 and 1 exchange them after three of five frames, in frame 3 person 1 goes unseen.
    person = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, -1])
    identity = np.array([0, 1, 0, 1, 0, 1, 1, -1, 1, 0, 2])
    # Best assignment: person 0 is track 0 (3 rows), person 1 track 1 (3 rows). 10 rows of people, 10 rows in tracks.
    assert score(person, identity) == Scores(idtp=6, idfp=4, idfn=4, switches=2, swaps=2)
    assert score(person, identity).idf1_pct == pytest.approx(60.0)


def test_one_track_for_two_people_and_two_for_one() -> None:
    merged = score(np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=int))
    assert merged == Scores(idtp=3, idfp=2, idfn=2, switches=0, swaps=1)
    split = score(np.zeros(5, dtype=int), np.array([0, 0, 0, 1, 1]))
    assert split == Scores(idtp=3, idfp=2, idfn=2, switches=1, swaps=0)


def test_nothing_found_scores_zero() -> None:
    assert score(np.array([0, 1]), np.array([-1, -1])) == Scores(0, 0, 2, 0, 0)
    assert score(np.array([0, 1]), np.array([-1, -1])).idf1_pct == 0
    assert score(np.zeros(0, dtype=int), np.zeros(0, dtype=int)) == Scores()


def test_rows_are_shuffled_and_keep_their_person() -> None:
    points = np.ones((40, 2, 19, 3))
    points[:, 1] = 2
    detected = np.ones((40, 2), dtype=bool)
    detected[5, 0] = False
    known = benchmark.shuffled(points, detected, 30.0, (100, 100), "x", np.random.default_rng(0))
    assert len(known.person) == 79
    assert (known.detections.keypoints_2d[:, 0, 0] == known.person + 1).all()
    assert known.person[known.detections.frame == 5].tolist() == [1]
    first = known.person[np.flatnonzero(np.diff(known.detections.frame, prepend=-1))]
    assert 5 < first.sum() < 35


def test_gaps_are_prolonged_only_behind_others_and_up_to_two_seconds() -> None:
    detected = np.ones((200, 1), dtype=bool)
    detected[100:103] = False
    behind = np.zeros((200, 1), dtype=bool)
    behind[90:120] = True
    lengths = set()
    for seed in range(40):
        longer = benchmark._prolonged(detected, behind, np.random.default_rng(seed))
        lost = np.flatnonzero(~longer[:, 0])
        assert lost.min() >= 90
        assert lost.max() < 120
        lengths.add(len(lost))
        everywhere = benchmark._prolonged(detected, np.ones_like(behind), np.random.default_rng(seed))
        assert (~everywhere).sum() <= 60
    assert len(lengths) > 5
    assert 3 in lengths


def test_a_small_run(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main(["--seeds", "1", "--tune"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {(row[0], row[1]): float(row[4]) for row in rows[1:]}
    assert set(row[0] for row in rows[1:]) >= set(benchmark.SCENES)
    for kind in benchmark.SCENES:
        assert found[kind, "offline"] > found[kind, "greedy"]
