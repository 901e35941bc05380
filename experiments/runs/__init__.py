"""What surrounds every task.

runner   errors as one line, seed, run.json; a task calls `settle` once its configuration is final
run_dir  the run's folder, which one run holds at a time, and what it may hold of older ones
sweep    finished rows are not computed again, a failed one stays alone, one table at the end
sweep_words  what a sweep varies, and the folders of it and its rows
inputs   digests of the files and the code that decide a result: what makes a finished row stale
hashing  which settings decide numbers: a new setting that does not is listed there
used_keys    which settings each task uses: those of a new task are listed there
signals  SIGTERM ends a run with a line
"""
