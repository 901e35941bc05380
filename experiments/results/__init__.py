"""From predictions to numbers and tables.

scoring  predictions of a test set -> the content of metrics.json
table    the one `Table` of all tasks, and which columns there are: a new metric key needs its heading here
jobs     the runs of a sweep -> a `Table`
paired   differences of a sweep's rows, paired by seed, with intervals
report   one run's metrics.json and its tables
writers  a `Table` as Markdown, CSV, LaTeX and figure: a new format is one function here, called by `write_table`
"""
