"""How people move while they are hidden: the densities that links between tracks are judged by.

A hidden person moves on with the velocity seen last, but forgets it: an Ornstein-Uhlenbeck process of the velocity
(Uhlenbeck and Ornstein, 1930), whose transition density in place and velocity is known in closed form. So the end of
one track and the start of another are compared from both sides at once.

The values of place, velocity and size were fitted by maximum likelihood to gaps in the tracks of people whose
identities are known: captured motion and synthetic scenes, none of those that benchmarks/studies/tracking.py reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Degrees of freedom of the heavy tails: a stumble must not decide a link alone.
_DEGREES_OF_FREEDOM = 4.0


@dataclass(frozen=True)
class MotionModel:
    """How people move in the image, in heights and seconds; x and y where there are two values.

    velocity_std: standard deviation of the velocity. velocity_time_constant_s: time in which it is forgotten.
    place_noise_std, velocity_noise_std: of what is read at a track's end. log_size_noise_std: of the logarithm of the
    apparent size read there, at the least; size_variance_factor: how much of its variance within the track is added;
    log_size_std_per_s: how it changes while hidden. facing_noise_std: of what is read of `Appearance.facing`;
    facing_population_std: of that of all people; turn_time_constant_s: time to turn round.
    """

    velocity_std: tuple[float, float] = (0.32, 0.05)
    velocity_time_constant_s: float = 0.9
    place_noise_std: tuple[float, float] = (0.05, 0.035)
    velocity_noise_std: tuple[float, float] = (0.05, 0.065)
    log_size_noise_std: float = 0.02
    size_variance_factor: float = 1.2
    log_size_std_per_s: float = 0.06
    facing_noise_std: tuple[float, float] = (0.045, 0.02)
    facing_population_std: tuple[float, float] = (0.14, 0.07)
    turn_time_constant_s: tuple[float, float] = (1.2, 2.5)

    def place_cost(self, change: np.ndarray, before: np.ndarray, after: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Negative log density (M,) of moving by `change` (M, 2) with the velocities `before` and `after` (M, 2)."""
        total = np.zeros(len(seconds))
        tau, kept = self.velocity_time_constant_s, np.exp(-seconds / self.velocity_time_constant_s)
        gone = 1 - kept
        for axis in range(2):
            variance = self.velocity_std[axis] ** 2
            noise_x, noise_v = self.place_noise_std[axis] ** 2, self.velocity_noise_std[axis] ** 2
            # Covariance of place and velocity after the gap, the uncertainty of both ends included.
            xx = variance * tau**2 * (2 * seconds / tau - 3 + 4 * kept - kept**2)
            xx = xx + 2 * noise_x + noise_v * (tau * gone) ** 2
            xv = variance * tau * gone**2 + noise_v * tau * gone * kept
            vv = variance * (1 - kept**2) + noise_v * (1 + kept**2)
            dx = change[:, axis] - before[:, axis] * tau * gone
            dv = after[:, axis] - before[:, axis] * kept
            determinant = xx * vv - xv**2
            squared = (vv * dx**2 - 2 * xv * dx * dv + xx * dv**2) / determinant
            tails = 0.5 * (_DEGREES_OF_FREEDOM + 2) * np.log1p(squared / _DEGREES_OF_FREEDOM)
            total += 0.5 * np.log(determinant) + tails
        return total

    def size_cost(self, change: np.ndarray, variance: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Negative log density (M,) of a change (M,) of log size; variance (M,): at both ends, summed."""
        noise = 2 * self.log_size_noise_std**2 + self.size_variance_factor * variance
        return _student(change, noise + (self.log_size_std_per_s * seconds) ** 2)

    def facing_cost(self, change: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Log odds (M,) that it is another person, from the change (M, 2) of `Appearance.facing`."""
        total = np.zeros(len(seconds))
        for axis in range(2):
            other = 2 * self.facing_population_std[axis] ** 2
            turned = 1 - np.exp(-seconds / self.turn_time_constant_s[axis])
            same = np.minimum(2 * self.facing_noise_std[axis] ** 2 + other * turned, other)
            total += _student(change[:, axis], same) - _student(change[:, axis], other)
        return total


def _student(value: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    tails = 0.5 * (_DEGREES_OF_FREEDOM + 1) * np.log1p(value**2 / variance / _DEGREES_OF_FREEDOM)
    return 0.5 * np.log(variance) + tails
