"""Draws clean images from the HPS data set (§4.1)."""


def draw_hps(source, number, seed, size, pool, ledger):
    from blemish.sources.hps import draw

    draw(source, number, seed, size, pool, ledger)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        draw_hps(
            pool=list(snakemake.output.pool),
            ledger=snakemake.output.ledger,
            **{name: snakemake.params[name] for name in ("source", "number", "seed", "size")},
        )
