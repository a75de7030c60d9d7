"""`blemish corrupt`: clean images in, corrupted images and their masks out (§3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from blemish.cli import common
from blemish.errors import UserError
from blemish.words import closest


def corrupt(
    images: common.Images,
    out: common.Out,
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of masks of the same stems and sizes, white = corrupt. (default: selected regions)"),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(help='A recipe of config/corruptions.yaml, or one such as "{method: blur, step: 30, sigma: 2}".'),
    ] = "proposed-40",
    weights: common.Weights = None,
    config: common.Config = None,
) -> None:
    """Corrupts clean images inside masks, or where the region selection model expects artifacts.

    Images become squares, as the sources' do: the shorter side is scaled, the longer one cropped. A text file of an
    image's stem holds its prompt. DIR gets images/, masks/, records.parquet (both, and where they came from),
    strength.csv (how far each image was changed) and card.json (what was used).
    """
    from blemish.config.check import check_recipe
    from blemish.sources import folder

    settings = common.configure(config)
    name, chosen = _recipe(recipe, settings["recipes"])
    check_recipe(name, chosen, settings["schedule"]["steps"], "--recipe")
    found = folder.find(images)
    given = masks and folder.match_masks(found, masks)
    selector = None if masks else weights or common.selector_weights(settings)
    if selector:
        common.backbone_of(selector)  # before any image is read
    with common.new_folder(out) as target, TemporaryDirectory(dir=target) as work, common.gpu(settings, "corrupt"):
        _run(found, given, selector, name, chosen, settings, target, Path(work))
    typer.echo(f"{len(found)} images corrupted by {name}: {out}")


def _recipe(text: str, recipes: Mapping[str, Mapping]) -> tuple[str, Mapping]:
    """A recipe and its name: one of the config's, or from YAML; an own one is named after its method and step."""
    import yaml

    if not text.lstrip().startswith("{"):
        if text in recipes:
            return text, recipes[text]
        raise UserError(f'there is no recipe "{text}"{closest(text, recipes)}; the config knows {", ".join(recipes)}.')
    try:
        own = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"the recipe {text} is not YAML. Write {{method: blur, step: 30, sigma: 2}}.") from error
    step = own.get("step")
    if not isinstance(own.get("method"), str) or not isinstance(step, int) or isinstance(step, bool) or step < 0:
        raise UserError(f"the recipe {text} lacks a method or a step: write {{method: blur, step: 30, sigma: 2}}.")
    return f"own-{own['method']}-{own['step']}", own


def _run(
    found: list,
    given: Mapping[str, Path] | None,
    selector: Path | None,
    name: str,
    recipe: Mapping,
    config: Mapping,
    out: Path,
    work: Path,
) -> None:
    import json

    import numpy as np

    from blemish.config.load import model_folder
    from blemish.corruption.engine import Engine
    from blemish.corruption.sequence import corrupt_images
    from blemish.corruption.settings import RECIPES, ReNoise
    from blemish.data.records import read_records, write_records
    from blemish.detection.regions import select_regions

    model = model_folder(config)
    if model is None:
        named, results = config["sources"]["diffusion"]["repo"], config["pathvars"]["results"]
        raise UserError(
            f"the diffusion model {named} is not here: fetch it by `snakemake {results}/sources/diffusion --cores 1` "
            "with the same config files."
        )
    common.say(f"Diffusion model: {model}.")
    clean = regions = work / "clean.parquet"
    write_records(clean, common.read_all(found, config["resolution"], given))
    if selector:
        tau = config["selector"]["tau"]
        if tau == "area":
            raise UserError('selector.tau is "area", which is found for a whole pool. Write a number into the config.')
        common.say(f"Regions: where {selector} gives at least {tau}.")
        regions = work / "regions.parquet"
        with common.quiet():
            select_regions(clean, selector, common.backbone_of(selector), tau, common.inference(config), regions)

    steps, corruption = config["schedule"]["steps"], config["corruption"]
    engine = Engine.load(model, steps, config["seed"], corruption["batch_size"], config["device"], config["dtype"])
    settings = (
        ReNoise(**config["renoise"]),
        name,
        RECIPES[recipe["method"]](**recipe),
        corruption["mask_rule"],
        corruption["guidance"],
    )
    records, strength = corrupt_images(clean, regions, work, engine, *settings)
    records.replace(out / "records.parquet")
    strength.replace(out / "strength.csv")
    empty = 0
    for record in read_records(out / "records.parquet"):
        common.save_png(record.image, out / "images" / f"{record.id}.png")
        common.save_png(record.mask.astype(np.uint8) * 255, out / "masks" / f"{record.id}.png")
        empty += not record.mask.any()
    if empty:
        common.say(f"{empty} of {len(found)} masks are empty: those images only went through the VAE.")
    card = {
        "recipe": {"name": name, **recipe},
        "diffusion": config["sources"]["diffusion"] | {"dtype": config["dtype"]},
        "resolution": config["resolution"],
        "seed": config["seed"],
        "steps": steps,
        "renoise": config["renoise"],
        "mask_rule": corruption["mask_rule"],
        "guidance": corruption["guidance"],
        "regions": {"weights": str(selector), "tau": config["selector"]["tau"]} if selector else "given",
    }
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
