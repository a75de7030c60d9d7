"""Fetches the diffusion model: configs, tokenizer and safetensors, no pickles."""

from pathlib import Path


def fetch_diffusion(source: dict, out: str) -> None:
    """See `sources.hub.fetch_model`."""
    from blemish.sources.hub import fetch_model
    from blemish.sources.settings import Model

    fetch_model(Model(**source), Path(out))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_diffusion(source=snakemake.params.source, out=snakemake.output[0])
