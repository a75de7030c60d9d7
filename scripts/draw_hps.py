"""Draws clean images from one tar of the HPS data set (§4.1)."""


def draw_hps(source: dict, chosen: str, number: int, seed: int, size: int, part: str, ledger: str) -> None:
    """See `sources.hps.draw`."""
    from blemish.sources.hps import draw
    from blemish.sources.settings import HPS

    draw(HPS(**source), chosen, number, seed, size, part, ledger)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        draw_hps(
            source=snakemake.params.source,
            chosen=snakemake.input[0],
            number=int(snakemake.wildcards.tar),
            seed=snakemake.params.seed,
            size=snakemake.params.size,
            part=snakemake.output.part,
            ledger=snakemake.output.ledger,
        )
