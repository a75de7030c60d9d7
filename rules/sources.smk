# Where everything comes from: RichHF-18k, its images, your own, the diffusion model, the pre-trained segmentation models.
# In:  the network, or files named by `file:` in the config.
# Out: <results>/sources/..., pools/..., of RichHF-18k the splits that the config names


rule fetch_richhf:
    output:
        "<results>/sources/richhf/{split}.tfrecord",
    log:
        "<results>/logs/fetch_richhf/{split}.log",
    benchmark:
        "<results>/benchmarks/fetch_richhf/{split}.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        source=lookup("{split}", within=config["sources"]["richhf"]["records"]),
        code=fingerprint("scripts/fetch_file.py"),
    message:
        "Fetch the {wildcards.split} records of RichHF-18k"
    script:
        "../scripts/fetch_file.py"


rule fetch_richhf_images:
    input:
        labels="<results>/labels/{split}.parquet",
    output:
        "<results>/sources/richhf/images-{split}.parquet",
    log:
        "<results>/logs/fetch_richhf_images/{split}.log",
    benchmark:
        "<results>/benchmarks/fetch_richhf_images/{split}.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        source=config["sources"]["richhf"]["images"],
        size=config["resolution"],
        code=fingerprint("scripts/fetch_richhf_images.py"),
    message:
        "Fetch the images of the labelled {wildcards.split} samples of RichHF-18k"
    script:
        "../scripts/fetch_richhf_images.py"


rule choose_hps:
    output:
        "<results>/sources/hps/tars.json",
    log:
        "<results>/logs/choose_hps.log",
    localrule: True
    conda:
        "../environment.yml"
    params:
        source=config["sources"]["hps"],
        number=config["pools"]["hps"]["count"],
        seed=config["seed"],
        code=fingerprint("scripts/choose_hps.py"),
    message:
        "Choose the tars of the HPS data set that images are drawn from"
    script:
        "../scripts/choose_hps.py"


rule draw_hps:
    input:
        "<results>/sources/hps/tars.json",
    output:
        part="<results>/sources/hps/{tar}.parquet",
        ledger="<results>/sources/hps/{tar}.csv",
    log:
        "<results>/logs/draw_hps/{tar}.log",
    benchmark:
        "<results>/benchmarks/draw_hps/{tar}.tsv"
    wildcard_constraints:
        tar=r"\d+",
    localrule: True
    conda:
        "../environment.yml"
    params:
        source=config["sources"]["hps"],
        seed=config["seed"],
        size=config["resolution"],
        code=fingerprint("scripts/draw_hps.py"),
    message:
        "Draw clean images from tar {wildcards.tar} of those chosen of the HPS data set"
    script:
        "../scripts/draw_hps.py"


rule deal_hps:
    input:
        parts=expand(rules.draw_hps.output.part, tar=range(config["sources"]["hps"]["tars"])),
        ledgers=expand(rules.draw_hps.output.ledger, tar=range(config["sources"]["hps"]["tars"])),
    output:
        pool=expand("<results>/pools/hps/{shard}.parquet", shard=shards("hps")),
        ledger="<results>/pools/hps/ledger.csv",
    log:
        "<results>/logs/deal_hps.log",
    localrule: True
    conda:
        "../environment.yml"
    params:
        parts=config["pools"]["hps"]["shards"],
        code=fingerprint("scripts/deal_hps.py"),
    message:
        "Deal the images drawn from the HPS data set to {params.parts} parts of a pool"
    script:
        "../scripts/deal_hps.py"


rule frame_images:
    output:
        pool="<results>/pools/{pool}/{shard}.parquet",
        ledger="<results>/pools/{pool}/{shard}.csv",
    log:
        "<results>/logs/frame_images/{pool}/{shard}.log",
    wildcard_constraints:
        pool="|".join(OWN_POOLS) or "-",
    conda:
        "../environment.yml"
    params:
        folder=lookup("{pool}/images", within=config["pools"]),
        parts=lookup("{pool}/shards", within=config["pools"]),
        size=config["resolution"],
        listing=own_images,
        code=fingerprint("scripts/frame_images.py"),
    message:
        "Frame the images of {params.folder} as {wildcards.pool}, part {wildcards.shard}"
    script:
        "../scripts/frame_images.py"


rule fetch_diffusion:
    output:
        directory("<results>/sources/diffusion"),
    log:
        "<results>/logs/fetch_diffusion.log",
    benchmark:
        "<results>/benchmarks/fetch_diffusion.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        source=config["sources"]["diffusion"],
        code=fingerprint("scripts/fetch_diffusion.py"),
    message:
        "Fetch the diffusion model"
    script:
        "../scripts/fetch_diffusion.py"


use rule fetch_richhf as fetch_segmentation with:
    output:
        "<results>/sources/segmentation/{backbone}.weights",
    log:
        "<results>/logs/fetch_segmentation/{backbone}.log",
    benchmark:
        "<results>/benchmarks/fetch_segmentation/{backbone}.tsv"
    params:
        source=lookup("{backbone}/weights", within=config["backbones"]),
        code=fingerprint("scripts/fetch_file.py"),
    message:
        "Fetch the pre-trained segmentation model {wildcards.backbone}"


SOURCES = (
    expand(rules.fetch_richhf.output, split=SPLITS)
    + expand(rules.fetch_richhf_images.output, split=SPLITS)
    + rules.deal_hps.output
    + [path for pool in OWN_POOLS for path in per_shard(rules.frame_images.output.pool, pool=pool)]
    + rules.fetch_diffusion.output
    + expand(rules.fetch_segmentation.output, backbone=config["backbones"])
)
