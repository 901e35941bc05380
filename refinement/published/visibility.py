"""How much each frame is believed: the detector's scores, averaged over the joints and cleaned over time."""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are used
import torch
from torch import Tensor

#: Length of the published median filter, in frames.
MEDIAN_FRAMES = 9


def visibility(confidence: Tensor, median_frames: int = MEDIAN_FRAMES) -> Tensor:
    """Visibility v (T,) in 0..1, float32, on the device of `confidence`, which is (T, J) scores or (T,) their mean.

    The mean over joints, then a median over `median_frames` frames (1 switches it off); at the ends the signal is
    reflected. Source: docs/method.md §8. A value above 1 (heatmap peaks overshoot a little) becomes 1.

    >>> visibility(torch.tensor([0.9, 0.9, 0.9, 0.0, 0.9, 0.9, 0.9]), median_frames=3)
    tensor([0.9000, 0.9000, 0.9000, 0.9000, 0.9000, 0.9000, 0.9000])
    """
    # NumPy's float32 mean, not torch's: the two round differently and Adam magnifies the last bit to tenths of a mm.
    scores = np.ascontiguousarray(confidence.detach().cpu().numpy(), dtype=np.float32)
    mean = scores if scores.ndim == 1 else scores.mean(axis=1)
    smooth = scipy.ndimage.median_filter(mean, size=median_frames, mode="reflect") if len(mean) else mean
    return torch.from_numpy(smooth).clamp(max=1).to(confidence.device)
