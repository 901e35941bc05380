"""The genuine data sets on disk: a reader each, and writers of the same files.

    reader         Reader, what all readers share: missing files, published 2D detections
    mpi_inf_3dhp   MpiInf3dhpTrain and MpiInf3dhpTest, cameras, the repaired annotations
    muco_temp      MuCoTemp
    mupots_3d      MuPoTS3D
    writers        the same formats written, for synthetic data, motion capture and `data.prepare`

To add a data set: a `Reader` subclass (its files, and `_read`, which makes one `PoseSequence` per person), a YAML that
names it in `conf/test`, or one in `conf/data` with a subclass of `data.training.datamodules.LifterDataModule`, and a
test that reads a small file of the genuine format.
"""
