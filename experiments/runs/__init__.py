"""What surrounds every task.

runner   errors as one line, seed, run.json; a task calls `settle` once its configuration is final
run_dir  the run's folder, which one run holds at a time
sweep    finished rows are not computed again, a failed one stays alone, one table at the end
hashing  which settings decide numbers: a new setting that does not is listed there
"""
