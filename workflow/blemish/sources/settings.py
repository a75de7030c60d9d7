"""Where everything comes from, and which sets of clean images are made of it: the sections `sources` and `pools`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from blemish.settings import Count, Name, Settings, Share, Text


class File(Settings):
    """A file from outside."""

    url: Annotated[str, Field(pattern="^(https?://|file:).+")]
    """Web address, or `file:` and a path from the repository's root."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{6,64}$")] | None = None
    """The file's SHA-256 in lower case, or its first six characters or more; null leaves it unchecked."""
    bytes: Count | None = None
    """The file's size in bytes; null leaves it unchecked."""


class Records(Settings):
    """The TFRecords of a data set, split by split."""

    train: File
    """The training split."""
    test: File
    """The test split."""
    dev: File | None = None
    """The development split, for choosing thresholds; null leaves it out."""


class Repository(Settings):
    """A repository of the Hugging Face hub, or a local folder of its layout."""

    repo: Text
    """Its name on the hub, or `file:` and a folder."""
    revision: str | None = None
    """Its revision; null is the newest. The commit that was fetched is recorded beside what was made of it, in
    `*.commit.json`, and a later fetch of another is said in its log."""


class Images(Repository):
    """The images that RichHF-18k names."""

    repo: Text
    """A data set of the hub with columns filename, image, caption (or Pick-a-Pic's), or `file:` and a folder with
    `data/{split}-*.parquet`; the images of `dev` are sought in `validation` and `train` too."""
    missing_allowed: Share
    """Share of images that may be missing or unreadable before the next mirror is tried, or the run stops; 0 is
    strict."""
    mirrors: list[Repository] = Field(default_factory=list)
    """More data sets of that kind, tried in order where `repo` is not there, is closed, cannot be reached or read, or
    lacks too many images; the log says which one was used and why."""
    gigabytes_allowed: Count | None = None
    """How much may be read of a data set of the hub. A Parquet file gives whole groups of rows, so where the images
    lie spread over many more rows, as in Pick-a-Pic's training split, nearly all of it would be read; the columns
    of ids, which are read first, tell. null reads whatever it takes."""


class RichHF(Settings):
    """RichHF-18k."""

    records: Records
    """Its TFRecords."""
    images: Images
    """Its images, which it names but does not hold.

    ASSUME: the paper does not say where it took them from; this is a mirror that joined them."""


class HPS(Repository):
    """The Human Preference Synthetic data set."""

    repo: Text
    """A data set of the hub with WebDataset tars `data/*.tar`, or `file:` and a folder of that layout."""
    tars: Count
    """How many tars the images are drawn from; the data set has 69.

    ASSUME: the paper draws from the whole data set, half a terabyte; five tars are 39 GB."""
    prompt: Literal["short_caption", "long_caption", "short_caption2", "long_caption2", "original_prompt"]
    """The caption that becomes the prompt.

    ASSUME: the paper does not say which; the short one fits the 77 tokens of the text encoder."""


class Model(Repository):
    """A model of the hub."""

    repo: Text
    """A model of the hub in diffusers' format, or `file:` and a folder."""


class Sources(Settings):
    """Where the inputs come from."""

    richhf: RichHF
    """RichHF-18k (§4.1)."""
    hps: HPS
    """The Human Preference Synthetic data set (§4.1)."""
    diffusion: Model
    """The diffusion model that inverts and resamples.

    ASSUME: the paper names none."""


class Pool(Settings):
    """A set of clean images, cut into parts."""

    shards: Count
    """Parts; a part is a job, of an hour on a small GPU and minutes on a large one."""


class Drawn(Pool):
    """Images drawn by seed."""

    count: Count
    """How many images (§4.1)."""


class Own(Pool):
    """Images of your own."""

    images: Text
    """A folder of images of any size, by its path from the repository's root; an image's prompt is the text file of its
    stem."""


class Pools(Settings):
    """Sets of clean images by name; any other name is a pool of your own images.

    ASSUME: of images that are not square, the central square is kept, scaled to `resolution`; labels are cut alike. The
    paper says nothing of sizes, and many HPS images are 1792x1024.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, Own]

    richhf: Pool
    """The rest of the RichHF training set, without its labels (§4.1)."""
    hps: Drawn
    """Images drawn from HPS (§4.1).

    ASSUME: they are "chosen to minimize pre-existing artifacts", and the paper describes no filter; none is applied to
    what is drawn at random."""
