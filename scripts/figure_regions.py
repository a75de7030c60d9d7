"""Where the selected regions lie: how often each pixel of a set is in one."""


def figure_regions(regions, parts, out):
    from blemish.report import figures, plots

    maps = {name: plots.mean_mask(files) for name, files in figures.split(regions, parts).items()}
    figures.save(plots.region_heat_maps(maps), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_regions(
            regions=snakemake.input.regions,
            parts=snakemake.params.parts,
            out=snakemake.output,
        )
