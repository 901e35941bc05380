"""The one entry point: `python run.py [experiment=NAME] [key=value ...]`.

Composes the configuration in conf/ and hands it to the chosen experiment's task. The task imports everything heavy, so
that `--help` and mistakes on the command line answer at once.
"""

import sys
from typing import Any

import hydra
from omegaconf import DictConfig

from experiments.command_line import hydra_words


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> Any:
    from experiments.runs.runner import run

    return run(cfg)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], *hydra_words(sys.argv[1:])]
    main()
