"""Figure 6: images drawn by seed, corrupted in the initial latent, after all steps of the schedule were inverted."""


def figure_initial(
    clean: list[str],
    corrupted: list[str],
    strength: list[str],
    engine: dict,
    name: str,
    recipe: dict,
    images: int,
    renoise: dict,
    mask_rule: str,
    guidance: float,
    out: list[str],
) -> None:
    """Inverts and corrupts the drawn images in a folder beside the figure, and draws them."""
    import shutil
    from dataclasses import replace

    from blemish.corruption.engine import Engine
    from blemish.corruption.sequence import corrupt_images
    from blemish.corruption.settings import RECIPES, ReNoise
    from blemish.data.records import write_records
    from blemish.experiments import CorruptedPool
    from blemish.jobs.run import state
    from blemish.report import examples, figures
    from blemish.report.strength_table import read_strength

    folder = state(out[0])
    drawn, settings = folder / "drawn.parquet", (ReNoise(**renoise), name, RECIPES[recipe["method"]](**recipe))
    chosen = examples.drawn(read_strength(strength), images, engine["seed"])
    pairs = zip(examples.fetch(clean, chosen), examples.fetch(corrupted, chosen), strict=True)
    write_records(drawn, (replace(record, mask=other.mask) for record, other in pairs))
    result, measures = corrupt_images(drawn, drawn, folder, Engine.load(**engine), *settings, mask_rule, guidance)
    shown = CorruptedPool("drawn", name, "drawn")
    files = {"drawn": [drawn]}, {shown: [result]}, {shown: [measures]}
    figures.save(figures.clean_over_corrupted(*files, choose=lambda measured: measured), out)
    shutil.rmtree(folder)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_initial(
            clean=snakemake.input.clean,
            corrupted=snakemake.input.corrupted,
            strength=snakemake.input.strength,
            engine={"diffusion": snakemake.input.diffusion, **snakemake.params.engine},
            name=snakemake.params.name,
            recipe=snakemake.params.recipe,
            images=snakemake.params.images,
            renoise=snakemake.params.renoise,
            mask_rule=snakemake.params.mask_rule,
            guidance=snakemake.params.guidance,
            out=snakemake.output,
        )
