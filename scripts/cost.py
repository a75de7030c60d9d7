"""What inversion and corruption cost, beside the forecast and the cost without a shared trajectory."""


def make_cost_table(inversions, corruptions, diffusion, stored, made, depths, trajectory, renoise, csv, markdown):
    from pathlib import Path

    from blemish.corruption.schedule import Schedule
    from blemish.corruption.settings import ReNoise
    from blemish.data.files import read_json, write_text
    from blemish.report.cost import cost_table, to_markdown

    def grouped(paths, keys):
        files = {}
        for path, key in zip(paths, keys, strict=True):
            files.setdefault(tuple(key), []).append(path)
        return files

    schedule = Schedule.from_config(read_json(Path(diffusion, "scheduler/scheduler_config.json")), trajectory["steps"])
    files = grouped(inversions, stored), grouped(corruptions, made)
    table = cost_table(*files, depths, trajectory["stride"], ReNoise(**renoise), schedule)
    write_text(csv, table.to_csv(index=False))
    write_text(markdown, to_markdown(table))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        make_cost_table(
            **{name: snakemake.input[name] for name in ("inversions", "corruptions", "diffusion")},
            **{name: snakemake.params[name] for name in ("stored", "made", "depths", "renoise")},
            trajectory=snakemake.params.schedule,
            **{name: snakemake.output[name] for name in ("csv", "markdown")},
        )
