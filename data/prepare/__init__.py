"""Making the data sets' folders: out of the licensed archives, or out of motion capture.

`steps` runs named steps that can be interrupted and continued, `manifest` is their memory. Each preparation is a
function that returns steps: `mpi_inf_3dhp`, `mupots_3d`, `muco_temp` and, elsewhere, motion capture. `detections`
matches what a detector found to the annotated people, `check` says what is there and what it enables.
"""
