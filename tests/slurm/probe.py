"""A pretend GPU job: notes what it was given, and fails or hangs once if it is told to."""

import json
import os
import time
from pathlib import Path

from blemish.data.files import atomic
from blemish.errors import UserError
from blemish.jobs.run import run

GIVEN = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")


def probe(output: str, state: str, seconds: float, fail_first: bool = False, hang_first: bool = False) -> None:
    """Writes what this job was given and when it ran; `state` counts its attempts, like a checkpoint."""
    began = time.time()
    with open(state, "a") as attempts:
        attempts.write("attempt\n")
    if Path(state).read_text().count("attempt") == 1:
        if fail_first:
            raise UserError("this attempt fails on purpose: the next one will not.")
        if hang_first:
            time.sleep(3600)
    time.sleep(seconds)
    given = {name: os.environ.get(name) for name in GIVEN}
    with atomic(output) as temporary:
        temporary.write_text(json.dumps(given | {"began": began, "ended": time.time()}))


if __name__ == "__main__":
    with run(snakemake):
        probe(snakemake.output[0], snakemake.output[0].replace(".json", ".attempts"), **snakemake.params)
