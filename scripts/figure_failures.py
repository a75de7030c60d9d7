"""Figure 8: regions in which nothing visible happened, by the measured strength."""


def figure_failures(clean, corrupted, strength, recipe, images, out):
    from blemish.report import figures

    measured = figures.read_strength(strength)
    chosen = figures.weakest(measured, images)
    figure = figures.clean_over_corrupted(
        figures.fetch(clean, chosen),
        {recipe: figures.fetch(corrupted, chosen)},
        captions={recipe: figures.describe(measured, chosen)},
    )
    figures.save(figure, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_failures(
            **{name: snakemake.input[name] for name in ("clean", "corrupted", "strength")},
            **{name: snakemake.params[name] for name in ("recipe", "images")},
            out=snakemake.output,
        )
