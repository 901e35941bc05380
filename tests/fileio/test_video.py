"""Reading and writing videos: every frame, right way up, at even times; one clear line for what cannot be read."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fileio import video
from fileio.text_lines import natural_order
from fileio.video import VideoWriter, probe, read_video
from pose.errors import ConfigError, DataError, MismatchError

av = pytest.importorskip("av", reason="needs PyAV: pip install av")

WIDTH, HEIGHT = 64, 48
STEP = 8  # of the grey level from frame to frame


def grey(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A frame that tells its number by its grey level."""
    return np.full((height, width, 3), 16 + STEP * number, np.uint8)


def number_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 16) / STEP)


def write(path: Path, n_frames: int = 20, fps: float = 25) -> Path:
    with VideoWriter(path, fps) as writer:
        for number in range(n_frames):
            writer.write(grey(number))
    return path


def write_at(path: Path, ticks: list[int], codec: str = "libx264", tick: Fraction = Fraction(1, 1000)) -> Path:
    """Frames at given times, by default in ms: a variable frame rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = stream.time_base = tick
        for number, time in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(grey(number), format="rgb24")
            frame.pts, frame.time_base = time, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, clockwise: int) -> Path:
    """Set the rotation of an mp4 by its track header's matrix, as phones do."""
    a, b = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "new" / "a.mp4", fps=25)
    info = probe(path)
    assert (info.width, info.height, info.fps, info.n_frames) == (WIDTH, HEIGHT, 25, 20)
    assert (
        info.n_frames / info.fps == pytest.approx(0.8)
        and not info.variable_rate
        and info.rotation == 0
        and not info.notes
    )
    frames = list(read_video(path))
    assert [number_of(frame.image) for frame in frames] == list(range(20)) == [frame.index for frame in frames]
    assert [frame.seconds for frame in frames] == pytest.approx(np.arange(20) / 25)
    assert all(frame.image.shape == (HEIGHT, WIDTH, 3) and frame.image.dtype == np.uint8 for frame in frames)


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 200
    with VideoWriter(tmp_path / "a.mp4", 30) as writer:
        writer.write(red)
    (frame,) = read_video(tmp_path / "a.mp4")
    np.testing.assert_allclose(frame.image.mean((0, 1)), [200, 0, 0], atol=6)


@pytest.mark.parametrize("fps", [30000 / 1001, 12.5, 60, 59.94, 119.88, 1.0, 0.5])
def test_the_rate_is_kept(tmp_path: Path, fps: float) -> None:
    assert probe(write(tmp_path / "a.mp4", 5, fps)).fps == pytest.approx(fps, rel=1e-6)


def test_odd_sizes_are_made_even_and_the_format_plays_everywhere(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 30) as writer:
        writer.write(Image.fromarray(grey(3, 63, 47)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.pix_fmt == "yuv420p" and (stream.width, stream.height) == (64, 48)
        assert stream.codec_context.name in ("h264", "mpeg4")


def test_without_h264_it_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    info = probe(write(tmp_path / "a.mp4", fps=119.88))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert (info.n_frames, info.fps) == (20, pytest.approx(119.88, rel=1e-5))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 3)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="stop"), VideoWriter(path, 25) as writer:
        writer.write(grey(0))
        raise RuntimeError("stop")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"b\.mp4: no frame"), VideoWriter(tmp_path / "b.mp4", 25):
        pass
    with pytest.raises(MismatchError, match="frame 1 is 32x48, the first is 64x48"), VideoWriter(path, 25) as writer:
        writer.write(grey(0))
        writer.write(grey(0, width=32))
    with pytest.raises(MismatchError, match="uint8 is expected"), VideoWriter(path, 25) as writer:
        writer.write(np.zeros((4, 4)))
    with pytest.raises(ConfigError, match="fps=0"):
        VideoWriter(path, 0)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_is_respected(tmp_path: Path, clockwise: int) -> None:
    stored = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    stored[:16, :16] = 230  # bright at the top left as stored
    with VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(stored)
    path = turn(tmp_path / "a.mp4", clockwise)
    (frame,) = read_video(path)
    info = probe(path)
    assert (info.width, info.height) == ((WIDTH, HEIGHT) if clockwise == 180 else (HEIGHT, WIDTH))
    assert frame.image.shape == (info.height, info.width, 3)
    row, column = np.argwhere(frame.image[..., 0] > 150).mean(0) / frame.image.shape[:2]
    corner = {90: (0, 1), 180: (1, 1), 270: (1, 0)}[clockwise]  # where the top left goes when turned clockwise
    assert (round(row), round(column)) == corner


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_uneven_times_are_resampled(tmp_path: Path, ending: str) -> None:
    times = [0, 33, 67, 100, 400, 433, 467, 500, 900, 1000]
    path = write_at(tmp_path / f"a.{ending}", times)
    info = probe(path)
    assert info.variable_rate and info.fps == pytest.approx(9, rel=0.01) and info.n_frames == 10
    assert "uneven" in info.notes[0] and "9.00" in info.notes[0]
    grid = np.arange(10) / 9 * 1000
    nearest = [int(np.abs(np.array(times) - moment).argmin()) for moment in grid]
    assert [number_of(frame.image) for frame in read_video(path)] == nearest
    assert [frame.seconds for frame in read_video(path)] == pytest.approx(grid / 1000, rel=0.01)


