"""Bytes: everything that opens or writes a file does it here, once. Nothing that is read is trusted.

    atomic          writing: a file appears under its name only when it is complete
    limits          what every reader asks of a file: it opens, it holds what it announces, one line for what is wrong
    json_yaml       JSON, YAML and plain text
    pickle_reader   pickles of NumPy arrays and plain containers, by an allow-list
    torch_reader    torch files of tensors and plain containers
    mat_reader      MATLAB v5 files
    arrays          HDF5 and npz files; the checks of shapes and masks that come out of any reader
    text_lines      text formats, with errors that name the line; natural order of names
    images          JPEG pictures in and out
    video           videos and folders of images as streams of frames; mp4 files
    frame_times     when a video's frames are shown: rate, pauses
    terminal        what a terminal and a log line can show
    locks           one process at a time (filelock)

To add a reader: a function `read_KIND(path)` in a module of its own that reads inside `limits.reading`, checks with
`limits.check_unpacked` what the file announces before memory is taken for it, and returns plain arrays and containers;
then a small file of the format in `TARGETS` of tests/fileio/test_fuzz.py, which damages it.
"""
