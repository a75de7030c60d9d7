"""Writes what a run was made with: its whole configuration and the versions of its libraries."""

LIBRARIES = ("torch", "diffusers", "transformers", "mmsegmentation", "mmengine", "mmcv-lite", "numpy", "pillow")
LIBRARIES += ("pandas", "pyarrow", "matplotlib", "snakemake")


def describe_run(config: dict, out: str) -> None:
    """Writes both as YAML."""
    import platform
    from importlib.metadata import version

    import yaml

    from blemish.data.files import write_text

    versions = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    write_text(out, yaml.safe_dump({"versions": versions, "config": config}, allow_unicode=True))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        describe_run(config=snakemake.params.config, out=snakemake.output[0])
