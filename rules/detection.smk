# Detectors (§4.2, §4.4): one per train set, supervision, backbone and seed. The region selection model is the
# detector "richhf-100, human".
# In:  records with masks: sets/richhf-100, pools with regions as pseudo labels, or corrupted pools
# Out: <results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/weights.safetensors


def training_images(wildcards):
    if wildcards.supervision == "human":
        return ["<results>/sets/richhf-100.parquet"]
    if wildcards.supervision == "pseudo":
        return per_shard("<results>/pools/{pool}/{shard}.parquet", pool=wildcards.train_set)
    return per_shard(
        "<results>/corrupted/{pool}/{recipe}/{backbone}/{shard}.parquet",
        pool=wildcards.train_set,
        recipe=wildcards.supervision,
        backbone=wildcards.backbone,
    )


def training_masks(wildcards):
    """Pseudo labels lie beside their images; all other sets carry their own masks."""
    if wildcards.supervision != "pseudo":
        return []
    return per_shard(
        "<results>/regions/{pool}/{backbone}/{shard}.parquet",
        pool=wildcards.train_set,
        backbone=wildcards.backbone,
    )


def training_settings(wildcards):
    """§4.2 and §4.4 differ in the number of iterations alone."""
    shared = ("seeds", "iterations", "selector_iterations")
    settings = {key: value for key, value in config["detectors"].items() if key not in shared}
    human = wildcards.supervision == "human"
    return settings | {"iterations": config["detectors"]["selector_iterations" if human else "iterations"]}


rule train_detector:
    input:
        images=training_images,
        masks=training_masks,
        init="<results>/sources/segmentation/{backbone}.weights",
    output:
        weights="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/weights.safetensors",
        card="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/card.json",
        loss="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/loss.csv",
    log:
        "<results>/logs/train_detector/{train_set}/{supervision}/{backbone}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/train_detector/{train_set}/{supervision}/{backbone}/seed-{seed}.tsv"
    conda:
        "../environment.yml"
    threads: 1 + config["detectors"]["workers"]
    resources:
        gpu=GPU,
    params:
        backbone=lookup("backbones/{backbone}", within=config),
        settings=training_settings,
        device=config["device"],
        code=fingerprint("scripts/train_detector.py"),
    message:
        "Train the {wildcards.backbone} detector on {wildcards.train_set}, {wildcards.supervision}, seed {wildcards.seed}"
    script:
        "../scripts/train_detector.py"
