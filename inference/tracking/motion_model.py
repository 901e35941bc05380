"""How people move while nobody sees them: the densities that links between tracks are judged by.

A person out of sight moves on with the velocity that was seen, but forgets it: an Ornstein-Uhlenbeck process of the
velocity (Uhlenbeck and Ornstein, 1930), whose transition density in place and velocity is known in closed form. So the
end of one track and the start of another are compared from both sides at once.

The values of place, speed and size were fitted by maximum likelihood to gaps in the tracks of people whose identities
are known: captured motion and synthetic scenes, none of those that benchmarks/studies/tracking.py reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Degrees of freedom of the heavy tails: a stumble must not decide a link alone.
_TAILS = 4.0


@dataclass(frozen=True)
class Motion:
    """How people move in the image, in heights and seconds; x and y where there are two values.

    speed: standard deviation of the velocity. forget_s: time in which a velocity is forgotten. place_sd, speed_sd:
    of what is read at a track's end. size_sd: of the logarithm of the apparent size read there, at the least;
    size_spread: how much of its variance within the track is added; size_per_s: how it changes out of sight.
    facing_sd: of what is read of People.facing; facing_anybody: of that of all people; turn_s: time to turn round.
    """

    speed: tuple[float, float] = (0.32, 0.05)
    forget_s: float = 0.9
    place_sd: tuple[float, float] = (0.05, 0.035)
    speed_sd: tuple[float, float] = (0.05, 0.065)
    size_sd: float = 0.02
    size_spread: float = 1.2
    size_per_s: float = 0.06
    facing_sd: tuple[float, float] = (0.045, 0.02)
    facing_anybody: tuple[float, float] = (0.14, 0.07)
    turn_s: tuple[float, float] = (1.2, 2.5)

    def place_cost(self, change: np.ndarray, before: np.ndarray, after: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Negative log density (M,) of moving by `change` (M, 2) with the velocities `before` and `after` (M, 2)."""
        total = np.zeros(len(seconds))
        tau, kept = self.forget_s, np.exp(-seconds / self.forget_s)
        gone = 1 - kept
        for axis in range(2):
            variance = self.speed[axis] ** 2
            noise_x, noise_v = self.place_sd[axis] ** 2, self.speed_sd[axis] ** 2
            # Covariance of place and velocity after the gap, the uncertainty of both ends included.
            xx = variance * tau**2 * (2 * seconds / tau - 3 + 4 * kept - kept**2)
            xx = xx + 2 * noise_x + noise_v * (tau * gone) ** 2
            xv = variance * tau * gone**2 + noise_v * tau * gone * kept
            vv = variance * (1 - kept**2) + noise_v * (1 + kept**2)
            dx = change[:, axis] - before[:, axis] * tau * gone
            dv = after[:, axis] - before[:, axis] * kept
            determinant = xx * vv - xv**2
            squared = (vv * dx**2 - 2 * xv * dx * dv + xx * dv**2) / determinant
            total += 0.5 * np.log(determinant) + 0.5 * (_TAILS + 2) * np.log1p(squared / _TAILS)
        return total

    def size_cost(self, change: np.ndarray, spread: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Negative log density (M,) of a change (M,) of log size; spread (M,): the variances at both ends, summed."""
        variance = 2 * self.size_sd**2 + self.size_spread * spread + (self.size_per_s * seconds) ** 2
        return _student(change, variance)

    def facing_cost(self, change: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Log odds (M,) that it is somebody else, from the change (M, 2) of `People.facing`."""
        total = np.zeros(len(seconds))
        for axis in range(2):
            anybody = 2 * self.facing_anybody[axis] ** 2
            turned = 1 - np.exp(-seconds / self.turn_s[axis])
            same = np.minimum(2 * self.facing_sd[axis] ** 2 + anybody * turned, anybody)
            total += _student(change[:, axis], same) - _student(change[:, axis], anybody)
        return total


def _student(value: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    return 0.5 * np.log(variance) + 0.5 * (_TAILS + 1) * np.log1p(value**2 / variance / _TAILS)
