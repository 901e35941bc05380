"""The entry point: `temporal-smoothing [experiment=NAME] [key=value ...]`, in a checkout also `python run.py`.

Composes the configuration, the checkout's conf/ or its copy in the wheel, and hands it to the chosen experiment's task.
The task imports everything heavy, so that `--help` and mistakes on the command line answer at once.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from experiments.command_line import hydra_words, meant
from experiments.shown_config import as_one_page, asked_for
from fileio.terminal import end_output, lenient_output

_HERE = Path(__file__).resolve().parent
CONF = _HERE / "conf" if (_HERE / "conf").is_dir() else _HERE.parent / "conf"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _composed(cfg: DictConfig) -> Any:
    from experiments.runs.runner import run

    return run(cfg)


def main() -> None:
    """Run what the command line says."""
    lenient_output()
    sys.argv = [sys.argv[0], *hydra_words(sys.argv[1:])]
    try:
        with as_one_page() if asked_for(sys.argv[1:]) else nullcontext():
            _composed()
    except SystemExit as ended:
        if ended.code == 1 and (line := meant(sys.argv[1:], CONF)):  # Hydra has said where it stopped
            print(line, file=sys.stderr)
        raise
    except KeyboardInterrupt:  # before the run has begun
        from experiments.runs.signals import end

        end()
    finally:
        end_output()
