# The gallery (a page to browse): what the run corrupted, beside the clean images, with masks and predictions.
# In:  pools, corrupted pools and their measures, the detectors trained on them
# Out: <results>/gallery.html


rule gallery:
    input:
        clean=[
            path for pool in config["pools"] for path in per_shard("<results>/pools/{pool}/{shard}.parquet", pool=pool)
        ],
        corrupted=all_corrupted("parquet"),
        strength=all_corrupted("csv"),
        weights=[
            f"<results>/detectors/{pool}/{recipe}/{backbone}/seed-{config['detectors']['seeds'][0]}/weights.safetensors"
            for pool, recipe, backbone in trained_corruptions()
        ],
    output:
        "<results>/gallery.html",
    log:
        "<results>/logs/gallery.log",
    conda:
        "../environment.yml"
    threads: 1
    resources:
        gpu=ONE_GPU,
    params:
        parts={pool: len(shards(pool)) for pool in config["pools"]},
        sets=made_corruptions(),
        trained=trained_corruptions(),
        backbones=config["backbones"],
        images=config["gallery"]["images"],
        seed=config["seed"],
        threshold=config["evaluation"]["threshold"],
        batch_size=config["evaluation"]["batch_size"],
        device=config["device"],
        amp=config["detectors"]["amp"],
        code=fingerprint(
            "scripts/gallery.py", *expand("workflow/blemish/report/gallery/page.{suffix}", suffix=["html", "css", "js"])
        ),
    message:
        "Make a page to browse the corrupted images, their masks and what detectors see in them"
    script:
        "../scripts/gallery.py"
