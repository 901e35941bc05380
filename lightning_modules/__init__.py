"""The lifter: from a person's 2D detections over time to 3D poses in camera coordinates.

networks/   the networks, plain modules: `tcn`, as published, and `mixer`; one set of weights in a form for whole
            sequences and one for training windows
components  networks and features by their `_target_`, and whose classes a lifter's file may name
lifter      `Lifter`: a network with its standardisation, coordinates, frame rate and joint sets; predicts, no Lightning
prediction  `lift`: whole sequences in, the same sequences with predicted poses out
checkpoint  reading published folders, our folders, `.ckpt` and `.safetensors` files; writing ours and the published
builtin     the pretrained lifters in `weights/`, and the safetensors format
training    `LifterTraining`: the LightningModule around a lifter: loss, optimiser, schedule, validation
synced_norm batch normalisation over the parts of a batch on several devices
onnx_export a network as an ONNX file, checked against PyTorch
losses      what `model.loss` names

Nothing but `training` imports Lightning, so that predicting starts fast.

To add a network, write a class (B, T, n_features) -> (B, T - receptive_field + 1, n_targets) that says its
`receptive_field` and `causal`, and a file in conf/model that names it: docs/extending.md.
"""
