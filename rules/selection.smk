# Region selection (§3.1, step 2): where artifacts would appear in a clean image.
# In:  <results>/pools/{pool}/, the detector richhf-human/human of the same backbone
# Out: <results>/regions/{pool}/{backbone}/{shard}.parquet, M_s = {x : f(I)(x) >= tau}; tau.json where tau is "area"

SELECTOR = f"<results>/detectors/richhf-human/human/{{backbone}}/seed-{SELECTOR_SEED}/weights.safetensors"


rule match_area:
    input:
        samples="<results>/sets/richhf-human.parquet",
        images=lambda wildcards: clean([wildcards.pool]),
        weights=SELECTOR,
    output:
        "<results>/regions/{pool}/{backbone}/tau.json",
    log:
        "<results>/logs/match_area/{pool}/{backbone}.log",
    benchmark:
        "<results>/benchmarks/match_area/{pool}/{backbone}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        backbone=lookup("{backbone}", within=config["backbones"]),
        inference=INFERENCE,
        selector_seed=SELECTOR_SEED,
        code=fingerprint("scripts/match_area.py"),
    message:
        "Find the threshold at which regions of {wildcards.pool} by {wildcards.backbone} are as large as people's marks"
    script:
        "../scripts/match_area.py"


rule select_regions:
    input:
        images="<results>/pools/{pool}/{shard}.parquet",
        weights=SELECTOR,
        tau="<results>/regions/{pool}/{backbone}/tau.json" if config["selector"]["tau"] == "area" else [],
    output:
        "<results>/regions/{pool}/{backbone}/{shard}.parquet",
    log:
        "<results>/logs/select_regions/{pool}/{backbone}/{shard}.log",
    benchmark:
        "<results>/benchmarks/select_regions/{pool}/{backbone}/{shard}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        backbone=lookup("{backbone}", within=config["backbones"]),
        tau=config["selector"]["tau"],
        inference=INFERENCE,
        selector_seed=SELECTOR_SEED,
        code=fingerprint("scripts/select_regions.py"),
    message:
        "Select the artifact-prone regions of {wildcards.pool} by {wildcards.backbone}, part {wildcards.shard}"
    script:
        "../scripts/select_regions.py"
