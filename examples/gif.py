"""The animation of a run as a small looped GIF: `python examples/gif.py outputs/person/animation.mp4 person.gif`."""

import sys

from PIL import Image

from fileio.video import probe, read_video

source, target, width = sys.argv[1], sys.argv[2], 560
fps = probe(source).fps
step = max(1, round(fps / 12))
frames = [Image.fromarray(frame.image) for frame in read_video(source)][::step]
small = [picture.resize((width, width * picture.height // picture.width)) for picture in frames]
palette = small[len(small) // 2].quantize(64, Image.Quantize.MAXCOVERAGE)
drawn = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in small]
drawn[0].save(target, save_all=True, append_images=drawn[1:], duration=round(1000 * step / fps), loop=0)
