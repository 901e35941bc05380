"""Which settings a task uses. One that it does not use is refused where it is given: a sweep over it would be a table
of equal rows under different names. Imported at the start of every run: nothing heavy up here.
"""

from __future__ import annotations

from collections.abc import Iterable

from experiments.runs.hashing import decides_numbers
from pose.errors import ConfigError

#: What trains a lifter, and what tests one.
_TRAINS = {
    "data", "model", "network", "scheduler", "features", "trainer", "callbacks", "checkpoint", "coordinates", "seed",
}  # fmt: skip
_TESTS = {"test", "protocol", "refinement", "metrics", "pictures"}
#: By the last part of the task's `_target_`, the top-level keys beside those of `_ALWAYS`. A task that is not listed,
#: one of the user's own, is not checked.
_USED = {
    "train": _TRAINS,
    "evaluate": _TRAINS | _TESTS | {"predictions", "flip_average"},
    "search": _TRAINS | _TESTS | {"search", "flip_average"},
    "pretrain": _TRAINS | _TESTS | {"pretrain", "prepare", "flip_average"},
    "evaluate_predictions": _TESTS | {"predictions", "coordinates", "fps", "input_options"},
    "compare": {"predictions", "coordinates", "fps", "input_options", "test", "protocol", "metrics", "seed"},
    "refine": {
        "predictions", "coordinates", "fps", "refinement", "body_model",
        "predict", "input", "people", "camera", "input_options", "level", "video", "tracker", "exporter", "pictures",
    },
    "predict": {
        "predict", "input", "people", "heights", "scores", "camera", "input_options", "level", "video", "fps", "seed",
        "checkpoint", "coordinates", "refinement", "tracker", "exporter", "detector", "pictures",
    },
    "live": {
        "predict", "input", "scores", "camera", "input_options", "level", "fps", "seed",
        "checkpoint", "coordinates", "refinement", "tracker", "exporter", "detector", "pictures", "live",
    },
    "export": {"checkpoint", "format", "coordinates"},
    "prepare": {"prepare", "detector", "data", "test"},
    "tables": {"tables", "runs"},
}  # fmt: skip
#: Of every task: names, places, what is shown, the size that the others take their values from. `trainer=` may be given
#: where nothing trains: its options say on what is computed.
_ALWAYS = {"experiment", "hydra", "paths", "size"}
#: What is shown of every task, and of those that use a key, beside what decides their numbers.
_SHOWN = {"name", "task", "debug", "plugins", "paths"}
_SHOWN_BESIDE = {"trainer": {"fresh", "synthetic_size", "size"}, "metrics": {"synthetic_size", "size", "published"}}
_REPORTS = ("train", "evaluate", "search", "pretrain", "evaluate_predictions", "compare")
#: Beside a lifter that is tested these may be given once: the first two name its classes.
_ONCE = {"model", "features", "seed"}


def check_used(words: Iterable[str], target: str, varying: Iterable[str] = ()) -> None:
    """ConfigError for the first of these overrides whose key the task `target` does not use.

    A key that changes no number is always taken. varying: the keys that a sweep is over.
    """
    task, given = target.rpartition(".")[2], {word.lstrip("+~").partition("=")[0]: word for word in words}
    if (used := _USED.get(task)) is None:
        return
    lifter = given.get("checkpoint", "") if task in ("evaluate", "search") else ""
    only_trains = _TRAINS - {"checkpoint", "coordinates"} if lifter and not lifter.endswith("=null") else set()
    for key, word in given.items():
        top = key.removeprefix("predict.").split(".")[0].split("@")[0]
        if top in _ALWAYS or key == "trainer" or not decides_numbers(key):
            continue
        if top not in used:
            lacks = "experiment" not in given and top in _USED["predict"]
            remedy = "give experiment=predict too" if lacks else "leave it out, or see its keys by --cfg job"
            raise ConfigError(
                f"{word}: is not used by this experiment (task: {task}) and would change nothing; {remedy}"
            )
        if top in only_trains and (key not in _ONCE or key in varying):
            raise ConfigError(f"{word}: nothing is trained beside {lifter}, which is tested; leave one of the two out")


def shown_keys(target: str) -> set[str] | None:
    """The top-level keys that say what the task `target` does; None for one that is not listed."""
    task = target.rpartition(".")[2]
    if (used := _USED.get(task)) is None:
        return None
    beside = [more for key, more in _SHOWN_BESIDE.items() if key in used]
    return _SHOWN.union(used, *beside, {"table", "objective", "logger"} if task in _REPORTS else ())
