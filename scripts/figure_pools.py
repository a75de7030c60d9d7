"""Figure 4: clean over corrupted images of each pool, by one recipe; the images are drawn by seed."""


def figure_pools(clean, corrupted, strength, parts, recipe, images, seed, out):
    from blemish.report import figures

    above, below, columns, captions = [], [], [], []
    groups = zip(*(figures.split(files, parts).items() for files in (clean, corrupted, strength)), strict=True)
    for (pool, shards), (_, results), (_, measures) in groups:
        measured = figures.read_strength(measures)
        chosen = figures.draw(measured, images, seed)
        above += figures.fetch(shards, chosen)
        below += figures.fetch(results, chosen)
        captions += figures.describe(measured, chosen)
        columns += [pool] * len(chosen)
    figure = figures.clean_over_corrupted(above, {recipe: below}, columns, {recipe: captions})
    figures.save(figure, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_pools(
            **{name: snakemake.input[name] for name in ("clean", "corrupted", "strength")},
            **{name: snakemake.params[name] for name in ("parts", "recipe", "images", "seed")},
            out=snakemake.output,
        )
