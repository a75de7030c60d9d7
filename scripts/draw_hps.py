"""Draws clean images from the HPS data set (§4.1)."""


def draw_hps(source: dict, count: int, seed: int, size: int, pool: list[str], ledger: str) -> None:
    """See `sources.hps.draw`."""
    from blemish.sources.hps import draw
    from blemish.sources.settings import HPS

    draw(HPS(**source), count, seed, size, pool, ledger)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        draw_hps(
            source=snakemake.params.source,
            count=snakemake.params.number,
            seed=snakemake.params.seed,
            size=snakemake.params.size,
            pool=list(snakemake.output.pool),
            ledger=snakemake.output.ledger,
        )
