"""Files on disk -> `PoseSequence`s -> batches.

    sets         readers and writers of the genuine data sets
    keypoints    2D formats of every tool -> detections; the `Detector` protocol
    predictions  predictions.npz <-> `PoseSequence`s; foreign_predictions: what other programs write
    training     windows and LightningDataModules
    synthetic    all data sets, generated, where there are none
    mocap        motion capture -> training and test scenes
    prepare      resumable steps that make data sets out of downloads

Each package says how to add one of its kind: a data set, a format, a motion, a preparation.
"""
