"""The lifter: from a person's 2D detections over time to 3D poses in camera coordinates.

tcn         the network, one set of weights in a dilated and a strided form
folded      the network as prediction runs it: batch norm folded in, matrix products only
lifter      the LightningModule: loss, optimiser, schedule, validation; normalisation and settings in the checkpoint
metrics     validation scores of the MPI-INF-3DHP protocol
prediction  `lift`: whole sequences in, the same sequences with predicted poses out
checkpoint  reading published folders, our folders and `.ckpt` files; writing ours and the published format
"""
