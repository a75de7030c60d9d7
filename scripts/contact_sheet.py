"""A contact sheet of one recipe: clean, region, corrupted."""


def contact_sheet(
    clean: list[str], corrupted: list[str], strength: list[str], images: int, seed: int, out: list[str]
) -> None:
    """Draws `images` images of a pool, chosen by seed."""
    from blemish.report import examples, figures

    figure = figures.contact_sheet(clean, corrupted, strength, lambda measured: examples.drawn(measured, images, seed))
    figures.save(figure, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        contact_sheet(
            clean=snakemake.input.clean,
            corrupted=snakemake.input.corrupted,
            strength=snakemake.input.strength,
            images=snakemake.params.images,
            seed=snakemake.params.seed,
            out=snakemake.output,
        )
