"""Procedural motions: walking, turning, sitting, reaching, waving and crossing, for synthetic data.

A motion is planned in continuous time and then sampled, so the same person moves alike at 25 and at 60 frames per
second. The plan is a list of events, each ramped in and out smoothly. Walking follows an ellipse, slower where it
bends; the feet are planned on that path step by step: a standing foot stays where it is, a swinging one travels to
the place of its next step. Arms swing against the legs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from data.synthetic.bodies import Body, Posture, pose_body
from pose.errors import ConfigError

#: What a person can be doing; `mixed` strings the others together.
ACTS = ("walk", "stand", "turn", "sit", "reach", "wave")
KINDS = (*ACTS, "cross", "mixed")

#: Planned beyond either end of a motion, so that its first and last steps are ordinary ones.
_MARGIN_S = 3.0
#: Parts of a step cycle: body above the standing foot, heel leaves the floor, foot starts to travel.
_MID_STANCE, _HEEL_OFF, _SWING = 0.27, 0.42, 0.56
_SIDES = {"left": 1.0, "right": -1.0}


@dataclass(frozen=True)
class _Event:
    act: str
    start: float
    end: float


def smooth_step(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, with zero velocity and acceleration at both (minimum jerk)."""
    x = np.clip(x, 0, 1)
    return x * x * x * (10 - 15 * x + 6 * x * x)


def _window(t: np.ndarray, event: _Event, ramp: float) -> np.ndarray:
    """1 during the event, 0 outside it, ramped within it."""
    ramp = min(ramp, (event.end - event.start) / 2)
    return smooth_step((t - event.start) / ramp) * smooth_step((event.end - t) / ramp)


def _wander(t: np.ndarray, rng: np.random.Generator, amplitude: float, columns: int = 1) -> np.ndarray:
    """Slow aimless movement (T, columns): a few sines below 0.6 Hz."""
    frequency, phase = rng.uniform(0.08, 0.6, (3, columns)), rng.uniform(0, 2 * np.pi, (3, columns))
    return amplitude / 2 * np.sin(2 * np.pi * frequency * t[:, None, None] + phase).sum(1)


