# Corruption (§3.2, Eqs. 3-6): the selected region's latent is replaced, then everything is resampled.
# In:  <results>/pools/, regions/, inversion/, the diffusion model
# Out: <results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.parquet and how strong each corruption came out


rule corrupt:
    input:
        images="<results>/pools/{pool}/{shard}.parquet",
        masks="<results>/regions/{pool}/{backbone}/{shard}.parquet",
        inversion=recipe_inversion,
        diffusion="<results>/sources/diffusion",
    output:
        images="<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.parquet",
        strength="<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.csv",
    log:
        "<results>/logs/corrupt/{pool}/{recipe}/{backbone}/{shard}.log",
    benchmark:
        "<results>/benchmarks/corrupt/{pool}/{recipe}/{backbone}/{shard}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        recipe=lookup("{recipe}", within=config["recipes"]),
        steps=config["schedule"]["steps"],
        mask_rule=config["corruption"]["mask_rule"],
        seed=config["seed"],
        batch_size=config["corruption"]["batch_size"],
        device=config["device"],
        dtype=config["dtype"],
        code=corruption_code,
    message:
        "Corrupt {wildcards.pool} by {wildcards.recipe} in the regions of {wildcards.backbone}, part {wildcards.shard}"
    script:
        "../scripts/corrupt.py"
