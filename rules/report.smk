# What people read, in numbers: Tables 1-4 beside the paper's, its claims, how strong each corruption came out, its cost.
# In:  metrics and per-image results of the detectors, measures of the corrupted pools
# Out: <results>/tables/

MEASURED = experiments.shown(config, config["recipes"])


rule table:
    input:
        metrics=table_metrics,
        cards=table_cards,
    output:
        csv=report(
            "<results>/tables/{table}.csv",
            category="Tables",
            caption="../workflow/report/table.rst",
            labels={"table": "{table}"},
        ),
        markdown="<results>/tables/{table}.md",
        latex="<results>/tables/{table}.tex",
    log:
        "<results>/logs/table/{table}.log",
    conda:
        "../environment.yml"
    params:
        detectors=table_names,
        table=lookup("{table}", within=config["tables"]),
        published=lookup("{table}", within=config["published"], default=None),
        code=fingerprint("scripts/table.py"),
    message:
        "Write {wildcards.table}, ours beside the paper's"
    script:
        "../scripts/table.py"


rule show_tables:
    input:
        csv=expand("<results>/tables/{table}.csv", table=config["tables"]),
    output:
        text=report(
            "<results>/tables/summary.txt",
            category="Tables",
            caption="../workflow/report/summary.rst",
            labels={"table": "All, beside the paper's"},
        ),
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
    output:
        csv=report(
            "<results>/tables/claims.csv",
            category="Claims",
            caption="../workflow/report/claims.rst",
            labels={"table": "Claims"},
        ),
        markdown="<results>/tables/claims.md",
    log:
        "<results>/logs/claims.log",
    conda:
        "../environment.yml"
    params:
        detectors=of_seeds(DETECTORS),
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
        strength=corrupted(MEASURED, ".csv"),
    output:
        csv=report(
            "<results>/tables/strength.csv",
            category="Corruption",
            caption="../workflow/report/strength.rst",
            labels={"table": "Strength and confinement"},
        ),
        markdown="<results>/tables/strength.md",
    log:
        "<results>/logs/strength_table.log",
    conda:
        "../environment.yml"
    params:
        corrupted=of_shards(MEASURED),
        code=fingerprint("scripts/strength_table.py"),
    message:
        "Measure how strong each corruption is and how well it keeps to its region"
    script:
        "../scripts/strength_table.py"


rule cost:
    input:
        inversions=[
            path
            for pool, n in INVERSIONS
            for path in per_shard("<results>/inversion/{pool}/{shard}/{n}.safetensors", pool=pool, n=n)
        ],
        evaluations=corrupted(CORRUPTED, ".latents.csv"),
        diffusion="<results>/sources/diffusion",
    output:
        csv=report(
            "<results>/tables/cost.csv",
            category="Corruption",
            caption="../workflow/report/cost.rst",
            labels={"table": "Cost"},
        ),
        markdown="<results>/tables/cost.md",
    log:
        "<results>/logs/cost.log",
    conda:
        "../environment.yml"
    params:
        inverted=of_shards(INVERSIONS),
        corrupted=of_shards(CORRUPTED),
        depths={recipe: experiments.depth(config, recipe) for recipe in config["recipes"]},
        schedule=config["schedule"],
        renoise=config["renoise"],
        guidance=config["corruption"]["guidance"],
        code=fingerprint("scripts/cost.py"),
    message:
        "Count the UNet evaluations of inversion and corruption beside the forecast"
    script:
        "../scripts/cost.py"


rule describe_run:
    output:
        report(
            "<results>/tables/run.yaml",
            category="Run",
            caption="../workflow/report/run.rst",
            labels={"run": "Configuration and versions"},
        ),
    log:
        "<results>/logs/describe_run.log",
    conda:
        "../environment.yml"
    params:
        config=config,
        code=fingerprint("scripts/describe_run.py"),
    message:
        "Record the configuration and the libraries' versions"
    script:
        "../scripts/describe_run.py"
