"""Tasks, and the only place that knows Hydra, omegaconf and wandb.

tasks     one function a verb; conf/task points at them
runs      what surrounds every task: errors, seed, the run's folder, sweeps, and which settings decide numbers
training  train a lifter or reuse it
results   predictions to numbers, numbers to tables
command_line  file names in Hydra's grammar
datasets  which data sets are there, and the fall-back to synthetic data
loggers   CSV curves and wandb
progress  what a terminal shows meanwhile

A new verb is a function in tasks/ that calls `settle`, a file in conf/task and one in conf/experiment.
"""
