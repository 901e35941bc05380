"""The text beside shipped weights: what they are, what they learnt from, how well they do, where not to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter

_LIMITS = """\
- Everything but the motion was simulated: cameras, bodies, occlusion and detections. The figures are of such scenes;
  real video is harder.
- The motion is of few people: climbing and hanging on a playground, walking, punching, bending, sword play, washing,
  uneven ground. Lying people, sports at speed, children and wheelchairs were not there.
- The depth of a person follows from the assumed height of an adult: who is 10 % taller is put 10 % too near.
- Intrinsics must be about right: depth grows in proportion to the focal length that is given."""


def model_card(name: str, lifter: Lifter, settings: dict[str, Any], digest: str, table: str | None) -> str:
    """Markdown. settings: of the prepared set; digest: SHA-256 of the weights; table: of the left-out runs, or None."""
    network = lifter.network
    causal = " model.network.causal=true" if network.causal else ""
    frames = settings["videos"] * 11 * settings["frames"]
    results = table or (
        "This network was not measured on left-out subjects; the card of `mocap_normal` has the figures of the same "
        "training with a symmetric window and normal coordinates.\n"
    )
    return f"""# {name}

A temporal convolutional lifter: COCO-19 detections of one person over time in, MuPoTS-17 poses in camera coordinates
(mm, `{lifter.coordinates}`) out. Use it with `checkpoint=builtin:{name}`.

- Network: {network.channels} channels, filter widths {list(network.filter_widths)}, receptive field
  {network.receptive_field} frames{" (sees no later frame)" if network.causal else ""}, {lifter.fps:g} frames per
  second; material of another rate has to be resampled.
- Data: {frames:,} frames of one to four people, made by `experiment=prepare prepare=mocap` from the CMU Graphics Lab
  Motion Capture Database, subjects {", ".join(settings["names"])} (mocap.cs.cmu.edu; funded by NSF EIA-0196217), with
  {settings["procedural"]:.0%} of the people moving procedurally. The motion itself is not part of this package.
- Training: `python run.py experiment=pretrain_mocap paths.mocap=FOLDER coordinates={lifter.coordinates}{causal}`
- SHA-256 of `{name}.safetensors`: `{digest}`
- Licence: that of this package. The database is free for all uses; its data must not be resold.

## Results

{results.replace("# ", "### ", 1) if table else results}
## Limits

{_LIMITS}
"""
