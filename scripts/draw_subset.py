"""Draws the human-labelled samples of the region selection model by seed; the rest becomes a pool (§4.1)."""


def draw_subset(samples: str, count: int, seed: int, subset: str, pool: list[str]) -> None:
    """See `labels.subset.draw_subset`."""
    from blemish.labels.subset import draw_subset

    draw_subset(samples, count, seed, subset, pool)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        draw_subset(
            samples=snakemake.input[0],
            count=snakemake.params.number,
            seed=snakemake.params.seed,
            subset=snakemake.output.subset,
            pool=list(snakemake.output.pool),
        )