@pytest.mark.parametrize("uneven", [False, True])
def test_a_pause_is_left_out_and_said(tmp_path: Path, uneven: bool) -> None:
    """At the average rate these would be a handful of pictures, and 90,000 frames for the lifter."""
    steps = [50 if uneven and i > 18 else 33 for i in range(29)]
    steps[14] = 3 * 3600 * 1000
    path = write_at(tmp_path / "a.mp4", np.cumsum([0, *steps]).tolist())
    info = probe(path)
    assert info.n_frames == 30 and 25 < info.fps < 31 and info.variable_rate == uneven
    assert "1 pause in the frames' times, 10800 s in all, the first after frame 14: left out" in info.notes[0]
    shown = [number_of(frame.image) for frame in read_video(path)]
    assert len(set(shown)) >= (24 if uneven else 30) and shown == sorted(shown) and len(shown) == 30


def test_a_little_jitter_is_an_even_rate(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mkv", [round(i * 1000 / 30) + (3 if i % 3 == 1 else 0) for i in range(20)])
    info = probe(path)
    assert not info.variable_rate and info.fps == pytest.approx(30, rel=0.01)
    assert [number_of(frame.image) for frame in read_video(path)] == list(range(20))


def test_a_given_rate_replaces_the_files_own(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mp4", [0, 33, 67, 100, 400, 433, 467, 500, 900, 1000])
    info = probe(path, fps=50)
    assert (info.fps, info.variable_rate, info.notes) == (50, False, [])
    assert [number_of(frame.image) for frame in read_video(path, fps=50)] == list(range(10))
    for fps in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="fps="):
            probe(path, fps=fps)


def test_avi_and_a_stream_without_times(tmp_path: Path) -> None:
    for name, codec in (("a.avi", "mpeg4"), ("a.h264", "libx264")):
        info = probe(write_at(tmp_path / name, list(range(10)), codec, tick=Fraction(1, 25)))
        frames = [number_of(frame.image) for frame in read_video(tmp_path / name)]
        assert frames == list(range(10)) and info.n_frames == 10
        assert info.fps == 25 and not info.variable_rate


def test_frames_are_streamed(tmp_path: Path) -> None:
    frames = read_video(write(tmp_path / "a.mp4"))
    assert number_of(next(frames).image) == 0
    assert iter(frames) is frames, "an iterator, not a list"


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello " * 1000)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("text.mp4", "empty.mp4", "absent.mp4"):
        with pytest.raises(DataError, match=name) as caught:
            read_video(tmp_path / name)
        assert "\n" not in str(caught.value)
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        for packet in [*stream.encode(sound), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(DataError, match=r"sound\.mp4: has no video stream \(streams: audio\)"):
        probe(tmp_path / "sound.mp4")


def test_a_truncated_video(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.mp4", np.random.default_rng(0)
    with VideoWriter(path, 25) as writer:  # noise, so that the pictures and not the index are most of the file
        for _ in range(20):
            writer.write(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
    whole = path.read_bytes()
    for part in (0.9, 0.5, 0.1):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(DataError, match=r"a\.mp4.*(damaged|cut short)"):
            list(read_video(path))


def test_a_corrupt_video(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.mp4", np.random.default_rng(0)
    with VideoWriter(path, 25) as writer:
        for _ in range(20):
            writer.write(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = rng.integers(0, 255, len(content) - start, np.uint8).tobytes()
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4.*damaged"):
        list(read_video(path))


def test_a_few_frames_that_cannot_be_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, decoded = write(tmp_path / "a.mp4", 20), video._decoded

    def lose(count: int) -> None:
        monkeypatch.setattr(video, "_decoded", lambda *given: itertools.islice(decoded(*given), 20 - count))

    lose(2)
    assert [number_of(frame.image) for frame in read_video(path)] == [*range(18), 17, 17]
    assert "2 of 20 frames cannot be decoded" in caplog.text
    for count in (3, 20):
        lose(count)
        with pytest.raises(DataError, match=f"ends after {20 - count} of 20 frames"):
            list(read_video(path))


def test_a_frame_rate_of_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", 5)
    monkeypatch.setattr("fileio.video._packet_times", lambda container, stream: (np.zeros(5), 5))
    with pytest.raises(DataError, match=r"a\.mp4: a frame rate of zero: all 5 frames.*give fps="):
        probe(path)
    assert probe(path, fps=20).fps == 20


def test_a_single_frame_has_the_stored_rate(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.mp4", 1))
    assert (info.n_frames, info.fps) == (1, 25)


def test_a_folder_of_images(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.fromarray(grey(number)).save(tmp_path / f"img_{number}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    info = probe(tmp_path)
    assert (info.width, info.height, info.fps, info.n_frames) == (WIDTH, HEIGHT, None, 3)
    assert [number_of(frame.image) for frame in read_video(tmp_path)] == [1, 2, 10]
    assert [frame.seconds for frame in read_video(tmp_path)] == [None] * 3
    assert [frame.seconds for frame in read_video(tmp_path, fps=10)] == pytest.approx([0, 0.1, 0.2])


def test_folders_that_cannot_be_a_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images in this folder"):
        probe(tmp_path)
    Image.fromarray(grey(1)).save(tmp_path / "img_1.png")
    Image.fromarray(grey(2, 32, 32)).save(tmp_path / "img_2.png")
    with pytest.raises(DataError, match=r"img_2\.png: 32x32, but img_1\.png is 64x48"):
        read_video(tmp_path)
    (tmp_path / "img_2.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"img_2\.png: not an image"):
        read_video(tmp_path)


def test_photos_taken_sideways_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(grey(1)).save(tmp_path / "a.jpg", exif=exif)
    (frame,) = read_video(tmp_path)
    assert frame.image.shape == (WIDTH, HEIGHT, 3) and probe(tmp_path).width == HEIGHT


def test_natural_order() -> None:
    names = ["img_10.jpg", "img_9.jpg", "IMG_1.jpg", "a2b10", "a2b9"]
    assert sorted(names, key=natural_order) == ["a2b9", "a2b10", "IMG_1.jpg", "img_9.jpg", "img_10.jpg"]
    assert sorted(["1²2", "1²1"], key=natural_order) == ["1²1", "1²2"]  # a digit, but no number


def test_an_array_may_be_used_again_and_progress_is_told(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr("pose.progress.TELL_S", 0.0)
    monkeypatch.setattr("pose.progress.TELL_FRACTION", 0.0)
    image = np.zeros((32, 32, 3), np.uint8)
    with caplog.at_level("INFO"), VideoWriter(tmp_path / "grey.mp4", 25, total=12) as writer:
        for number in range(12):
            image[:] = 20 * number
            writer.write(image)
    found = [int(np.median(frame.image)) for frame in read_video(tmp_path / "grey.mp4")]
    np.testing.assert_allclose(found, 20 * np.arange(12), atol=6)
    assert "grey.mp4: 11 of 12 frames, 0 s left" in caplog.text
