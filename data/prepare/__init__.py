"""Making the data sets' folders out of the licensed archives: `experiment=prepare`.

    steps                 Step and run_steps: named steps that can be interrupted and continued
    manifest              what has been finished, in `manifest.json`
    sources               what a user has downloaded: files in folders and zip archives
    detections            matches what a detector found to the annotated people
    mpi_inf_3dhp          the training part: annotations, frames and masks of the videos, detections
    picture_sets          test sets of annotations and pictures; mpi_inf_3dhp_testset and mupots_3d are two
    muco_temp             MuCo-Temp, composed of a prepared MPI-INF-3DHP; muco_clips chooses the clips, muco_composition
                          pastes the frames, muco_detections hides joints, muco_video does the work of the steps
    check                 what is there, what is missing, what it enables

To add a preparation: a function that takes the root folder and returns steps (a test set is a `PictureSet`), and a YAML
in `conf/prepare` that names it.
"""
