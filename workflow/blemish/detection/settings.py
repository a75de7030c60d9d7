"""How detectors are built and trained, and where the selector marks: `backbones`, `detectors`, `selector`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from blemish.settings import Count, Seed, Settings, Share
from blemish.sources.settings import File

Beta = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(gt=0)]
Precision = Literal["bfloat16", "float16"] | None


class Overrides(Settings):
    """Changes to the model of an mmsegmentation config."""

    backbone: dict = Field({})
    """Of the network."""
    decode_head: dict = Field({})
    """Of the head."""
    auxiliary_head: dict = Field({})
    """Of the head that only training uses."""


class Backbone(Settings):
    """A segmentation model."""

    config: Annotated[str, Field(pattern=r"\.py$")]
    """A config of the mmsegmentation wheel, a file that ends in .py (§4.2).

    ASSUME: the paper names neither the head nor ConvNeXt's size. UPerNet, which mmsegmentation publishes with both
    backbones, trained on ADE20K; and Tiny, the size of Swin-T."""
    weights: File
    """Weights, pre-trained on ADE20K (§4.2)."""
    overrides: Overrides = Overrides()
    """Changes to the config's model."""


class Training(Settings):
    """The training of one detector."""

    iterations: Count
    """Training iterations (§4.4)."""
    batch_size: Count
    """Images per iteration, over all processes (§4.2).

    ASSUME: "a batch size of eight" is read as eight in all, and the same for the 10,000 iterations of §4.4, which names
    none. Per GPU it is 64 on the paper's eight: `config/pal4vst.yaml`."""
    lr: Annotated[float, Field(gt=0)]
    """AdamW's peak learning rate (§4.4)."""
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)]
    """AdamW's betas (§4.4)."""
    weight_decay: Annotated[float, Field(ge=0)]
    """AdamW's weight decay (§4.4); none on position biases and norms, but for the heads' where `head_lr` is not 1."""
    head_lr: Annotated[float, Field(gt=0)]
    """The heads' learning rate as a multiple of `lr`.

    ASSUME: the paper names one rate; `config/pal4vst.yaml` has the ten of the public configs with its optimizer."""
    warmup: Share
    """Share of the iterations in which the learning rate rises linearly.

    ASSUME: the paper names no schedule; the 1,500 iterations of mmsegmentation's configs would outlast the selector's
    1,000."""
    decay: Count | None
    """Iteration at which the learning rate, which falls linearly after the warm-up, would reach 0; null is the last.

    ASSUME: the paper names no schedule; with the 160,000 of the public configs the rate is nearly constant
    (`config/pal4vst.yaml`)."""
    rescale: Annotated[tuple[Factor, Factor], Field(strict=False)] | None
    """Bounds of a random factor by which training images are rescaled before they are cropped; null for none.

    ASSUME: none, because it changes how artifacts look; the public configs have 0.5 to 2 (`config/pal4vst.yaml`)."""
    amp: Precision
    """Mixed precision; null is float32.

    ASSUME: the paper names none; bfloat16 is fast and needs no scaling of the loss."""
    workers: Annotated[int, Field(ge=0)]
    """Data loading processes of one detector; 0 loads in the training process."""
    checkpoint_interval: Count
    """Iterations between states to resume from."""
    log_interval: Count
    """Iterations between points of the loss curve."""


class Detectors(Training):
    """How detectors are trained; `iterations` is of all but the region selection model.

    ASSUME: images are flipped and cropped as in mmsegmentation's ADE20K training, without its colour distortion, which
    would change how artifacts look.

    ASSUME: test images are seen whole by both backbones, at the training's size.
    """

    seeds: Annotated[list[Seed], Field(min_length=1)]
    """One detector per seed; tables show the mean. The first seed's selector selects the regions.

    ASSUME: the paper reports one run."""
    selector_iterations: Count
    """Training iterations on human labels (§4.2)."""
    gpus: Count
    """GPUs that train one detector together; 1 wastes nothing, several shorten one detector."""


class Inference(Settings):
    """How a trained detector is run: a matter of speed, memory and the last bits of its probabilities."""

    device: Literal["cuda", "cpu"]
    """Where it runs."""
    batch_size: Count
    """Images per call."""
    amp: Precision
    """Mixed precision; null is float32."""


class Selector(Settings):
    """The region selection model."""

    tau: Share | Literal["area"]
    """M_s = {x : f(I)(x) >= tau}, f(I)(x) in [0, 1], the softmax probability of the artifact class (§3.1); `area` takes
    the tau of each pool at which M_s holds as large a share of all pixels as people marked in the selector's samples.

    ASSUME: the paper names no threshold. 1/2 is the arg max of its segmentation model, and the reading of its detectors
    (`evaluation.threshold`); `area` reads "p_s close to p_w" (§3.1) as a rule."""
