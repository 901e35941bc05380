"""What lifters are trained on: sequences read, cut into windows, handed to Lightning.

    windows      FrameTable (all frames, standardised) and EpochSampler (the batches of an epoch)
    datamodules  one LightningDataModule for each option of `data=`

To add a training set: a reader in `data.sets`, a subclass of `LifterDataModule` that names it, a YAML in `conf/data`.
"""
