"""Errors split by visible and occluded joints and by the length of the occlusion.

A method that smooths through occlusions should be judged on them: a mean over all joints hides what happens in the few
that are hidden, and a gap of three frames is another problem than one of two seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pose.errors import check_shape
from pose.joint_sets import MUPOTS_17
from pose.metrics.joint_errors import Errors

#: Name of a part -> shortest and longest occlusion in frames. 0 is visible.
PARTS: dict[str, tuple[int, int | None]] = {
    "visible": (0, 0),
    "occluded": (1, None),
    "occluded_1_5": (1, 5),
    "occluded_6_15": (6, 15),
    "occluded_16_30": (16, 30),
    "occluded_31_60": (31, 60),
    "occluded_over_60": (61, None),
}
#: The longest occlusion of the parts that do not overlap, but the last.
_ENDS = [0, *(longest for _, longest in list(PARTS.values())[2:] if longest is not None)]

#: Every part that `errors_by_part` can have.
PART_NAMES = (
    "all", *PARTS, *(f"joints:{part}" for part in PARTS), *(f"joint:{name}" for name in MUPOTS_17.names),
)  # fmt: skip


def occlusion_lengths(visible: Tensor) -> Tensor:
    """Number of frames of the occlusion that each entry lies in, 0 where it is visible.

    visible (T, ...) bool, time first, everything behind it (people, joints) on its own: (T,), (T, J) or (T, P, J).
    Rows are taken as consecutive frames; an occlusion cut off by the start or end counts with the frames it has.

    >>> occlusion_lengths(torch.tensor([False, True, False, False, True]))
    tensor([1, 0, 2, 2, 0])
    """
    hidden = ~visible.reshape(len(visible), math.prod(visible.shape[1:])).T  # one row per track
    starts = hidden.clone()
    starts[:, 1:] &= ~hidden[:, :-1]
    run = starts.flatten().cumsum(0)  # number of the occlusion, from 1, meaningful where hidden
    lengths = torch.bincount(run[hidden.flatten()], minlength=int(starts.sum()) + 1)
    return torch.where(hidden.flatten(), lengths[run], 0).reshape(hidden.shape).T.reshape(visible.shape)


def split_errors(values: Tensor, lengths: Tensor) -> dict[str, float]:
    """Mean of the values in each of PARTS; a part without values is absent.

    values (...): one error (mm) or PCK / AUC value (percent) per entry. lengths (...): `occlusion_lengths` of the same
    entries.

    >>> split_errors(torch.tensor([10.0, 40.0, 60.0]), torch.tensor([0, 2, 2]))
    {'visible': 10.0, 'occluded': 50.0, 'occluded_1_5': 50.0}
    """
    check_shape("lengths", lengths, tuple(values.shape))
    sums, counts = _by_part(values, lengths), part_counts(lengths)
    return {part: sums[part] / count for part, count in counts.items()}


def part_counts(lengths: Tensor) -> dict[str, int]:
    """Number of entries in each of PARTS that has any; lengths (...): `occlusion_lengths`."""
    return {part: int(count) for part, count in _by_part(torch.ones_like(lengths), lengths).items() if count}


def _by_part(values: Tensor, lengths: Tensor) -> dict[str, float]:
    """Sum of the values in each of PARTS."""
    bins = torch.bucketize(lengths.flatten(), lengths.new_tensor(_ENDS))
    sums = torch.bincount(bins, weights=values.flatten().double(), minlength=len(_ENDS) + 1).tolist()
    return {"visible": sums[0], "occluded": sum(sums[1:]), **dict(zip(list(PARTS)[2:], sums[1:], strict=True))}


def errors_by_part(
    errors: Sequence[Mapping[str, Errors]],
    frames: Sequence[Tensor] | None = None,
    joints: Sequence[Tensor] | None = None,
) -> dict[str, dict[str, float]]:
    """Every error of some sequences, split: key -> part -> mean over the poses of all of them.

    errors: `joint_errors.sequence_errors` of each sequence. frames: the length of the occlusion that the person as a
    whole is in, joints: that each joint is in (`occlusion_lengths`), (T, ...) and (T, ..., 17) like the poses; None
    where that is not known, which leaves the split out. Parts:

    all                              every pose
    visible, occluded, occluded_1_5  poses by `frames`, in the parts of PARTS
    joints:visible, joints:occluded  joints by `joints`, in the parts of PARTS
    joint:hip, joint:left_wrist      each joint alone

    >>> from pose.metrics.joint_errors import sequence_errors
    >>> target = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])
    >>> poses_3d, visible = target.clone(), torch.ones(60, dtype=torch.bool)
    >>> visible[20:30], poses_3d[20:30, :, 0] = False, 90.0  # behind another person for ten frames, and 90 mm off
    >>> errors_by_part([sequence_errors(poses_3d, target)], [occlusion_lengths(visible)])["mrpe_mm"]
    {'all': 15.0, 'visible': 0.0, 'occluded': 90.0, 'occluded_6_15': 90.0}
    """
    split = {}
    for key in dict.fromkeys(key for found in errors for key in found):
        having = [i for i, found in enumerate(errors) if key in found]
        values = torch.cat([errors[i][key].values for i in having])
        counted = errors[having[0]][key].joints
        means = {"all": float(values.mean())}
        if frames is not None:
            lengths = [frames[i].flatten()[errors[i][key].rows] for i in having]
            means |= split_errors(values.mean(dim=1), torch.cat(lengths))
        if joints is not None:
            lengths = [joints[i].flatten(0, -2)[errors[i][key].rows][:, list(counted)] for i in having]
            means |= {f"joints:{part}": mean for part, mean in split_errors(values, torch.cat(lengths)).items()}
        if len(counted) > 1:
            means |= {f"joint:{MUPOTS_17.names[j]}": float(values[:, i].mean()) for i, j in enumerate(counted)}
        split[key] = means
    return split
