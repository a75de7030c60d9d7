# What all rules share: the configuration, checked; the closed sets that wildcards come from; how a run starts and ends.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, os.path.join(workflow.basedir, "workflow"))
# The jobs' interpreters import the package too.
os.environ.update(PYTHONPATH=os.pathsep.join([sys.path[0], *filter(None, [os.environ.get("PYTHONPATH")])]))

from blemish import experiments, steps
from blemish.config.check import check
from blemish.errors import UserError, explain
from blemish.jobs import devices, locks, pytorch, record
from blemish.jobs.fingerprint import canonical, fingerprint

given = workflow.overwrite_configfiles
try:
    check(config, [*(file for file in workflow.configfiles if file not in given), *given])
except UserError as error:
    raise WorkflowError(str(error)) from None
config = canonical(config)

OWN_POOLS = {pool: source for pool, source in config["pools"].items() if "images" in source}
if OWN_POOLS:
    from blemish.sources import folder  # arrays and images, for runs with such a pool alone

    try:
        LISTINGS = folder.listings(OWN_POOLS)
    except UserError as error:
        raise WorkflowError(str(error)) from None
RESULTS = Path(config["pathvars"]["results"])
if workflow.is_main_process:
    record.watch(workflow, RESULTS)
    if not workflow.dryrun:
        locks.forget_stale(os.path.join(os.getcwd(), ".snakemake"))


def note(step):
    """Has the run's record written; an error ends Snakemake with its sentence."""
    try:
        step(workflow, RESULTS)
    except OSError as error:
        raise WorkflowError(explain(error)) from None


TRAIN_SETS = ["richhf-human", *config["pools"]]
GPU = config["detectors"]["gpus"] if config["device"] == "cuda" else 0
ONE_GPU = min(GPU, 1)
SPLITS = [split for split, source in config["sources"]["richhf"]["records"].items() if source]
SELECTOR_SEED = config["detectors"]["seeds"][0]


wildcard_constraints:
    split="|".join(SPLITS),
    pool="|".join(config["pools"]),
    train_set="|".join(TRAIN_SETS),
    recipe="|".join(config["recipes"]),
    supervision="|".join(["human", "pseudo", *config["recipes"]]),
    backbone="|".join(config["backbones"]),
    table="|".join(config["tables"]),
    shard=r"\d+",
    seed=r"\d+",
    n=r"\d+",


def require_gpus():
    """Checks that the jobs to run here will get the GPUs that they ask for, and can use them."""
    local, asked_for = workflow.local_exec and not workflow.touch, devices.asked_for(workflow.dag)
    promised = getattr(workflow.global_resources.get("gpu"), "value", None)
    devices.require(promised or None, local, asked_for)
    own_interpreter = not workflow.deployment_settings.deployment_method  # of conda's environments nothing is known
    if asked_for and local and own_interpreter and config["device"] == "cuda":
        pytorch.require()


def require_sources():
    """Asks for what is to be fetched from outside, before the first job; BLEMISH_NO_PREFLIGHT=1 leaves it out."""
    fetched = [job for job in workflow.dag.needrun_jobs() if is_from_outside(job.params.get("source"))]
    if fetched and not workflow.touch and not os.environ.get("BLEMISH_NO_PREFLIGHT"):
        from blemish.planning import preflight  # the hub's client, for runs that fetch something alone

        preflight.require_sources(config, {str(path) for job in fetched for path in job.output})


def is_from_outside(source):
    return source is not None and not source.get("url", source.get("repo")).startswith("file:")


onstart:
    try:
        require_gpus()
        require_sources()
    except UserError as error:
        raise WorkflowError(str(error)) from None
    note(record.start)


onerror:
    note(record.end)
