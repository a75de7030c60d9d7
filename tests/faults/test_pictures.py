"""Images of every kind from outside, through both sources: handled by the rule of `blemish.data.images`, or counted."""

import io
import json
import logging
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tars import draw

from blemish.data.images import decode, decode_rgb
from blemish.data.records import read_records
from blemish.errors import UserError
from blemish.sources import hps
from blemish.sources.richhf_images import fetch_images
from blemish.sources.settings import HPS, Images

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(kind="PNG"):
    return encode(Image.fromarray(PIXELS), kind)


def bomb():
    """20,000 x 20,000 pixels of one colour in 50 kB."""
    return encode(Image.new("1", (20000, 20000)))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encode(Image.fromarray(PIXELS), "PNG", exif=tags)


def animated(kind):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


HANDLED = {
    "1x1": encode(Image.new("RGB", (1, 1), "red")),
    "grey": encode(Image.fromarray(PIXELS[..., 0])),
    "bilevel": encode(Image.fromarray(PIXELS[..., 0] > 99)),
    "CMYK": encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "RGBA": encode(Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]]))),
    "grey with alpha": encode(Image.fromarray(PIXELS[..., :2], "LA")),
    "palette": encode(Image.fromarray(PIXELS).convert("P")),
    "palette with a transparent colour": encode(Image.fromarray(PIXELS).convert("P"), transparency=3),
    "16-bit": encode(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)),
    "animated GIF": animated("GIF"),
    "animated PNG": animated("PNG"),
    "animated WebP": animated("WEBP"),
    **{f"EXIF {i}": exif(i) for i in range(1, 9)},
    "JPEG": plain("JPEG"),
    "progressive JPEG": encode(Image.fromarray(PIXELS), "JPEG", progressive=True),
    "BMP": plain("BMP"),
    "TIFF": plain("TIFF"),
}
FLIPPED = bytearray(plain())
FLIPPED[len(FLIPPED) // 2] ^= 1
REFUSED = {
    "nothing": b"",
    "text": b"<html>not here</html>",
    "bomb": bomb(),
    "truncated PNG": plain()[:-2000],
    "truncated JPEG": plain("JPEG")[:-500],
    "flipped PNG": bytes(FLIPPED),
    "too narrow": encode(Image.new("RGB", (2000, 1))),
    "32-bit": encode(Image.fromarray(PIXELS[..., 0].astype(np.int32) * 10**6), "TIFF"),
    "floats": encode(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/x) (w) file\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.mark.parametrize("name", HANDLED)
def test_it_becomes_8_bit_rgb(name):
    image = decode_rgb(HANDLED[name])
    assert image.mode == "RGB" and np.array(image).dtype == np.uint8


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_reason(name):
    with pytest.raises(ValueError, match=r"^(it|its) "):
        decode_rgb(REFUSED[name])


def test_rotated_images_stand_upright():
    for orientation in range(1, 9):
        turned = Image.Exif()
        turned[0x0112] = orientation
        stored = Image.fromarray(PIXELS)
        back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # what undoes it
        if orientation in back:
            stored = stored.transpose(Image.Transpose(back[orientation]))
        upright = np.array(decode_rgb(encode(stored, exif=turned)))
        if orientation in (1, 2, 3, 4, 5, 7):  # those that undo themselves
            assert (upright == PIXELS).all()
        assert upright.shape == PIXELS.shape


def test_what_is_transparent_is_white():
    clear = np.zeros((4, 4, 4), np.uint8)
    assert (np.array(decode_rgb(encode(Image.fromarray(clear)))) == 255).all()


def test_sixteen_bits_keep_their_range():
    wide = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    assert (np.array(decode_rgb(encode(Image.fromarray(wide))))[..., 0].ravel() == np.arange(256)).all()


def test_of_an_animation_the_first_picture_counts():
    for kind in ("GIF", "PNG", "WEBP"):
        assert np.array(decode_rgb(animated(kind)))[0, 0].tolist()[0] > 250


@pytest.fixture
def tar(tmp_path, monkeypatch):
    """A tar of all these images and some plain ones, in the layout of HPS."""

    # Here a third is broken; a draw keeps images to stand in for 8 and 2 % of its share.
    monkeypatch.setattr(hps, "_spare", lambda _: len(REFUSED))

    def make(images):
        (tmp_path / "hps/data").mkdir(parents=True)
        with tarfile.open(tmp_path / "hps/data/data-000000.tar", "w") as archive:
            for i, content in enumerate(images):
                about = json.dumps({"short_caption": f"a face {i}"}).encode()
                for name, part in ((f"s{i}.json", about), (f"s{i}.png", content)):
                    member = tarfile.TarInfo(name)
                    member.size = len(part)
                    archive.addfile(member, io.BytesIO(part))
        return HPS(repo=f"file:{tmp_path}/hps", tars=1, prompt="short_caption")

    return make


def test_hps_counts_what_it_cannot_read(tar, tmp_path, caplog):
    source = tar([*HANDLED.values(), *REFUSED.values()])
    with caplog.at_level(logging.INFO):
        draw(source, len(HANDLED), 0, 32, [tmp_path / "0.parquet"], tmp_path / "ledger.csv")
    drawn = list(read_records(tmp_path / "0.parquet"))
    assert len(drawn) == len(HANDLED)
    assert all(record.image.shape == (32, 32, 3) for record in drawn)
    assert f"'its image cannot be read': {len(REFUSED)}" in caplog.text
    assert "too many pixels" in caplog.text and "narrower than" in caplog.text


def test_hps_says_so_when_too_few_are_left(tar, tmp_path):
    source = tar([*REFUSED.values(), plain()])
    with pytest.raises(UserError, match="holds 1 usable images and 2 are to be drawn"):
        draw(source, 2, 0, 32, [tmp_path / "0.parquet"], tmp_path / "ledger.csv")


@pytest.mark.parametrize(("allowed", "stops"), [(0.6, False), (0.0, True)])
def test_a_mirror_counts_what_it_cannot_read(tmp_path, caplog, allowed, stops):
    names = [f"train/{name.replace(' ', '_')}.png" for name in [*HANDLED, *REFUSED]]
    table = {
        "filename": names,
        "image": [{"bytes": content, "path": None} for content in [*HANDLED.values(), *REFUSED.values()]],
        "caption": ["a face"] * len(names),
    }
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(table), tmp_path / "data/train-0.parquet")
    ids = [name.removeprefix("train/").removesuffix(".png") for name in names]
    source = Images(repo=f"file:{tmp_path}", missing_allowed=allowed)
    out = tmp_path / "images.parquet"
    if stops:
        with pytest.raises(UserError, match=f"lacks {len(REFUSED)} of the {len(ids)} images"):
            fetch_images(ids, "train", source, 32, out)
        return
    fetch_images(ids, "train", source, 32, out)
    assert {record.id for record in read_records(out, [])} == set(ids[: len(HANDLED)])
    assert f"{len(REFUSED)} of {len(ids)} images are missing" in caplog.text
    assert caplog.text.count("cannot be read") == len(REFUSED)


def test_a_map_may_have_any_of_the_containers():
    grey = Image.fromarray(PIXELS[..., 0])
    for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF"):
        assert decode(encode(grey, kind)).size == (60, 40)
