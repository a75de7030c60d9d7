"""Draws the human-labelled samples of the region selection model by seed; the rest becomes a pool (§4.1)."""


def draw_subset(samples, number, seed, subset, pool):
    from dataclasses import replace

    import numpy as np

    from blemish.data.records import read_ids, read_records, write_records, write_shards
    from blemish.errors import UserError

    ids = read_ids(samples)
    if number >= len(ids):
        raise UserError(f"{samples} has {len(ids)} samples and subset.count asks for {number}: lower it.")
    drawn = set(np.random.default_rng(seed).choice(sorted(ids), size=number, replace=False).tolist())
    write_records(subset, (record for record in read_records(samples) if record.id in drawn))
    rest = (replace(record, mask=None) for record in read_records(samples) if record.id not in drawn)
    write_shards(pool, rest)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        draw_subset(
            samples=snakemake.input[0],
            **{name: snakemake.params[name] for name in ("number", "seed")},
            **{name: snakemake.output[name] for name in ("subset", "pool")},
        )
