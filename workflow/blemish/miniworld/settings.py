"""What `make miniworld` makes: the sections of config/miniworld.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from blemish.settings import Count, Seed, Settings, Share


class Scenes(Settings):
    """Scenes that a network learns from; seeds keep the sets of scenes apart."""

    scenes: Count
    """How many scenes are drawn."""
    iterations: Count
    """Training iterations."""
    seed: Seed
    """Of the scenes and of the training."""


class Generator(Scenes):
    """A latent diffusion generator."""

    widths: Annotated[list[Count], Field(min_length=2, max_length=2)]
    """Channels of its UNet, level by level."""


class Segmentation(Scenes):
    """The pre-training of segmentation models; all else is trained as the detectors of config/mini.yaml are."""

    lr: Annotated[float, Field(gt=0)]
    """AdamW's peak learning rate."""


class Split(Settings):
    """A split of the mini world's RichHF-18k."""

    images: Count
    """How many images."""
    seed: Seed
    """Of the scenes, the damage and the annotators."""


class RichHF(Settings):
    """The mini world's RichHF-18k."""

    train: Split
    """The training split."""
    test: Split
    """The test split."""


class HPS(Settings):
    """The mini world's HPS."""

    images: Count
    """How many images."""
    wide: Share
    """Share of 112x64 images, as HPS has 1792x1024."""
    tars: Count
    """How many tars they lie in."""
    seed: Seed
    """Of the scenes."""


class Miniworld(Settings):
    """What the mini world is made with."""

    vae: Scenes
    """The autoencoder of all generators."""
    diffusion: Generator
    """The generator that inverts and corrupts."""
    wild: Generator
    """The weaker generator, whose failures are the wild artifacts."""
    richhf: RichHF
    """The counterpart of RichHF-18k."""
    hps: HPS
    """The counterpart of HPS."""
    segmentation: Segmentation
    """The pre-training of segmentation models on the scenes' objects."""
