"""What surrounds every task.

runner   errors as one line, seed, run.json; a task calls `settle` once its configuration is final
run_dir  the run's folder, which one run holds at a time
sweep    finished rows are not computed again, a failed one stays alone, one table at the end
inputs   digests of the files and the code that a row reads: what makes a finished row stale
hashing  which settings decide numbers: a new setting that does not is listed there
"""
