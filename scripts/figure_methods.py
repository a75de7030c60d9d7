"""Figures 4, 5, 7 and 8: clean images over what recipes made of them."""


def figure_methods(
    clean: list[str],
    corrupted: list[str],
    strength: list[str],
    pools: list[str],
    names: list[list[str]],
    images: int,
    choice: str,
    seed: int,
    out: list[str],
) -> None:
    """Draws `images` images of each pool: those drawn by seed, or the least changed."""
    from blemish.experiments import CorruptedPool, group
    from blemish.report import examples, figures

    found = [CorruptedPool(*name) for name in names]
    choices = {
        "drawn": lambda measured: examples.drawn(measured, images, seed),
        "least_changed": lambda measured: examples.least_changed(measured, images),
    }
    figure = figures.clean_over_corrupted(
        group(pools, clean), group(found, corrupted), group(found, strength), choices[choice]
    )
    figures.save(figure, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_methods(
            clean=snakemake.input.clean,
            corrupted=snakemake.input.corrupted,
            strength=snakemake.input.strength,
            pools=snakemake.params.pools,
            names=snakemake.params.corrupted,
            images=snakemake.params.images,
            choice=snakemake.params.choice,
            seed=snakemake.params.seed,
            out=snakemake.output,
        )
