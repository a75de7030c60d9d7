# The mini world's files, made once and committed below resources/mini (`make miniworld` makes them again).
# A workflow of its own, because the files it makes are the other workflow's sources.
# In:  seeds.  Out: resources/mini/{diffusion,wild,richhf,hps,segmentation}/, laid out like the real sources
import os
import sys

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"
configfile: "config/mini.yaml"
configfile: "config/miniworld.yaml"


sys.path.insert(0, os.path.join(workflow.basedir, "../workflow"))
os.environ["PYTHONPATH"] = sys.path[0]


rule miniworld:
    default_target: True
    input:
        expand("resources/mini/richhf/{split}.tfrecord", split=config["richhf"]),
        "resources/mini/hps/data",
        expand("resources/mini/segmentation/{backbone}.safetensors", backbone=["swin-t", "convnext-t"]),
    message:
        "The mini world is made"


rule train_mini_vae:
    output:
        "resources/mini/diffusion/vae/diffusion_pytorch_model.safetensors",
    log:
        "results/miniworld/logs/train_mini_vae.log",
    conda:
        "../environment.yml"
    threads: 1
    params:
        **config["vae"],
    message:
        "Train the mini world's VAE on {params.scenes} scenes, {params.iterations} iterations"
    script:
        "../scripts/train_mini_vae.py"


rule train_mini_generator:
    input:
        vae=rules.train_mini_vae.output,
    output:
        "resources/mini/{generator}/unet/diffusion_pytorch_model.safetensors",
    log:
        "results/miniworld/logs/train_mini_generator-{generator}.log",
    conda:
        "../environment.yml"
    threads: 1
    params:
        settings=lookup("{generator}", within=config),
    message:
        "Train the generator '{wildcards.generator}'"
    script:
        "../scripts/train_mini_generator.py"


rule make_mini_richhf:
    input:
        vae=rules.train_mini_vae.output,
        wild="resources/mini/wild/unet/diffusion_pytorch_model.safetensors",
    output:
        "resources/mini/richhf/{split}.tfrecord",
        "resources/mini/richhf/data/{split}-00000-of-00001.parquet",
    log:
        "results/miniworld/logs/make_mini_richhf-{split}.log",
    conda:
        "../environment.yml"
    params:
        settings=lookup("{split}", within=config["richhf"]),
    message:
        "Make wild artifacts and their simulated annotators, {wildcards.split}"
    script:
        "../scripts/make_mini_richhf.py"


rule make_mini_hps:
    input:
        vae=rules.train_mini_vae.output,
    output:
        directory("resources/mini/hps/data"),
    log:
        "results/miniworld/logs/make_mini_hps.log",
    conda:
        "../environment.yml"
    params:
        **config["hps"],
    message:
        "Make clean generated images in tars"
    script:
        "../scripts/make_mini_hps.py"


rule pretrain_mini_segmentation:
    output:
        "resources/mini/segmentation/{backbone}.safetensors",
    log:
        "results/miniworld/logs/pretrain_mini_segmentation-{backbone}.log",
    conda:
        "../environment.yml"
    threads: 1
    params:
        backbone=lookup("{backbone}", within=config["backbones"]),
        training={
            key: value
            for key, value in config["detectors"].items()
            if key not in ("seeds", "iterations", "selector_iterations", "gpus", "lr")
        },
        settings=config["segmentation"],
    message:
        "Pre-train {wildcards.backbone} on the objects of the scenes"
    script:
        "../scripts/pretrain_mini_segmentation.py"
