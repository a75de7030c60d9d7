"""Figures 5 to 7: the same images corrupted by several recipes; the images are drawn by seed."""


def figure_methods(clean, corrupted, strength, parts, images, seed, out):
    from blemish.report import figures

    measured = {name: figures.read_strength(files) for name, files in figures.split(strength, parts).items()}
    chosen = figures.draw(next(iter(measured.values())), images, seed)
    figure = figures.clean_over_corrupted(
        figures.fetch(clean, chosen),
        {name: figures.fetch(files, chosen) for name, files in figures.split(corrupted, parts).items()},
        captions={name: figures.describe(table, chosen) for name, table in measured.items()},
    )
    figures.save(figure, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_methods(
            **{name: snakemake.input[name] for name in ("clean", "corrupted", "strength")},
            **{name: snakemake.params[name] for name in ("parts", "images", "seed")},
            out=snakemake.output,
        )
