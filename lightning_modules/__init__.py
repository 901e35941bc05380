"""The lifter: from a person's 2D detections over time to 3D poses in camera coordinates.

networks/   the networks, plain modules: `tcn`, one set of weights in a dilated and a strided form
lifter      `Lifter`: a network with its standardisation, coordinates, frame rate and joint sets; predicts, no Lightning
components  the classes that a file may name: a lifter's features
prediction  `lift`: whole sequences in, the same sequences with predicted poses out
checkpoint  reading published folders, our folders, `.ckpt` and `.safetensors` files; writing ours and the published
builtin     the pretrained lifters in `weights/`, and the safetensors format
training    `LifterTraining`: the LightningModule around a lifter: loss, optimiser, schedule, validation

Nothing but `training` imports Lightning, so that predicting starts fast.

To add a network, write it in `networks/` with what `Lifter` and `lift` use of `TemporalConvNet`: plain constructor
arguments and `config`, which returns them; `receptive_field`, `causal` and `norm`; `forward` over whole sequences and
`forward_strided` over training windows. Let `Lifter` choose it by a new key of its `network` settings, whose absence
means `TemporalConvNet`, and give it a file in conf/network. Test both forms as tests/lightning_modules/networks does.
"""
