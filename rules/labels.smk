# Human labels (§4.1): RichHF-18k's maps become binary masks, 100 samples are drawn, the rest becomes a pool.
# In:  <results>/sources/richhf/
# Out: <results>/labels/{split}.parquet, sets/richhf-{split}.parquet, sets/richhf-human.parquet, pools/richhf/
#      `dev`, if the config names it, is made like the others by `snakemake <results>/sets/richhf-dev.parquet`.


rule binarize:
    input:
        tfrecords="<results>/sources/richhf/{split}.tfrecord",
    output:
        labels="<results>/labels/{split}.parquet",
        audit="<results>/labels/{split}-audit.csv",
        summary="<results>/labels/{split}-summary.json",
    log:
        "<results>/logs/binarize/{split}.log",
    conda:
        "../environment.yml"
    threads: 2
    params:
        labels=label_policy,
        code=fingerprint("scripts/binarize.py"),
    message:
        "Turn the artifact maps of RichHF-18k {wildcards.split} into binary masks, two votes of three"
    script:
        "../scripts/binarize.py"


rule join_richhf:
    input:
        labels="<results>/labels/{split}.parquet",
        images="<results>/sources/richhf/images-{split}.parquet",
    output:
        "<results>/sets/richhf-{split}.parquet",
    log:
        "<results>/logs/join_richhf/{split}.log",
    conda:
        "../environment.yml"
    params:
        code=fingerprint("scripts/join_richhf.py"),
    message:
        "Join images and masks of RichHF-18k {wildcards.split}"
    script:
        "../scripts/join_richhf.py"


rule draw_subset:
    input:
        "<results>/sets/richhf-train.parquet",
    output:
        subset="<results>/sets/richhf-human.parquet",
        pool=expand("<results>/pools/richhf/{shard}.parquet", shard=shards("richhf")),
    log:
        "<results>/logs/draw_subset.log",
    conda:
        "../environment.yml"
    params:
        number=config["subset"]["count"],
        parts=config["pools"]["richhf"]["shards"],
        seed=config["seed"],
        code=fingerprint("scripts/draw_subset.py"),
    message:
        "Draw {params.number} human-labelled samples for the region selection model; the rest is a pool"
    script:
        "../scripts/draw_subset.py"
