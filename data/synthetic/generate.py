"""The synthetic data sets on disk: generated where they are not there yet, and the readers of their test sets."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from data.sets.mpi_inf_3dhp import MpiInf3dhpTest
from data.sets.mupots_3d import MuPoTS3D
from data.synthetic.datasets import jobs
from data.synthetic.settings import SyntheticSettings, synthetic_fingerprint
from fileio.atomic import cannot_write
from fileio.locks import waiting_for
from pose.errors import ConfigError

logger = logging.getLogger(__name__)


def ensure_synthetic(root: Path | str | None, settings: SyntheticSettings) -> Path:
    """The folder with Mpi3DHP/, MucoTemp/ and MuPoTS/ for these settings, generated unless it is in `root`.

    The folder appears complete or not at all; of several processes that want it one generates it and the others wait.
    Raises ConfigError without a `root`, DataError where it cannot be written.
    """
    if root is None:
        raise ConfigError("paths.synthetic=null: synthetic data is generated there; give a folder, or real data sets")
    folder = Path(root) / f"synthetic-{synthetic_fingerprint(settings)}"
    partial = folder.with_name(f".{folder.name}")
    if folder.is_dir():
        return folder
    with waiting_for(partial.with_suffix(".lock"), "synthetic data"):
        if folder.is_dir():
            return folder
        logger.info("generating synthetic data in %s", folder)
        try:
            shutil.rmtree(partial, ignore_errors=True)  # what a killed program left
            partial.mkdir()
            for job in jobs(partial, settings):
                job()
            os.replace(partial, folder)
        except OSError as error:
            raise cannot_write(folder, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def synthetic_test(
    folder: Path | str | None, settings: SyntheticSettings, benchmark: str = "mupots_3d", root: Path | str | None = None
) -> MuPoTS3D | MpiInf3dhpTest:
    """The reader of one of the synthetic test sets, generated if need be.

    benchmark: `mupots_3d` or `mpi_inf_3dhp`. root: where real data sets are; not used, accepted because every test
    set is built with it.

    >>> from tempfile import TemporaryDirectory
    >>> settings = SyntheticSettings(seed=0, mpi_frames=2, muco_frames=2, test_frames=2, mupots_frames=8, muco_videos=1)
    >>> with TemporaryDirectory() as folder:
    ...     people = synthetic_test(folder, settings).sequences("normal")
    >>> people[0]
    PoseSequence(TS1/0, 8 frames at 30 fps, COCO-19 -> MuPoTS-17, normal)
    """
    if benchmark not in ("mupots_3d", "mpi_inf_3dhp"):
        raise ConfigError(f"test.benchmark={benchmark}: must be mupots_3d or mpi_inf_3dhp")
    made = ensure_synthetic(folder, settings)
    return MuPoTS3D(made / "MuPoTS") if benchmark == "mupots_3d" else MpiInf3dhpTest(made / "Mpi3DHP")
