"""Store figures as palette PNGs where nobody can see the difference."""

import base64
import io

import numpy as np
from PIL import Image

COLOURS = (64, 128, 256)
PIXELS = 2  # stored for each of the page's, in both directions
SLIGHT, STRONG = (
    8,
    64,
)  # of 255: a channel may differ by the first anywhere, by the second in
SHARE = 0.002  # this share of the pixels only (edges of lines)


def smaller(outputs):
    """The same outputs, each PNG in its smaller form."""
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            data["image/png"] = palette(data["image/png"])
    return outputs


def palette(encoded):
    """A base64 PNG in the fewest colours that look the same, if that is smaller; else as it was."""
    original = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if original.mode == "P" or original.convert("RGBA").getextrema()[3] != (255, 255):
        return encoded
    picture = original.convert("RGB")
    for colours in COLOURS:
        reduced = picture.quantize(
            colours, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE
        )
        if looks_the_same(picture, reduced.convert("RGB")):
            file = io.BytesIO()
            reduced.save(file, "PNG", optimize=True)
            small = base64.b64encode(file.getvalue()).decode() + "\n"
            return small if len(small) < len(encoded) else encoded
    return encoded


def looks_the_same(before, after):
    """Whether two images differ by little, at the size in which the page shows them."""
    before, after = (
        np.asarray(image.reduce(PIXELS), dtype=int) for image in (before, after)
    )
    difference = np.abs(before - after).max(axis=-1)
    return difference.max() <= STRONG and (difference > SLIGHT).mean() <= SHARE
