"""Figure 6: images drawn by seed, corrupted in the initial latent, after all steps of the schedule were inverted."""


def figure_initial(
    clean: list[str],
    corrupted: list[str],
    strength: list[str],
    diffusion: str,
    recipe: dict,
    images: int,
    steps: int,
    renoise: dict,
    mask_rule: str,
    seed: int,
    device: str,
    dtype: str,
    out: list[str],
) -> None:
    """Inverts and corrupts a shard of the drawn images in a folder beside the figure, and draws it."""
    import shutil
    from dataclasses import replace

    from blemish.corruption.corrupt import corrupt_shard
    from blemish.corruption.diffusion import Diffusion
    from blemish.corruption.invert import invert_shard
    from blemish.corruption.settings import ReNoise
    from blemish.data.records import write_records
    from blemish.experiments import CorruptedPool
    from blemish.jobs.run import state
    from blemish.report import examples, figures
    from blemish.report.strength import read_strength

    folder = state(out[0])
    drawn, inversion, result, measures = (folder / name for name in ("drawn.parquet", "z", "result.parquet", "csv"))
    chosen = examples.drawn(read_strength(strength), images, seed)
    pairs = zip(examples.fetch(clean, chosen), examples.fetch(corrupted, chosen), strict=True)
    write_records(drawn, (replace(record, mask=other.mask) for record, other in pairs))
    model = Diffusion.load(diffusion, device, dtype)
    shared = {"diffusion": model, "steps": steps, "seed": seed, "batch_size": images}
    invert_shard(
        drawn, None, inversion, folder / "inversion", settings=ReNoise(**renoise), n=steps - recipe["step"], **shared
    )
    corrupt_shard(
        drawn, drawn, inversion, result, measures, folder / "corruption", recipe=recipe, mask_rule=mask_rule, **shared
    )
    name = CorruptedPool("drawn", recipe["name"], "drawn")
    figure = figures.clean_over_corrupted(
        {"drawn": [drawn]}, {name: [result]}, {name: [measures]}, lambda measured: measured
    )
    figures.save(figure, out)
    shutil.rmtree(folder)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        figure_initial(
            clean=snakemake.input.clean,
            corrupted=snakemake.input.corrupted,
            strength=snakemake.input.strength,
            diffusion=snakemake.input.diffusion,
            recipe=snakemake.params.recipe,
            images=snakemake.params.images,
            steps=snakemake.params.steps,
            renoise=snakemake.params.renoise,
            mask_rule=snakemake.params.mask_rule,
            seed=snakemake.params.seed,
            device=snakemake.params.device,
            dtype=snakemake.params.dtype,
            out=snakemake.output,
        )