def procedural_motion(kind: str, n_frames: int, fps: float, body: Body, rng: np.random.Generator) -> np.ndarray:
    """A person's movement: (n_frames, 17, 3) mm, MuPoTS-17, world coordinates with y up and the floor at y = 0.

    kind: one of KINDS. `cross` walks along the x-axis without a stop and is in full stride in the middle of the
    motion; `mixed` strings all ACTS together. Stays within about 2 m of the origin, whatever its length. The same
    generator state gives the same movement at any rate. Raises ConfigError for an unknown kind, for less than one
    frame and for a rate that is not positive.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind={kind}: must be one of {', '.join(KINDS)}")
    if n_frames < 1 or not fps > 0:
        raise ConfigError(f"n_frames={n_frames}, fps={fps}: must be at least one frame at a positive rate")
    margin = int(np.ceil(_MARGIN_S * fps))
    t = np.arange(-margin, n_frames + margin) / fps
    plan = _plan(kind, n_frames / fps, rng)
    posture = _posture(t, plan, n_frames / fps, kind == "cross", body, rng)
    return pose_body(body, posture)[margin : margin + n_frames]


def _plan(kind: str, duration: float, rng: np.random.Generator) -> list[_Event]:
    """Events from before the start to after the end."""
    start, end = -_MARGIN_S, duration + _MARGIN_S
    if kind in ("walk", "cross"):
        return [_Event("walk", start - 2, end + 2)]
    # The first event is under way when the motion starts.
    events, now = [], start + rng.uniform(0, 1.5)
    while now < end:
        act = kind if kind != "mixed" else str(rng.choice(ACTS, p=(0.4, 0.12, 0.12, 0.12, 0.12, 0.12)))
        length = rng.uniform(3.5, 6.0) if act == "sit" else rng.uniform(2.0, 5.0)
        events.append(_Event(act, now, now + length))
        now += length
    return events


def _posture(
    t: np.ndarray, plan: list[_Event], duration: float, crossing: bool, body: Body, rng: np.random.Generator
) -> Posture:
    n = len(t)

    def amount(act: str, ramp: float) -> np.ndarray:
        return sum((_window(t, event, ramp) for event in plan if event.act == act), np.zeros(n))

    walking = amount("walk", 0.8)
    sitting = amount("sit", 1.1)
    path, heading, speed = _ellipse_walk(t, walking, duration / 2 if crossing else None, crossing, rng)
    for event in plan:
        if event.act == "turn":
            heading = heading + rng.choice((-1, 1)) * rng.uniform(0.7, 2.6) * _window(t, event, 1.3)
    # Walking faster makes longer and quicker steps; turning on the spot needs steps too.
    step_rate = 0.85 * speed / np.sqrt(speed + 0.02) + 0.45 * np.abs(np.gradient(heading, t) * (1 - walking))
    phase = rng.uniform() + cumulative_trapezoid(step_rate, t, initial=0)

    ankles = _footsteps(phase, step_rate, path, heading, body, rng)
    forward = np.stack([np.sin(heading), np.zeros(n), np.cos(heading)], 1)
    leftward = np.stack([np.cos(heading), np.zeros(n), -np.sin(heading)], 1)
    # +1 where the left leg is one leg's length ahead of the right one.
    stride = ((ankles["left"] - ankles["right"]) * forward).sum(1) / body.leg
    torso, reach_low, arms, head = _upper_body(t, plan, stride * np.clip(speed, 0, 1.2), rng)

    standing_height = body.ankle + body.hip_drop + 0.97 * body.leg
    pace = np.clip(speed / 1.2, 0, 1.3) ** 2
    height = standing_height - 25 * pace + 20 * pace * np.cos(4 * np.pi * (phase - _MID_STANCE))
    height -= (0.97 * body.leg - body.shank - 10) * sitting + 0.16 * body.leg * reach_low
    back = 0.85 * body.thigh * sitting + 110 * reach_low
    sway = 18 * np.clip(speed, 0, 1) * np.cos(2 * np.pi * (phase - _MID_STANCE)) + _wander(t, rng, 8)[:, 0]
    root = path + np.stack([np.zeros(n), height, np.zeros(n)], 1) - forward * back[:, None] + leftward * sway[:, None]
    # Getting up and down, the torso leans forward over the feet.
    torso[:, 0] += 2.2 * sitting * (1 - sitting) + 0.06 * np.clip(speed, 0, 1.5)
    pelvis = _wander(t, rng, 0.02, 3)
    pelvis[:, 0] -= 0.12 * sitting
    pelvis[:, 1] -= 0.15 * stride
    torso[:, 1] += 0.3 * stride
    return Posture(root, heading, pelvis, torso, head, arms, ankles)


def _ellipse_walk(
    t: np.ndarray, walking: np.ndarray, middle: float | None, along_x: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Path (T, 3) mm on the floor, heading (T,) and speed (T,) m/s of a walk round an ellipse.

    walking (T,) in 0..1 is how much of the walking speed is used. At time `middle`, if given, the walker is in the
    middle of a long side.
    """
    long = rng.uniform(900, 1700)
    short = rng.uniform(260, 380) if along_x else long * rng.uniform(0.35, 0.8)
    top_speed, way = rng.uniform(0.55, 1.5), rng.choice((-1.0, 1.0))
    theta = np.linspace(0, 2 * np.pi, 2049)
    velocity = np.stack([long * np.cos(theta), -short * np.sin(theta)], 1)  # d place / d theta, (x, z)
    rate = np.linalg.norm(velocity, axis=1)
    radius = rate**3 / (long * short) / 1000
    # At most 2.5 rad/s of turning, blended smoothly with the speed on the straight.
    local_speed = (top_speed**-4 + (2.5 * radius) ** -4) ** -0.25
    slowness = rate / 1000 / local_speed
    clock = cumulative_trapezoid(slowness, theta, initial=0)

    elapsed = cumulative_trapezoid(walking, t, initial=0)
    if middle is None:
        elapsed = elapsed + rng.uniform(0, clock[-1])
    else:
        elapsed = elapsed - np.interp(middle, t, elapsed)
    angle = np.interp(np.mod(way * elapsed, clock[-1]), clock, theta)
    path = np.stack([long * np.sin(angle), np.zeros(len(t)), short * np.cos(angle)], 1)
    heading = np.unwrap(np.arctan2(way * long * np.cos(angle), -way * short * np.sin(angle)))
    return path, heading, walking * np.interp(angle, theta, local_speed)


