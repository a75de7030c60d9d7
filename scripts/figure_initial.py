"""Figure 6: images drawn by seed, corrupted in the initial latent, after all steps of the schedule were inverted."""

import shutil
from dataclasses import replace
from pathlib import Path


def figure_initial(
    clean, corrupted, strength, diffusion, recipe, images, steps, renoise, mask_rule, seed, device, dtype, state, out
):
    from blemish.corruption.corrupt import corrupt_shard
    from blemish.corruption.diffusion import Diffusion
    from blemish.corruption.invert import invert_shard
    from blemish.corruption.settings import ReNoise
    from blemish.data.records import read_records, write_records
    from blemish.report import figures

    chosen = figures.draw(figures.read_strength(strength), images, seed)
    pairs = zip(figures.fetch(clean, chosen), figures.fetch(corrupted, chosen), strict=True)
    drawn, inversion, result, measures = (state / name for name in ("drawn.parquet", "z", "result.parquet", "csv"))
    write_records(drawn, (replace(record, mask=other.mask) for record, other in pairs))
    model = Diffusion.load(diffusion, device, dtype)
    shared = {"diffusion": model, "steps": steps, "seed": seed, "batch_size": images}
    invert_shard(
        drawn, None, inversion, state / "inversion", settings=ReNoise(**renoise), n=steps - recipe["step"], **shared
    )
    corrupt_shard(
        drawn, drawn, inversion, result, measures, state / "corruption", recipe=recipe, mask_rule=mask_rule, **shared
    )
    measured = figures.read_strength([measures])
    figure = figures.clean_over_corrupted(
        list(read_records(drawn)),
        {recipe["name"]: list(read_records(result))},
        captions={recipe["name"]: figures.describe(measured, measured)},
    )
    figures.save(figure, out)
    shutil.rmtree(state)


if __name__ == "__main__":
    from blemish.jobs.run import run, state

    with run(snakemake):
        figure_initial(
            **{name: snakemake.input[name] for name in ("clean", "corrupted", "strength", "diffusion")},
            **{
                name: snakemake.params[name]
                for name in ("recipe", "images", "steps", "renoise", "mask_rule", "seed", "device", "dtype")
            },
            state=Path(state(snakemake.output[0])),
            out=snakemake.output,
        )
