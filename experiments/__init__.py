"""Tasks, and the only place that knows Hydra, omegaconf and wandb.

runner: what surrounds every task (errors, seed, run folder). tasks/: one function per verb, `conf/task` points at them.
datasets: which data sets are there, and the fall-back to the stand-in. lifters: train a lifter or reuse it.
scoring: predictions to numbers. report: metrics.json and table.md. progress: what a terminal shows meanwhile.
"""
