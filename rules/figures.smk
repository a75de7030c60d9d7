# What people read, in pictures: the paper's figures from the run's own images, curves, the audit of the labels.
# In:  pools, corrupted pools and their measures, tables, losses and per-image results of the detectors
# Out: <results>/figures/

SHOWN = config["figures"]["recipe"]
METHODS, TARGETS = config["figures"]["methods"], config["figures"]["targets"]
INITIAL = {**config["recipes"][SHOWN], "step": 0}  # all steps are inverted


rule contact_sheet:
    input:
        clean=per_shard("<results>/pools/{pool}/{shard}.parquet", pool="hps"),
        corrupted=sheet_images,
        strength=sheet_strength,
    output:
        report(
            "<results>/figures/corruption/{recipe}.png",
            category="Corruption",
            caption="../workflow/report/contact_sheet.rst",
            labels={"figure": "{recipe}"},
        ),
    log:
        "<results>/logs/contact_sheet/{recipe}.log",
    conda:
        "../environment.yml"
    params:
        images=config["figures"]["images"],
        seed=config["seed"],
        code=fingerprint("scripts/contact_sheet.py"),
    message:
        "Show clean images, regions and what {wildcards.recipe} makes of them"
    script:
        "../scripts/contact_sheet.py"


rule figure_pools:
    input:
        clean=[
            path for pool in config["pools"] for path in per_shard("<results>/pools/{pool}/{shard}.parquet", pool=pool)
        ],
        corrupted=[path for pool in config["pools"] for path in corrupted([SHOWN], "parquet", pool)],
        strength=[path for pool in config["pools"] for path in corrupted([SHOWN], "csv", pool)],
    output:
        report(
            "<results>/figures/figure4.png",
            category="Corruption",
            caption="../workflow/report/figure4.rst",
            labels={"figure": "Figure 4"},
        ),
        "<results>/figures/figure4.pdf",
    log:
        "<results>/logs/figure_pools.log",
    conda:
        "../environment.yml"
    params:
        parts={pool: len(shards(pool)) for pool in config["pools"]},
        recipe=SHOWN,
        images=config["figures"]["images"] // 2,
        seed=config["seed"],
        code=fingerprint("scripts/figure_pools.py"),
    message:
        "Figure 4: clean over corrupted images of each pool"
    script:
        "../scripts/figure_pools.py"


rule figure_methods:
    input:
        clean=rules.contact_sheet.input.clean,
        corrupted=corrupted(METHODS, "parquet"),
        strength=corrupted(METHODS, "csv"),
    output:
        report(
            "<results>/figures/figure5.png",
            category="Corruption",
            caption="../workflow/report/figure5.rst",
            labels={"figure": "Figure 5"},
        ),
        "<results>/figures/figure5.pdf",
    log:
        "<results>/logs/figure_methods.log",
    conda:
        "../environment.yml"
    params:
        parts={recipe: len(shards("hps")) for recipe in METHODS},
        images=config["figures"]["images"],
        seed=config["seed"],
        code=fingerprint("scripts/figure_methods.py"),
    message:
        "Figure 5: corruption methods side by side"
    script:
        "../scripts/figure_methods.py"


