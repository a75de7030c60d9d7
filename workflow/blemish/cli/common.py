"""What the commands share: options, the config, the weights to use, images and records to work on, a new folder."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from blemish.data.records import Record
    from blemish.detection.settings import Backbone, Inference
    from blemish.sources.folder import Found

Images = Annotated[list[Path], typer.Argument(help="Images, or folders of images, of any size.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder to make; it must not exist yet.", show_default=False)]
Config = Annotated[
    list[Path] | None,
    typer.Option(help="Config file over config/config.yaml, as Snakemake's; may be repeated. (default: the demo's)"),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="A detector's weights.safetensors, beside its card.json. (default: of the config's results)"),
]


def say(text: str) -> None:
    """A line about what is going on; results alone go to stdout."""
    typer.echo(text, err=True)


def configure(overlays: Sequence[Path] | None) -> dict:
    """The config that a command runs on: the paper's with the overlays, by default the demo's.

    Raises:
        UserError: a file is missing or faulty.
    """
    from blemish.config.load import HOME, load

    config = load(overlays or [HOME / "config" / "mini.yaml"])
    said = ", ".join(map(str, overlays)) if overlays else "the embedded mini world (config/mini.yaml)"
    say(f"Config: {said}; images become {config['resolution']}x{config['resolution']} pixels.")
    return config


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a folder that becomes `path` when all is done.

    Raises:
        UserError: `path` exists.
    """
    from blemish.data.files import atomic_folder

    if path.exists():
        raise UserError(f"{path} exists already: name a new folder with --out, or remove this one.")
    with atomic_folder(path) as folder:
        yield folder


def gpu(config: Mapping, command: str) -> AbstractContextManager:
    """Holds the one GPU that a command uses, or keeps away from all of them."""
    from blemish.jobs import devices

    return devices.lease(int(config["device"] == "cuda"), description=f"blemish {command}")


def default_weights(config: Mapping, pattern: str) -> list[Path]:
    """The weights among the detectors of the config's results; `pattern` is below `detectors/`.

    Raises:
        UserError: there are none.
    """
    from blemish.config.load import locate

    results = Path(config["pathvars"]["results"])
    found = sorted((locate(results) or results).glob(f"detectors/{pattern}/weights.safetensors"))
    if not found:
        raise UserError(
            f"{results} lacks a trained detector: run Snakemake first (`make demo` for the mini world), or give the "
            "weights of one with --weights."
        )
    return found


def selector_weights(config: Mapping) -> Path:
    """The region selection model of the first backbone and seed."""
    backbone, seed = next(iter(config["backbones"])), config["detectors"]["seeds"][0]
    return default_weights(config, f"richhf-human/human/{backbone}/seed-{seed}")[0]


def best_weights(config: Mapping) -> Path:
    """The detector of the highest IoU on the run's own test set."""
    scores = {}
    for weights in default_weights(config, "*/*/*/seed-*"):
        metrics = weights.with_name("metrics.json")
        if metrics.is_file():
            scores[weights] = json.loads(metrics.read_text())["iou"]
    if not scores:
        raise UserError("none of the results' detectors was evaluated yet: finish the run, or give one with --weights.")
    return max(scores, key=scores.get)


def backbone_of(weights: Path) -> Backbone:
    """The network that weights belong to, from the card that training left beside them.

    Raises:
        UserError: the file or the card beside it is missing or damaged.
    """
    from blemish.detection.settings import Backbone

    card = weights.with_name("card.json")
    if not weights.is_file():
        raise UserError(f"the weights {weights} are missing: name a detector's weights.safetensors.")
    try:
        return Backbone(**json.loads(card.read_text())["backbone"])
    except FileNotFoundError as error:
        raise UserError(f"{card} is missing: it says which network {weights.name} belongs to; keep both.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{card} is not the card of a detector: take the one that training left.") from error


def inference(config: Mapping) -> Inference:
    """How the config runs detectors."""
    from blemish.detection.settings import Inference

    size, amp = config["evaluation"]["batch_size"], config["detectors"]["amp"]
    return Inference(device=config["device"], batch_size=size, amp=amp)


def quiet() -> AbstractContextManager:
    """Keeps stdout for results: mmseg prints there that it has no weights yet."""
    return redirect_stdout(io.StringIO())


def read_all(found: Sequence[Found], size: int, masks: Mapping[str, Path] | None = None) -> Iterator[Record]:
    """The images as records, with a bar; see `folder.read`."""
    from tqdm import tqdm

    from blemish.sources import folder

    for item in tqdm(found, desc="images", unit="image"):
        yield folder.read(item, size, masks and masks[item.id])[0]


def save_png(array: np.ndarray, path: Path) -> None:
    """Writes what `images.encode_png` takes, and the folders that the path lacks."""
    from blemish.data.images import encode_png

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(array))
