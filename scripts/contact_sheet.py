"""A contact sheet of one recipe: clean, region, corrupted; the images are drawn by seed."""


def contact_sheet(clean, corrupted, strength, images, seed, out):
    from blemish.report import figures

    measured = figures.read_strength(strength)
    chosen = figures.draw(measured, images, seed)
    figure = figures.contact_sheet(
        figures.fetch(clean, chosen), figures.fetch(corrupted, chosen), figures.describe(measured, chosen)
    )
    figures.save(figure, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        contact_sheet(
            **{name: snakemake.input[name] for name in ("clean", "corrupted", "strength")},
            **{name: snakemake.params[name] for name in ("images", "seed")},
            out=snakemake.output,
        )