rule figure_initial:
    input:
        clean=rules.contact_sheet.input.clean,
        corrupted=corrupted([SHOWN], "parquet"),
        strength=corrupted([SHOWN], "csv"),
        diffusion="<results>/sources/diffusion",
    output:
        report(
            "<results>/figures/figure6.png",
            category="Corruption",
            caption="../workflow/report/figure6.rst",
            labels={"figure": "Figure 6"},
        ),
        "<results>/figures/figure6.pdf",
    log:
        "<results>/logs/figure_initial.log",
    conda:
        "../environment.yml"
    resources:
        gpu=ONE_GPU,
    params:
        engine=ENGINE | {"batch_size": config["figures"]["images"] // 2},
        name=f"{INITIAL['method']}-0",
        recipe=INITIAL,
        images=config["figures"]["images"] // 2,
        renoise=config["renoise"],
        mask_rule=config["corruption"]["mask_rule"],
        seed=config["seed"],
        code=fingerprint("scripts/figure_initial.py", f"corruption.methods.{INITIAL['method']}"),
    message:
        "Figure 6: images corrupted in the initial latent, after all steps were inverted"
    script:
        "../scripts/figure_initial.py"


use rule figure_methods as figure_targets with:
    input:
        clean=rules.contact_sheet.input.clean,
        corrupted=corrupted(TARGETS, "parquet"),
        strength=corrupted(TARGETS, "csv"),
    output:
        report(
            "<results>/figures/figure7.png",
            category="Corruption",
            caption="../workflow/report/figure7.rst",
            labels={"figure": "Figure 7"},
        ),
        "<results>/figures/figure7.pdf",
    log:
        "<results>/logs/figure_targets.log",
    params:
        parts={recipe: len(shards("hps")) for recipe in TARGETS},
        images=config["figures"]["images"],
        seed=config["seed"],
        code=fingerprint("scripts/figure_methods.py"),
    message:
        "Figure 7: the image latent and an intermediate latent, corrupted"


rule figure_failures:
    input:
        clean=rules.contact_sheet.input.clean,
        corrupted=corrupted([SHOWN], "parquet"),
        strength=corrupted([SHOWN], "csv"),
    output:
        report(
            "<results>/figures/figure8.png",
            category="Corruption",
            caption="../workflow/report/figure8.rst",
            labels={"figure": "Figure 8"},
        ),
        "<results>/figures/figure8.pdf",
    log:
        "<results>/logs/figure_failures.log",
    conda:
        "../environment.yml"
    params:
        recipe=SHOWN,
        images=config["figures"]["images"],
        code=fingerprint("scripts/figure_failures.py"),
    message:
        "Figure 8: regions in which nothing visible happened"
    script:
        "../scripts/figure_failures.py"


rule figure_steps:
    input:
        table=f"<results>/tables/{config['figures']['steps']}.csv",
    output:
        report(
            "<results>/figures/steps.png",
            category="Detectors",
            caption="../workflow/report/steps.rst",
            labels={"figure": "IoU against step"},
        ),
        "<results>/figures/steps.pdf",
    log:
        "<results>/logs/figure_steps.log",
    conda:
        "../environment.yml"
    params:
        steps={name: recipe["step"] for name, recipe in config["recipes"].items()},
        code=fingerprint("scripts/figure_steps.py"),
    message:
        "Draw IoU against the corruption step"
    script:
        "../scripts/figure_steps.py"


rule figure_loss:
    input:
        loss=per_seed("loss.csv", DETECTORS),
    output:
        report(
            "<results>/figures/loss.png",
            category="Detectors",
            caption="../workflow/report/loss.rst",
            labels={"figure": "Losses"},
        ),
        "<results>/figures/loss.pdf",
    log:
        "<results>/logs/figure_loss.log",
    conda:
        "../environment.yml"
    params:
        detectors=runs(DETECTORS),
        code=fingerprint("scripts/figure_loss.py"),
    message:
        "Draw the loss curves of all detectors"
    script:
        "../scripts/figure_loss.py"


rule figure_precision_recall:
    input:
        per_image=per_seed("per_image.parquet", DETECTORS),
    output:
        report(
            "<results>/figures/precision_recall.png",
            category="Detectors",
            caption="../workflow/report/precision_recall.rst",
            labels={"figure": "Precision and recall"},
        ),
        "<results>/figures/precision_recall.pdf",
    log:
        "<results>/logs/figure_precision_recall.log",
    conda:
        "../environment.yml"
    params:
        detectors=runs(DETECTORS),
        code=fingerprint("scripts/figure_precision_recall.py"),
    message:
        "Draw precision against recall of all detectors"
    script:
        "../scripts/figure_precision_recall.py"


rule figure_regions:
    input:
        regions=[
            path
            for pool in config["pools"]
            for path in per_shard(
                "<results>/regions/{pool}/{backbone}/{shard}.parquet", pool=pool, backbone=FIRST_BACKBONE
            )
        ],
    output:
        report(
            "<results>/figures/regions.png",
            category="Regions",
            caption="../workflow/report/regions.rst",
            labels={"figure": "Heat map"},
        ),
        "<results>/figures/regions.pdf",
    log:
        "<results>/logs/figure_regions.log",
    conda:
        "../environment.yml"
    params:
        parts={pool: len(shards(pool)) for pool in config["pools"]},
        code=fingerprint("scripts/figure_regions.py"),
    message:
        "Draw where the selected regions lie"
    script:
        "../scripts/figure_regions.py"


rule figure_labels:
    input:
        tfrecord="<results>/sources/richhf/{split}.tfrecord",
        audit="<results>/labels/{split}-audit.csv",
        summary="<results>/labels/{split}-summary.json",
    output:
        report(
            "<results>/figures/labels-{split}.png",
            category="Labels",
            caption="../workflow/report/labels.rst",
            labels={"split": "{split}"},
        ),
    log:
        "<results>/logs/figure_labels/{split}.log",
    conda:
        "../environment.yml"
    params:
        code=fingerprint("scripts/figure_labels.py"),
    message:
        "Audit the labels of RichHF-18k {wildcards.split}: which policy keeps what, and maps that decided"
    script:
        "../scripts/figure_labels.py"
