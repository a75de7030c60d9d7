# Detectors (§4.2, §4.4): one per train set, supervision, backbone and seed. The region selection model is the
# detector "richhf-human, human".
# In:  records with masks: sets/richhf-human, pools with regions as pseudo labels, or corrupted pools
# Out: <results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/weights.safetensors

INFERENCE = {
    "device": config["device"],
    "batch_size": config["evaluation"]["batch_size"],
    "amp": config["detectors"]["amp"],
}  # how rules run trained detectors


rule train_detector:
    input:
        images=training_images,
        masks=training_masks,
        init="<results>/sources/segmentation/{backbone}.weights",
    output:
        weights="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/weights.safetensors",
        card="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/card.json",
        loss="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/loss.csv",
        tensorboard=directory("<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/tensorboard"),
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
        backbone=lookup("{backbone}", within=config["backbones"]),
        training=training_settings,
        device=config["device"],
        code=fingerprint("scripts/train_detector.py"),
    message:
        "Train the {wildcards.backbone} detector on {wildcards.train_set}, {wildcards.supervision}, seed {wildcards.seed}"
    script:
        "../scripts/train_detector.py"
