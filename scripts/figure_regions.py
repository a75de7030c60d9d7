"""Where the selected regions lie: how often each pixel of a pool is in one."""


def figure_regions(regions: list[str], pools: list[str], out: list[str]) -> None:
    """Draws the mean mask of each pool; `pools` says of which each file is."""
    from blemish.experiments import group
    from blemish.report import figures, plots

    maps = {pool: plots.mean_mask(files) for pool, files in group(pools, regions).items()}
    figures.save(plots.region_heat_maps(maps), out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_regions(regions=snakemake.input, pools=snakemake.params.pools, out=snakemake.output)
