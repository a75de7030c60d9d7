# Region selection (§3.1, step 2): where artifacts would appear in a clean image.
# In:  <results>/pools/{pool}/, the detector richhf-100/human of the same backbone
# Out: <results>/regions/{pool}/{backbone}/{shard}.parquet, M_s = {x : f(I)(x) >= tau}


rule select_regions:
    input:
        images="<results>/pools/{pool}/{shard}.parquet",
        weights=f"<results>/detectors/richhf-100/human/{{backbone}}/seed-{SELECTOR_SEED}/weights.safetensors",
    output:
        "<results>/regions/{pool}/{backbone}/{shard}.parquet",
    log:
        "<results>/logs/select_regions/{pool}/{backbone}/{shard}.log",
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        backbone=lookup("{backbone}", within=config["backbones"]),
        selector=config["selector"],
        inference=INFERENCE,
        selector_seed=SELECTOR_SEED,
        code=fingerprint("scripts/select_regions.py"),
    message:
        "Select the artifact-prone regions of {wildcards.pool} by {wildcards.backbone}, part {wildcards.shard}"
    script:
        "../scripts/select_regions.py"
