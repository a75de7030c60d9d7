"""What inversion and corruption cost, beside the forecast and the cost without a shared trajectory."""


def write_cost(
    inversions: list[str],
    inverted: list[list],
    evaluations: list[str],
    corrupted: list[list[str]],
    diffusion: str,
    depths: dict[str, int],
    trajectory: dict,
    renoise: dict,
    guidance: float,
    csv: str,
    markdown: str,
) -> None:
    """Writes what the jobs counted; `inverted` and `corrupted` say of what each file is."""
    from blemish.corruption.schedule import Schedule
    from blemish.corruption.settings import ReNoise
    from blemish.data.files import read_json, write_text
    from blemish.experiments import CorruptedPool, group
    from blemish.report.cost_table import cost_table, to_markdown

    schedule = Schedule.from_config(read_json(f"{diffusion}/scheduler/scheduler_config.json"), trajectory["steps"])
    table = cost_table(
        group(((pool, n) for pool, n in inverted), inversions),
        group((CorruptedPool(*name) for name in corrupted), evaluations),
        depths,
        trajectory["stride"],
        ReNoise(**renoise),
        schedule,
        guidance,
    )
    write_text(csv, table.to_csv(index=False))
    write_text(markdown, to_markdown(table))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        write_cost(
            inversions=snakemake.input.inversions,
            inverted=snakemake.params.inverted,
            evaluations=snakemake.input.evaluations,
            corrupted=snakemake.params.corrupted,
            diffusion=snakemake.input.diffusion,
            depths=snakemake.params.depths,
            trajectory=snakemake.params.schedule,
            renoise=snakemake.params.renoise,
            guidance=snakemake.params.guidance,
            csv=snakemake.output.csv,
            markdown=snakemake.output.markdown,
        )
