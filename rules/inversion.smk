# Latent inversion (§3.2, Eq. 2): one trajectory per image, whatever the mask, method or backbone.
# In:  <results>/pools/{pool}/{shard}.parquet
# Out: <results>/inversion/{pool}/{shard}/{n}.safetensors, the latents after n steps; each continues the one before

ENGINE = {  # what every job that runs the diffusion model depends on
    "steps": config["schedule"]["steps"],
    "seed": config["seed"],
    "batch_size": config["corruption"]["batch_size"],
    "device": config["device"],
    "dtype": config["dtype"],
}


rule invert:
    input:
        images="<results>/pools/{pool}/{shard}.parquet",
        diffusion="<results>/sources/diffusion",
        previous=previous_inversion,
    output:
        "<results>/inversion/{pool}/{shard}/{n}.safetensors",
    log:
        "<results>/logs/invert/{pool}/{shard}/{n}.log",
    benchmark:
        "<results>/benchmarks/invert/{pool}/{shard}/{n}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        engine=ENGINE,
        renoise=config["renoise"],
        code=fingerprint("scripts/invert.py"),
    message:
        "Invert the latents of {wildcards.pool} to step {wildcards.n}, part {wildcards.shard}"
    script:
        "../scripts/invert.py"
