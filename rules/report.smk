# What people read: Tables 1-4 beside the paper's, the paper's figures from the run's own images, how strong each
# corruption came out.
# In:  metrics and per-image results of the detectors, pools, corrupted pools
# Out: <results>/tables/, <results>/figures/

DETECTORS = tables.detectors(config["tables"])
METHODS = ["rotation-30", "blur-30", "gaussian-30", "downscale-30", "proposed-40"]  # §5.3, Figure 5
TARGETS = ["gaussian-50", "gaussian-30"]  # §6.2, Figure 7


rule table:
    input:
        metrics=table_metrics,
        settings=settings("table", "table"),
    output:
        csv=report("<results>/tables/{table}.csv", category="Tables", caption="../workflow/report/table.rst"),
        markdown="<results>/tables/{table}.md",
        latex="<results>/tables/{table}.tex",
    log:
        "<results>/logs/table/{table}.log",
    conda:
        "../environment.yml"
    params:
        detectors=table_runs,
        table=lookup("tables/{table}", within=config),
        published=lookup("published/{table}", within=config, default=None),
        code=fingerprint("scripts/table.py"),
    message:
        "Write {wildcards.table}, ours beside the paper's"
    script:
        "../scripts/table.py"


rule show_tables:
    input:
        csv=expand("<results>/tables/{table}.csv", table=config["tables"]),
        settings=settings("show_tables"),
    output:
        text="<results>/tables/summary.txt",
        markdown="<results>/tables/summary.md",
    log:
        "<results>/logs/show_tables.log",
    conda:
        "../environment.yml"
    params:
        tables=list(config["tables"].values()),
        code=fingerprint("scripts/show_tables.py"),
    message:
        "Put all tables on one page"
    script:
        "../scripts/show_tables.py"


rule claims:
    input:
        per_image=per_seed("per_image.parquet", DETECTORS),
        settings=settings("claims"),
    output:
        csv=report("<results>/tables/claims.csv", category="Claims", caption="../workflow/report/claims.rst"),
        markdown="<results>/tables/claims.md",
    log:
        "<results>/logs/claims.log",
    conda:
        "../environment.yml"
    params:
        detectors=runs(DETECTORS),
        claims=config["claims"],
        tables=config["tables"],
        published=config["published"],
        code=fingerprint("scripts/claims.py"),
    message:
        "Judge the paper's claims on the run's own detectors"
    script:
        "../scripts/claims.py"


rule strength_table:
    input:
        strength=corrupted(config["recipes"], "csv"),
        settings=settings("strength_table"),
    output:
        csv=report("<results>/tables/strength.csv", category="Corruption", caption="../workflow/report/strength.rst"),
        markdown="<results>/tables/strength.md",
    log:
        "<results>/logs/strength_table.log",
    conda:
        "../environment.yml"
    params:
        parts={recipe: len(shards("hps")) for recipe in config["recipes"]},
        code=fingerprint("scripts/strength_table.py"),
    message:
        "Measure how strong each corruption is and how well it keeps to its region"
    script:
        "../scripts/strength_table.py"


rule cost:
    input:
        inversions=[
            path
            for pool, n in made_inversions()
            for path in per_shard("<results>/inversion/{pool}/{shard}/{n}.safetensors", pool=pool, n=n)
        ],
        strength=[
            path
            for pool, recipe, backbone in made_corruptions()
            for path in per_shard(
                "<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.csv",
                pool=pool,
                recipe=recipe,
                backbone=backbone,
            )
        ],
        diffusion="<results>/sources/diffusion",
        settings=settings("cost"),
    output:
        csv=report("<results>/tables/cost.csv", category="Corruption", caption="../workflow/report/cost.rst"),
        markdown="<results>/tables/cost.md",
    log:
        "<results>/logs/cost.log",
    conda:
        "../environment.yml"
    params:
        stored=[key for key in made_inversions() for _ in shards(key[0])],
        corruptions=[key for key in made_corruptions() for _ in shards(key[0])],
        depths={recipe: depth(recipe) for recipe in config["recipes"]},
        settings=lookup("inversion", within=config),
        code=fingerprint("scripts/cost.py"),
    message:
        "Count the UNet evaluations of inversion and corruption beside the forecast"
    script:
        "../scripts/cost.py"


rule contact_sheet:
    input:
        clean=per_shard("<results>/pools/{pool}/{shard}.parquet", pool="hps"),
        corrupted=sheet_images,
        strength=sheet_strength,
        settings=settings("contact_sheet"),
    output:
        report(
            "<results>/figures/corruption/{recipe}.png",
            category="Corruption",
            caption="../workflow/report/contact_sheet.rst",
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
        corrupted=[path for pool in config["pools"] for path in corrupted(["proposed-40"], "parquet", pool)],
        strength=[path for pool in config["pools"] for path in corrupted(["proposed-40"], "csv", pool)],
        settings=settings("figure_pools"),
    output:
        multiext("<results>/figures/figure4", ".png", ".pdf"),
    log:
        "<results>/logs/figure_pools.log",
    conda:
        "../environment.yml"
    params:
        parts={pool: len(shards(pool)) for pool in config["pools"]},
        recipe="proposed-40",
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
        settings=settings("figure_methods"),
    output:
        multiext("<results>/figures/figure5", ".png", ".pdf"),
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


use rule figure_methods as figure_targets with:
    input:
        clean=rules.contact_sheet.input.clean,
        corrupted=corrupted(TARGETS, "parquet"),
        strength=corrupted(TARGETS, "csv"),
        settings=settings("figure_targets"),
    output:
        multiext("<results>/figures/figure7", ".png", ".pdf"),
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
        corrupted=corrupted(["proposed-40"], "parquet"),
        strength=corrupted(["proposed-40"], "csv"),
        settings=settings("figure_failures"),
    output:
        multiext("<results>/figures/figure8", ".png", ".pdf"),
    log:
        "<results>/logs/figure_failures.log",
    conda:
        "../environment.yml"
    params:
        recipe="proposed-40",
        images=config["figures"]["images"],
        code=fingerprint("scripts/figure_failures.py"),
    message:
        "Figure 8: regions in which nothing visible happened"
    script:
        "../scripts/figure_failures.py"


rule figure_steps:
    input:
        table="<results>/tables/table3.csv",
        settings=settings("figure_steps"),
    output:
        multiext("<results>/figures/steps", ".png", ".pdf"),
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
        settings=settings("figure_loss"),
    output:
        multiext("<results>/figures/loss", ".png", ".pdf"),
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
        settings=settings("figure_precision_recall"),
    output:
        multiext("<results>/figures/precision_recall", ".png", ".pdf"),
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
        settings=settings("figure_regions"),
    output:
        multiext("<results>/figures/regions", ".png", ".pdf"),
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
        settings=settings("figure_labels"),
    output:
        report("<results>/figures/labels-{split}.png", category="Labels", caption="../workflow/report/labels.rst"),
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
