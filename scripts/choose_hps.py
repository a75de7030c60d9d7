"""Chooses the tars of the HPS data set that images are drawn from (§4.1)."""


def choose_hps(source: dict, count: int, seed: int, out: str) -> None:
    """See `sources.hps.choose`."""
    from blemish.sources.hps import choose
    from blemish.sources.settings import HPS

    choose(HPS(**source), count, seed, out)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        choose_hps(
            source=snakemake.params.source,
            count=snakemake.params.number,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
