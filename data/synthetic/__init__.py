"""Synthetic data: all three data sets, in their genuine formats, from a seeded generator.

It lets everything run where no data set is. What is read back goes through the ordinary readers.

    bodies      a person's bone lengths, and the posing of a skeleton from joint angles
    motions     procedural motions, (T, 17, 3) world arrays: walk, sit, reach, wave, ...
    scenes      motions placed before a camera (`compose_scene`) and what is seen of them (`render_scene`)
    occlusion   which joints other people or the own body hide
    detections  what a 2D detector makes of a scene
    datasets    which recordings there are, written by `data.sets.writers`
    settings    SyntheticSettings, what decides the content, and its fingerprint
    generate    `ensure_synthetic` generates the data once, `synthetic_test` reads its test sets

A new motion is an act in `motions.ACTS` with its gestures, a new recording a job in `datasets.jobs`; both raise
`settings.GENERATOR_VERSION`, which renames the folders and retrains the lifters.
"""
