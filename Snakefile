# Blemish: the paper "Synthesizing Artifact Dataset for Pixel-level Detection" as one graph.
#   snakemake --cores all --resources gpu=8                      the paper
#   snakemake --cores all --configfile config/mini.yaml          the embedded default, without a GPU
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"
configfile: "config/corruptions.yaml"
configfile: "config/paper/tables.yaml"
configfile: "config/paper/published.yaml"
configfile: "config/paper/claims.yaml"


include: "rules/common.smk"
include: "rules/dependencies.smk"
include: "rules/sources.smk"
include: "rules/labels.smk"
include: "rules/detection.smk"
include: "rules/selection.smk"
include: "rules/inversion.smk"
include: "rules/corruption.smk"
include: "rules/evaluation.smk"
include: "rules/report.smk"
include: "rules/figures.smk"
include: "rules/gallery.smk"


rule all:
    default_target: True
    input:
        # Named here, because Snakemake lets a missing file be where what was made from it is there.
        per_seed("metrics.json", DETECTORS),
        rules.show_tables.output,
        rules.claims.output,
        rules.strength_table.output,
        rules.cost.output,
        rules.describe_run.output,
        expand(rules.contact_sheet.output, recipe=config["recipes"]),
        rules.figure_pools.output,
        rules.figure_methods.output,
        rules.figure_initial.output,
        rules.figure_targets.output,
        rules.figure_failures.output,
        rules.figure_steps.output,
        rules.figure_loss.output,
        rules.figure_precision_recall.output,
        rules.figure_regions.output,
        expand(rules.figure_labels.output, split=["train", "test"]),
        rules.gallery.output,


rule sources:
    input:
        SOURCES,
    message:
        "Everything that comes from outside is here: the rest runs without a network."


rule probabilities:
    input:
        per_seed("probabilities.parquet", DETECTORS),
    message:
        "The probability maps of all detectors on the test set are here."


onsuccess:
    note(record.end)
    summary = RESULTS / "tables/summary.txt"
    if summary.exists():
        print(summary.read_text())
