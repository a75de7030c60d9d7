"""Follows the examples of docs/extending.md: writes their files into a checkout, gives their command."""

import re
import shlex

import numpy as np
from checkout import ROOT
from PIL import Image

SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (ROOT / "docs/extending.md").read_text(), re.M | re.S))
FENCED = r"^```{}\n(.*?)^```$"


def blocks(section):
    """(file, place in it or "", text) of each file that a section shows."""
    for text in re.findall(FENCED.format("(?:yaml|python)"), SECTIONS[section], re.M | re.S):
        head, _, body = text.partition("\n")
        file, _, place = head.removeprefix("# ").partition(", ")
        yield file, place, body


def follow(section, folder):
    """Writes the section's files into a checkout; returns its one command's arguments."""
    for file, place, body in blocks(section):
        path = folder / file
        if place:
            table = re.fullmatch(r"among the rows of (\w+)", place)[1]
            before, after = re.fullmatch(rf"(.*\n  {table}:\n.*?\n    rows:\n)(.*)", path.read_text(), re.S).groups()
            path.write_text(before + body + after)
        else:
            assert not path.exists()
            path.write_text(body)
    (command,) = re.findall(FENCED.format("sh"), SECTIONS[section], re.M | re.S)
    program, *arguments = shlex.split(command)
    assert program == "snakemake"
    return arguments


def save_photos(folder):
    """Images of four sizes and modes, one with a prompt, and a file that is not an image."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, (size, mode) in enumerate([((64, 64), "RGB"), ((90, 70), "L"), ((40, 200), "RGBA"), ((300, 200), "P")]):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"photo {i}.png")
    (folder / "photo 0.txt").write_text("a face and a hand")
    (folder / "broken.jpg").write_text("no image")
