# Evaluation (§4.4): each detector on the human-labelled RichHF-18k test set.
# In:  <results>/detectors/.../weights.safetensors, <results>/sets/richhf-test.parquet
# Out: <results>/detectors/.../metrics.json and per_image.parquet; on request probabilities.parquet


rule evaluate:
    input:
        weights="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/weights.safetensors",
        test="<results>/sets/richhf-test.parquet",
    output:
        metrics="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/metrics.json",
        per_image="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/per_image.parquet",
    log:
        "<results>/logs/evaluate/{train_set}/{supervision}/{backbone}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/evaluate/{train_set}/{supervision}/{backbone}/seed-{seed}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        backbone=lookup("{backbone}", within=config["backbones"]),
        threshold=config["evaluation"]["threshold"],
        inference=INFERENCE,
        code=fingerprint("scripts/evaluate.py"),
    message:
        "Evaluate the {wildcards.backbone} detector trained on {wildcards.train_set}, {wildcards.supervision}, seed {wildcards.seed}"
    script:
        "../scripts/evaluate.py"


rule predict:
    input:
        weights="<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/weights.safetensors",
        test="<results>/sets/richhf-test.parquet",
    output:
        "<results>/detectors/{train_set}/{supervision}/{backbone}/seed-{seed}/probabilities.parquet",
    log:
        "<results>/logs/predict/{train_set}/{supervision}/{backbone}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/predict/{train_set}/{supervision}/{backbone}/seed-{seed}.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        backbone=lookup("{backbone}", within=config["backbones"]),
        inference=INFERENCE,
        code=fingerprint("scripts/predict.py"),
    message:
        "Keep what the {wildcards.backbone} detector trained on {wildcards.train_set}, {wildcards.supervision}, seed {wildcards.seed}, sees in the test images"
    script:
        "../scripts/predict.py"
