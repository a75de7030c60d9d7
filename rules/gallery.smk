# The gallery (a page to browse): what the run corrupted, beside the clean images, with masks and predictions.
# In:  pools, corrupted pools and their measures, the detectors trained on them
# Out: <results>/gallery.html

TRAINED_ON = [corrupted_pool for corrupted_pool in CORRUPTED if corrupted_pool in DETECTORS]


rule gallery:
    input:
        clean=clean(config["pools"]),
        corrupted=corrupted(CORRUPTED, ".parquet"),
        strength=corrupted(CORRUPTED, ".csv"),
        weights=[
            f"<results>/detectors/{pool}/{recipe}/{backbone}/seed-{config['detectors']['seeds'][0]}/weights.safetensors"
            for pool, recipe, backbone in TRAINED_ON
        ],
    output:
        "<results>/gallery.html",
    log:
        "<results>/logs/gallery.log",
    benchmark:
        "<results>/benchmarks/gallery.tsv"
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        pools=of_pools(config["pools"]),
        corrupted=of_shards(CORRUPTED),
        trained_on=[list(corrupted_pool) for corrupted_pool in TRAINED_ON],
        backbones=config["backbones"],
        images=config["gallery"]["images"],
        seed=config["seed"],
        threshold=config["evaluation"]["threshold"],
        inference=INFERENCE,
        code=fingerprint(
            "scripts/gallery.py",
            *expand("workflow/blemish/report/gallery/page.{suffix}", suffix=["html", "css", "js"]),
        ),
    message:
        "Make a page to browse the corrupted images, their masks and what detectors see in them"
    script:
        "../scripts/gallery.py"