def _footsteps(
    phase: np.ndarray,
    step_rate: np.ndarray,
    path: np.ndarray,
    heading: np.ndarray,
    body: Body,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Wanted places (T, 3) of both ankles; `phase` counts step cycles of the left foot."""
    half_width = rng.uniform(0.7, 1.1) * body.hip_width
    lift_height = rng.uniform(120, 165) * np.clip(step_rate / 0.9, 0, 1.1)
    ankles = {}
    for side, left in _SIDES.items():
        cycle, part = np.divmod(phase + (0.0 if side == "left" else 0.5), 1.0)

        def standing_place(cycle: np.ndarray, side: str = side, left: float = left) -> np.ndarray:
            at = cycle + _MID_STANCE - (0.0 if side == "left" else 0.5)
            x, z, h = (np.interp(at, phase, values) for values in (path[:, 0], path[:, 2], heading))
            offset = left * half_width
            return np.stack([x + offset * np.cos(h), np.full(len(at), body.ankle), z - offset * np.sin(h)], 1)

        travelled = smooth_step((part - _SWING) / (1 - _SWING))[:, None]
        place = standing_place(cycle) * (1 - travelled) + standing_place(cycle + 1) * travelled
        lifted = np.clip((part - _HEEL_OFF) / (1 - _HEEL_OFF), 0, 1)
        place[:, 1] += lift_height * lifted**2 * (1 - lifted) ** 3 / 0.03456  # 1 at its highest
        ankles[side] = place
    return ankles


def _upper_body(
    t: np.ndarray, plan: list[_Event], swing: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Torso (T, 3), low reaching (T,), arms and head (T, 2) angles; swing > 0 where the left leg is ahead."""
    n = len(t)
    torso, head, reach_low = _wander(t, rng, 0.04, 3), _wander(t, rng, 0.18, 2), np.zeros(n)
    head[:, 0] *= 0.5
    arms = {}
    for side, left in _SIDES.items():
        rest = np.array([rng.uniform(-0.05, 0.1), rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.5), rng.uniform(0.15, 0.4)])
        arms[side] = rest + _wander(t, rng, 0.05, 4)
        arms[side][:, 0] -= left * rng.uniform(0.3, 0.6) * swing
        arms[side][:, 3] += 0.25 * np.clip(-left * swing, -0.5, 1)
    for event in plan:
        for side in _SIDES:
            gesture = _gesture(event, t, rng)
            if gesture is None:
                continue
            weight, angles = gesture
            arms[side] = arms[side] * (1 - weight[:, None]) + angles * weight[:, None]
        if event.act == "reach" and rng.uniform() < 0.4:
            low = _window(t, event, 0.9)
            reach_low += rng.uniform(0.5, 1.0) * low
            torso[:, 0] += rng.uniform(0.5, 1.0) * low
    return torso, reach_low, arms, head


#: Arm angles in degrees: flexion, abduction, inward rotation, elbow flexion; their spread; oscillation of them.
_GESTURES = {
    "wave": ((75, 40, 10, 100), (25, 20, 10, 15), (0, 0, 28, 8)),
    "reach_forward": ((80, 12, 0, 18), (22, 12, 15, 12), (0, 0, 0, 0)),
    "reach_up": ((155, 12, 0, 12), (12, 8, 10, 8), (0, 0, 0, 0)),
    "reach_side": ((12, 80, 0, 15), (15, 15, 10, 10), (0, 0, 0, 0)),
    "hip": ((-22, 42, 50, 92), (6, 6, 8, 8), (0, 0, 0, 0)),
    "talk": ((22, 14, 25, 80), (10, 8, 15, 15), (8, 5, 15, 14)),
    "phone": ((42, 22, 25, 132), (8, 8, 8, 6), (0, 0, 0, 0)),
    "lap": ((32, 8, 30, 62), (6, 4, 8, 8), (0, 0, 0, 0)),
}
#: Which gestures go with an act, and how likely each arm makes one.
_GESTURES_OF = {
    "wave": (("wave",), 0.6),
    "reach": (("reach_forward", "reach_up", "reach_side"), 0.7),
    "stand": (("hip", "talk", "phone"), 0.5),
    "sit": (("lap",), 0.8),
    "walk": (("wave", "talk", "phone"), 0.1),
}


def _gesture(event: _Event, t: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Weight (T,) and arm angles (T, 4) of what one arm does during an event; None if it just hangs."""
    names, chance = _GESTURES_OF.get(event.act, ((), 0.0))
    if rng.uniform() >= chance:
        return None
    centre, spread, swing = np.radians(_GESTURES[str(rng.choice(names))])
    angles = centre + spread * rng.uniform(-1, 1, 4)
    beat = np.sin(2 * np.pi * (rng.uniform(0.9, 1.7) * t + rng.uniform()))
    return _window(t, event, rng.uniform(0.5, 0.9)), angles + swing * beat[:, None]
