import csv
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.data.records import read_records
from blemish.errors import UserError
from blemish.sources.folder import find, frame_part, listings, match_masks, read, safe_names
from blemish.sources.framing import crop, scale

RNG = np.random.default_rng(0)


def picture(path, size=(40, 30), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
    image.save(path, **options)
    return image


def load(path, size=16, mask=None):
    (found,) = find([path])
    return read(found, size, mask)[0]


def test_a_folder_is_searched_and_each_file_is_taken_once(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/notes.txt", ".hidden/d.png", "a/.e.png"):
        picture(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("x")
    assert [found.name for found in find([tmp_path, tmp_path / "b.png"])] == ["a/c.JPG", "b.png"]


def test_equal_stems_get_names_of_their_own_whatever_else_is_there(tmp_path):
    picture(tmp_path / "a" / "face.png"), picture(tmp_path / "b" / "Face.png"), picture(tmp_path / "hand.png")
    ids = {found.name: found.id for found in find([tmp_path])}
    assert ids["hand.png"] == "hand"
    assert ids["a/face.png"].startswith("face-") and ids["b/Face.png"].startswith("Face-")
    (tmp_path / "hand.png").unlink()
    assert ids.items() >= {found.name: found.id for found in find([tmp_path])}.items()


def test_a_name_in_no_known_encoding_can_be_stored(tmp_path):
    name = tmp_path / os.fsdecode(b"n\xff\n.png")
    picture(name)
    frame_part(tmp_path, 0, 1, 16, tmp_path / "0.parquet", tmp_path / "0.csv")
    (record,) = read_records(tmp_path / "0.parquet")
    assert (record.id, record.source) == ("n", "file:n\ufffd\n.png")


@given(st.lists(st.text(max_size=20), max_size=8, unique=True))
def test_safe_names_are_safe_and_differ(texts):
    names = safe_names({text: text for text in texts})
    assert len({name.casefold() for name in names}) == len(texts)
    for name in names:
        assert name and name.isascii() and not set(name) & set('/\\:*?"<>| \n\0') and name.strip(".-") == name


@pytest.mark.parametrize("paths", [["nothing.png"], ["empty"]])
def test_nothing_to_find_is_said(tmp_path, paths):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=paths[0]):
        find([tmp_path / path for path in paths])


def test_images_are_framed_like_those_of_the_sources(tmp_path):
    image = picture(tmp_path / "x.png", (80, 30))
    record = load(tmp_path / "x.png")
    assert (record.image == crop(scale(image, 16), 16)).all()
    assert (record.id, record.prompt, record.source, record.mask) == ("x", "", "file:x.png", None)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    picture(tmp_path / "x.png", mode=mode)
    assert load(tmp_path / "x.png").image.shape == (16, 16, 3)


def test_sixteen_bits_keep_their_shades(tmp_path):
    Image.fromarray(np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)).save(tmp_path / "x.png")
    shades = load(tmp_path / "x.png", 64).image[..., 0].ravel()
    assert shades[0] == 0 and shades[-1] == 255 and abs(int(shades[2048]) - 127) <= 1


def test_the_text_beside_an_image_is_its_prompt(tmp_path):
    picture(tmp_path / "x.png")
    (tmp_path / "x.txt").write_text("a face\n")
    assert load(tmp_path / "x.png").prompt == "a face"


def test_other_files_are_named(tmp_path):
    (tmp_path / "x.png").write_text("not an image")
    picture(tmp_path / "whole.png", (200, 200))
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:5000])
    for name in ("x.png", "half.png"):
        with pytest.raises(UserError, match=rf"{name}: it is not an image that can be read"):
            load(tmp_path / name)


@pytest.mark.parametrize("stored", ["L", "1", "P", "labels"])
def test_a_mask_follows_its_image(tmp_path, stored):
    """The image is white where the mask is, so both must be cropped, scaled and turned alike."""
    marked = np.zeros((30, 64), bool)
    marked[10:20, 30:44] = True
    white = Image.fromarray(marked.astype(np.uint8) * 255)
    mask = Image.fromarray(marked.astype(np.uint8)) if stored == "labels" else white.convert(stored)
    turned = Image.Exif()
    turned[0x112] = 3  # upside down
    white.convert("RGB").rotate(180).save(tmp_path / "x.png", exif=turned)
    mask.save(tmp_path / "mask.png")
    record = load(tmp_path / "x.png", 30, tmp_path / "mask.png")
    assert record.mask.any() and (record.mask == (record.image[..., 0] > 127)).all()


def test_a_mask_of_another_size_is_refused(tmp_path):
    picture(tmp_path / "x.png", (40, 30)), picture(tmp_path / "mask.png", (30, 40))
    with pytest.raises(UserError, match=r"is 30x40 and its image .* is 40x30"):
        load(tmp_path / "x.png", 16, tmp_path / "mask.png")


def test_masks_lie_where_their_images_do_or_have_their_stems(tmp_path):
    for name in ("images/a/x.png", "images/b/x.png", "images/y.jpg", "masks/a/x.png", "masks/b/x.png", "masks/c/y.png"):
        picture(tmp_path / name)
    images = find([tmp_path / "images"])
    masks = match_masks(images, tmp_path / "masks")
    found = {image.name: masks[image.id].relative_to(tmp_path / "masks").as_posix() for image in images}
    assert found == {"a/x.png": "a/x.png", "b/x.png": "b/x.png", "y.jpg": "c/y.png"}
    picture(tmp_path / "masks/d/y.png")
    with pytest.raises(UserError, match="2 masks of the stem y"):
        match_masks(images, tmp_path / "masks")
    picture(tmp_path / "images/z.png")
    with pytest.raises(UserError, match="no mask of the stem z"):
        match_masks(find([tmp_path / "images/z.png"]), tmp_path / "masks")


def test_the_parts_of_a_folder_are_the_folder(tmp_path):
    for i in range(5):
        picture(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "broken.png").write_text("x")
    for part in range(2):
        frame_part(tmp_path / "in", part, 2, 16, tmp_path / f"{part}.parquet", tmp_path / f"{part}.csv")
    shards = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    assert sorted(record.id for record in read_records(shards)) == list("01234")
    rows = [row for part in "01" for row in csv.DictReader((tmp_path / f"{part}.csv").read_text().splitlines())]
    assert sorted(row["file"] for row in rows if not row["refused"]) == [f"{i}.png" for i in range(5)]
    assert next(row["refused"] for row in rows if row["file"] == "broken.png").endswith("leave it out.")
    assert {(row["width"], row["height"]) for row in rows if not row["refused"]} == {("40", "30")}


def test_the_listing_tells_changes(tmp_path):
    picture(tmp_path / "x.png")
    pools = {"mine": {"images": str(tmp_path)}}
    before = listings(pools)
    assert listings(pools) == before
    (tmp_path / "note.md").write_text("no image")
    assert listings(pools) == before
    (tmp_path / "x.txt").write_text("a prompt")
    with_prompt = listings(pools)
    assert with_prompt != before
    picture(tmp_path / "y.png")
    assert listings(pools) not in (before, with_prompt)
    with pytest.raises(UserError, match=r"pools\.mine\.images: nowhere is neither a file nor a folder"):
        listings({"mine": {"images": "nowhere"}})
