"""Fetches the diffusion model: configs, tokenizer and safetensors, no pickles."""

from pathlib import Path


def fetch_diffusion(source, out):
    from blemish.sources.hub import fetch_model

    fetch_model(source, Path(out))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        fetch_diffusion(snakemake.params.source, snakemake.output[0])
