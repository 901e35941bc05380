"""Files on disk -> `PoseSequence`s -> batches.

Every data set is one reader, a class built with its root folder (`data.sets.reader.Reader`): `files()`,
`missing_files()`, `sequences(coordinates)`.

    files           opens pickles, MATLAB, HDF5 and npz files safely; atomic writes; checks that name file and key
    reader          what the readers share: their face, missing files, published 2D detections
    cache           a second read from what the first one found
    mpi_inf_3dhp    MpiInf3dhpTrain, MpiInf3dhpTest, read_cameras
    muco_temp       MuCoTemp
    mupots_3d       MuPoTS3D
    keypoints_json  2D detections of a video
    predictions     predictions.npz, read and written
    windows         tables of frames and the batched gather of training windows
    datamodules     LightningDataModules
    synthetic       the embedded stand-in, written in the genuine formats

A new data set is one class with that face, one YAML in `conf/data` or `conf/test`, one test.
"""
