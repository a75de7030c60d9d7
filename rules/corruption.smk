# Corruption (§3.2, Eqs. 3-6): the selected region's latent is replaced, then everything is resampled.
# In:  <results>/pools/, regions/, inversion/, the diffusion model
# Out: <results>/reconstructed/{pool}/{shard}.parquet, the clean images through the VAE
#      <results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.parquet, and how strong each corruption came out


rule reconstruct:
    input:
        images="<results>/pools/{pool}/{shard}.parquet",
        inversion="<results>/inversion/{pool}/{shard}/0.safetensors",
        diffusion="<results>/sources/diffusion",
    output:
        "<results>/reconstructed/{pool}/{shard}.parquet",
    log:
        "<results>/logs/reconstruct/{pool}/{shard}.log",
    benchmark:
        "<results>/benchmarks/reconstruct/{pool}/{shard}.tsv"
    conda:
        "../environment.yml"
    threads: config["corruption"]["threads"]
    resources:
        gpu=ONE_GPU,
    params:
        engine=ENGINE,
        code=fingerprint("scripts/reconstruct.py"),
    message:
        "Reconstruct the images of {wildcards.pool} from their latents, part {wildcards.shard}"
    script:
        "../scripts/reconstruct.py"


rule corrupt:
    input:
        reconstructed="<results>/reconstructed/{pool}/{shard}.parquet",
        masks="<results>/regions/{pool}/{backbone}/{shard}.parquet",
        inversion=recipe_inversion,
        diffusion="<results>/sources/diffusion",
    output:
        images="<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.parquet",
        latents="<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.latents.csv",
    log:
        "<results>/logs/corrupt/{pool}/{recipe}/{backbone}/{shard}.log",
    benchmark:
        "<results>/benchmarks/corrupt/{pool}/{recipe}/{backbone}/{shard}.tsv"
    conda:
        "../environment.yml"
    threads: config["corruption"]["threads"]
    resources:
        gpu=ONE_GPU,
    params:
        engine=ENGINE,
        recipe=lookup("{recipe}", within=config["recipes"]),
        mask_rule=config["corruption"]["mask_rule"],
        guidance=config["corruption"]["guidance"],
        code=corruption_code,
    message:
        "Corrupt {wildcards.pool} by {wildcards.recipe} in the regions of {wildcards.backbone}, part {wildcards.shard}"
    script:
        "../scripts/corrupt.py"


rule measure_strength:
    input:
        reconstructed=rules.corrupt.input.reconstructed,
        corrupted=rules.corrupt.output.images,
        latents=rules.corrupt.output.latents,
    output:
        "<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.csv",
    log:
        "<results>/logs/measure_strength/{pool}/{recipe}/{backbone}/{shard}.log",
    conda:
        "../environment.yml"
    threads: min(2, config["corruption"]["threads"])
    params:
        code=fingerprint("scripts/measure_strength.py"),
    message:
        "Measure {wildcards.recipe} in {wildcards.pool}, regions of {wildcards.backbone}, part {wildcards.shard}"
    script:
        "../scripts/measure_strength.py"
