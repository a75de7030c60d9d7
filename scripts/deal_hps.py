"""Deals the images drawn from the HPS data set to the parts of a pool."""


def deal_hps(parts: list[str], ledgers: list[str], pool: list[str], ledger: str) -> None:
    """See `sources.hps.deal`."""
    from blemish.sources.hps import deal

    deal(parts, ledgers, pool, ledger)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        deal_hps(
            parts=list(snakemake.input.parts),
            ledgers=list(snakemake.input.ledgers),
            pool=list(snakemake.output.pool),
            ledger=snakemake.output.ledger,
        )
