"""Procedural scenes of parts that are hard to draw: faces, hands, signs and trees, with exact object masks.

A scene is drawn at four times its size and reduced, so that eyes, fingers and text strokes are one or two pixels wide
and anti-aliased. Everything follows from one `numpy.random.Generator`.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("background", "face", "hand", "sign", "tree")
OVERSAMPLING = 4

SKIES = {"blue": 0.58, "teal": 0.48, "violet": 0.74, "pink": 0.92, "golden": 0.12, "green": 0.33}
SKIN = ((244, 208, 177), (224, 172, 135), (198, 134, 94), (141, 85, 56), (94, 60, 44))
HAIR = ((38, 28, 24), (92, 56, 28), (170, 112, 48), (214, 180, 100), (120, 44, 30), (90, 90, 98))


@dataclass(frozen=True)
class Scene:
    """A drawn scene.

    Attributes:
        image: (height, width, 3) uint8, RGB.
        labels: (height, width) uint8, an index into `CLASSES` per pixel.
        objects: (n, height, width) bool, the visible pixels of each object, back to front.
        caption: what is in it, in words.
    """

    image: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    caption: str


def draw_scene(rng: np.random.Generator, height: int = 64, width: int = 64) -> Scene:
    """Draws one scene of two to four objects (more where it is wider than high)."""
    scale = OVERSAMPLING
    sky = list(SKIES)[rng.integers(len(SKIES))]
    canvas = _background(rng, SKIES[sky], height * scale, width * scale)
    owners = Image.new("L", canvas.size, 0)
    kinds: list[str] = []
    for x, y, radius in _places(rng, height, width):
        kind = CLASSES[1 + rng.integers(len(CLASSES) - 1)]
        silhouette = Image.new("L", canvas.size, 0)
        _DRAW[kind](ImageDraw.Draw(canvas), ImageDraw.Draw(silhouette), rng, x * scale, y * scale, radius * scale)
        kinds.append(kind)
        owners.paste(len(kinds), mask=silhouette)
    image = np.asarray(canvas.reduce(scale))
    owner = np.asarray(owners)[scale // 2 :: scale, scale // 2 :: scale]
    objects = np.stack([owner == i + 1 for i in range(len(kinds))])
    classes = np.array([0, *(CLASSES.index(kind) for kind in kinds)], np.uint8)
    return Scene(image, classes[owner], objects, _caption(kinds, sky))


def _background(rng: np.random.Generator, hue: float, height: int, width: int) -> Image.Image:
    top = _colour(hue + rng.normal(0, 0.015), rng.uniform(0.35, 0.65), rng.uniform(0.65, 0.95))
    bottom = _colour(hue + rng.normal(0, 0.03), rng.uniform(0.08, 0.3), rng.uniform(0.85, 1.0))
    ground = _colour(rng.uniform(0.05, 0.4), rng.uniform(0.25, 0.5), rng.uniform(0.4, 0.7))
    horizon = rng.uniform(0.6, 0.85) * height
    rows = np.arange(height, dtype=np.float32)[:, None]
    sky = np.array(top) + (np.array(bottom) - np.array(top)) * np.clip(rows / horizon, 0, 1)
    earth = np.array(ground) * (1 - 0.35 * np.clip((rows - horizon) / (height - horizon), 0, 1))
    column = np.where(rows < horizon, sky, earth)
    return Image.fromarray(np.repeat(column[:, None], width, axis=1).astype(np.uint8))


def _places(rng: np.random.Generator, height: int, width: int) -> list[tuple[float, float, float]]:
    """Centres and radii, overlapping a little at most, the lower ones drawn later (nearer)."""
    wanted = int(rng.integers(2, 5)) * max(1, round(width / height))
    places: list[tuple[float, float, float]] = []
    for _ in range(60):
        radius = rng.uniform(0.15, 0.24) * height
        x = rng.uniform(radius, width - radius)
        y = rng.uniform(radius * 1.05, height - radius * 1.05)
        if all(math.hypot(x - a, y - b) > 0.85 * (radius + r) for a, b, r in places):
            places.append((x, y, radius))
        if len(places) == wanted:
            break
    return sorted(places, key=lambda place: place[1])


def _caption(kinds: list[str], sky: str) -> str:
    counts = [(kind, kinds.count(kind)) for kind in CLASSES if kind in kinds]
    words = [f"a {kind}" if n == 1 else f"{_NUMBERS[n]} {kind}s" for kind, n in counts]
    return f"{', '.join(words)} under a {sky} sky"


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _shade(colour: tuple[int, int, int], factor: float) -> tuple[int, int, int]:
    return tuple(min(255, round(c * factor)) for c in colour)


def _box(x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
    return (x - rx, y - ry, x + rx, y + ry)


def _face(pen: ImageDraw.ImageDraw, outline: ImageDraw.ImageDraw, rng, x, y, r) -> None:
    skin = SKIN[rng.integers(len(SKIN))]
    hair = HAIR[rng.integers(len(HAIR))]
    rx = 0.78 * r
    for ear in (-1, 1):
        box = _box(x + ear * rx, y + 0.05 * r, 0.14 * r, 0.2 * r)
        pen.ellipse(box, fill=_shade(skin, 0.88))
        outline.ellipse(box, fill=255)
    pen.ellipse(_box(x, y - 0.08 * r, rx * 1.06, r), fill=hair)
    outline.ellipse(_box(x, y - 0.08 * r, rx * 1.06, r), fill=255)
    pen.ellipse(_box(x, y + 0.1 * r, rx * 0.92, 0.88 * r), fill=skin)
    gaze = rng.uniform(-0.05, 0.05) * r
    iris = _colour(rng.uniform(0, 1), 0.6, 0.35)
    for side in (-1, 1):
        ex, ey = x + side * 0.34 * r, y - 0.06 * r
        pen.ellipse(_box(ex, ey, 0.2 * r, 0.14 * r), fill=(252, 252, 250))
        pen.ellipse(_box(ex + gaze, ey, 0.11 * r, 0.12 * r), fill=iris)
        pen.ellipse(_box(ex + gaze, ey, 0.06 * r, 0.06 * r), fill=(10, 10, 12))
        brow = (ex - 0.22 * r, ey - 0.25 * r, ex + 0.22 * r, ey - 0.27 * r + rng.uniform(-0.06, 0.06) * r)
        pen.line(brow, fill=hair, width=max(2, round(0.09 * r)))
    nose = [(x, y), (x - 0.1 * r, y + 0.34 * r), (x + 0.1 * r, y + 0.34 * r)]
    pen.polygon(nose, fill=_shade(skin, 0.8))
    lips = (176, 54, 60) if rng.random() < 0.6 else _shade(skin, 0.55)
    smile = rng.uniform(0.08, 0.2) * r
    pen.chord(_box(x, y + 0.52 * r, 0.32 * r, smile), 0, 180, fill=lips)
    pen.line((x - 0.32 * r, y + 0.52 * r, x + 0.32 * r, y + 0.52 * r), fill=_shade(lips, 0.6), width=2)


def _hand(pen: ImageDraw.ImageDraw, outline: ImageDraw.ImageDraw, rng, x, y, r) -> None:
    skin = SKIN[rng.integers(len(SKIN))]
    edge = _shade(skin, 0.6)
    turn = rng.uniform(-0.35, 0.35)
    side = rng.choice((-1, 1))
    px, py = x, y + 0.35 * r
    angles = [turn + side * a for a in (-0.62, -0.26, 0.02, 0.3, 1.15)]
    lengths = (0.95, 1.2, 1.28, 1.15, 0.85)
    starts = [
        (px + 0.36 * r * math.sin(a), py - 0.36 * r * math.cos(a)) if i < 4 else (px, py) for i, a in enumerate(angles)
    ]
    thickness = 0.23 * r
    for width, colour in ((thickness + 0.1 * r, edge), (thickness, skin)):
        for (sx, sy), angle, length in zip(starts, angles, lengths, strict=True):
            reach = length * r
            ex, ey = px + reach * math.sin(angle), py - reach * math.cos(angle)
            _limb(pen, (sx, sy, ex, ey), width, colour)
            _limb(outline, (sx, sy, ex, ey), width, 255)
        swell = (width - thickness) / 2
        palm = _box(px, py, 0.48 * r + swell, 0.46 * r + swell)
        pen.ellipse(palm, fill=colour)
        outline.ellipse(palm, fill=255)
    crease = _shade(skin, 0.78)
    pen.arc(_box(px, py + 0.1 * r, 0.28 * r, 0.22 * r), 200, 340, fill=crease, width=2)


def _limb(pen: ImageDraw.ImageDraw, line: tuple[float, float, float, float], width: float, colour) -> None:
    pen.line(line, fill=colour, width=round(width))
    for end in (line[:2], line[2:]):
        pen.ellipse(_box(*end, width / 2, width / 2), fill=colour)


def _sign(pen: ImageDraw.ImageDraw, outline: ImageDraw.ImageDraw, rng, x, y, r) -> None:
    hue = rng.uniform(0, 1)
    dark = rng.random() < 0.4
    board = _colour(hue, 0.65, 0.45) if dark else _colour(hue, 0.25, 0.97)
    ink = (250, 250, 244) if dark else _colour(hue + 0.5, 0.5, 0.2)
    post = (x - 0.08 * r, y, x + 0.08 * r, y + r)
    pen.rectangle(post, fill=(96, 74, 56))
    outline.rectangle(post, fill=255)
    top, bottom, half = y - 0.8 * r, y + 0.45 * r, 0.92 * r
    plate = (x - half, top, x + half, bottom)
    pen.rounded_rectangle(plate, radius=0.12 * r, fill=board, outline=_shade(board, 0.55), width=3)
    outline.rounded_rectangle(plate, radius=0.12 * r, fill=255)
    rows = 2 if r < 46 else 3
    pitch = (bottom - top - 0.3 * r) / rows
    for row in range(rows):
        base = top + 0.15 * r + (row + 0.82) * pitch
        pos, end = x - half + 0.2 * r, x + half - rng.uniform(0.15, 0.5) * r
        while pos < end:
            _glyph(pen, rng, pos, base, 0.62 * pitch, ink)
            pos += 0.26 * r if rng.random() < 0.8 else 0.42 * r


def _glyph(pen: ImageDraw.ImageDraw, rng, x, base, height, ink) -> None:
    """One letter-like mark: an upright with one or two strokes on it."""
    width, stroke = 0.5 * height, max(2, round(0.17 * height))
    pen.line((x, base, x, base - height), fill=ink, width=stroke)
    for level in rng.choice((0.05, 0.5, 0.95), size=rng.integers(1, 3), replace=False):
        pen.line((x, base - level * height, x + width, base - level * height), fill=ink, width=stroke)
    if rng.random() < 0.4:
        pen.line((x + width, base, x + width, base - height), fill=ink, width=stroke)


def _tree(pen: ImageDraw.ImageDraw, outline: ImageDraw.ImageDraw, rng, x, y, r) -> None:
    hue = rng.uniform(0.22, 0.4) if rng.random() < 0.75 else rng.uniform(0.03, 0.12)
    bark = (92, 64, 44)
    trunk = [(x + side * r, y + end * r) for side, end in ((-0.14, 1), (0.14, 1), (0.08, -0.2), (-0.08, -0.2))]
    pen.polygon(trunk, fill=bark)
    outline.polygon(trunk, fill=255)
    for i in range(9):
        angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.45) * r
        cx, cy = x + reach * math.cos(angle), y - 0.32 * r + 0.75 * reach * math.sin(angle)
        size = rng.uniform(0.24, 0.36) * r
        pen.ellipse(_box(cx, cy, size, size), fill=_colour(hue, 0.6, 0.32 + 0.045 * i))
        outline.ellipse(_box(cx, cy, size, size), fill=255)


_DRAW = {"face": _face, "hand": _hand, "sign": _sign, "tree": _tree}
