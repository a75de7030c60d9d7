# What people read, in pictures: the paper's figures from the run's own images, curves, the audit of the labels.
# In:  pools, corrupted pools and their measures, tables, losses and per-image results of the detectors
# Out: <results>/figures/

SHOWN, METHODS, TARGETS = (config["figures"][key] for key in ("recipe", "methods", "targets"))
IMAGES = config["figures"]["images"]
INITIAL = {**config["recipes"][SHOWN], "step": 0}  # all steps are inverted


rule contact_sheet:
    input:
        clean=clean([experiments.HPS]),
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
        images=IMAGES,
        seed=config["seed"],
        code=fingerprint("scripts/contact_sheet.py"),
    message:
        "Show clean images, regions and what {wildcards.recipe} makes of them"
    script:
        "../scripts/contact_sheet.py"


rule figure_methods:
    input:
        **beside_clean(experiments.shown(config, METHODS)),
    output:
        picture("figure5", "Corruption", figure="Figure 5"),
    log:
        "<results>/logs/figure_methods.log",
    conda:
        "../environment.yml"
    params:
        **shown_images(experiments.shown(config, METHODS), IMAGES),
    message:
        "Figure 5: corruption methods side by side"
    script:
        "../scripts/figure_methods.py"


use rule figure_methods as figure_pools with:
    input:
        **beside_clean(experiments.shown(config, [SHOWN], config["pools"])),
    output:
        picture("figure4", "Corruption", figure="Figure 4"),
    log:
        "<results>/logs/figure_pools.log",
    params:
        **shown_images(experiments.shown(config, [SHOWN], config["pools"]), IMAGES // 2),
    message:
        "Figure 4: clean over corrupted images of each pool"


use rule figure_methods as figure_targets with:
    input:
        **beside_clean(experiments.shown(config, TARGETS)),
    output:
        picture("figure7", "Corruption", figure="Figure 7"),
    log:
        "<results>/logs/figure_targets.log",
    params:
        **shown_images(experiments.shown(config, TARGETS), IMAGES),
    message:
        "Figure 7: the image latent and an intermediate latent, corrupted"


use rule figure_methods as figure_failures with:
    input:
        **beside_clean(experiments.shown(config, [SHOWN])),
    output:
        picture("figure8", "Corruption", figure="Figure 8"),
    log:
        "<results>/logs/figure_failures.log",
    params:
        **shown_images(experiments.shown(config, [SHOWN]), IMAGES, "least_changed"),
    message:
        "Figure 8: regions in which nothing visible happened"


rule figure_initial:
    input:
        **beside_clean(experiments.shown(config, [SHOWN])),
        diffusion="<results>/sources/diffusion",
    output:
        picture("figure6", "Corruption", figure="Figure 6"),
    log:
        "<results>/logs/figure_initial.log",
    benchmark:
        "<results>/benchmarks/figure_initial.tsv"
    conda:
        "../environment.yml"
    resources:
        gpu=ONE_GPU,
    params:
        engine=ENGINE | {"batch_size": IMAGES // 2},
        name=f"{INITIAL['method']}-0",
        recipe=INITIAL,
        images=IMAGES // 2,
        renoise=config["renoise"],
        mask_rule=config["corruption"]["mask_rule"],
        guidance=config["corruption"]["guidance"],
        code=fingerprint("scripts/figure_initial.py", f"corruption.methods.{INITIAL['method']}"),
    message:
        "Figure 6: images corrupted in the initial latent, after all steps were inverted"
    script:
        "../scripts/figure_initial.py"


rule figure_steps:
    input:
        f"<results>/tables/{config['figures']['steps']}.csv",
    output:
        picture("steps", "Detectors", figure="IoU against step"),
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
        per_seed("loss.csv", DETECTORS),
    output:
        picture("loss", "Detectors", figure="Losses"),
    log:
        "<results>/logs/figure_loss.log",
    conda:
        "../environment.yml"
    params:
        detectors=of_seeds(DETECTORS),
        code=fingerprint("scripts/figure_loss.py"),
    message:
        "Draw the loss curves of all detectors"
    script:
        "../scripts/figure_loss.py"


rule figure_precision_recall:
    input:
        per_seed("per_image.parquet", DETECTORS),
    output:
        picture("precision_recall", "Detectors", figure="Precision and recall"),
    log:
        "<results>/logs/figure_precision_recall.log",
    conda:
        "../environment.yml"
    params:
        detectors=of_seeds(DETECTORS),
        code=fingerprint("scripts/figure_precision_recall.py"),
    message:
        "Draw precision against recall of all detectors"
    script:
        "../scripts/figure_precision_recall.py"


rule figure_regions:
    input:
        [
            path
            for pool in config["pools"]
            for path in per_shard(
                "<results>/regions/{pool}/{backbone}/{shard}.parquet",
                pool=pool,
                backbone=experiments.first_backbone(config),
            )
        ],
    output:
        picture("regions", "Regions", figure="Heat map"),
    log:
        "<results>/logs/figure_regions.log",
    conda:
        "../environment.yml"
    params:
        pools=of_pools(config["pools"]),
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
