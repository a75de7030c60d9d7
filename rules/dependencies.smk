# Who depends on what, where a pattern cannot say it: the input functions of the rules.

DETECTORS = experiments.detectors(config["tables"])
CORRUPTED = experiments.corrupted_pools(config)
INVERSIONS = experiments.inversions(config)


def shards(pool):
    return experiments.shards(config, pool)


def own_images(wildcards):
    """What tells that an image was added or changed: Snakemake follows only files that it is told by name."""
    return LISTINGS[wildcards["pool"]]


def per_shard(pattern, **wildcards):
    """`pattern` once for each shard of the pool."""
    return expand(pattern, shard=shards(wildcards["pool"]), **wildcards)


def per_seed(file, detectors):
    """One of the files of each detector and seed, in that order."""
    return [
        path
        for detector in detectors
        for path in expand(
            f"<results>/detectors/{{train_set}}/{{supervision}}/{{backbone}}/seed-{{seed}}/{file}",
            **detector._asdict(),
            seed=config["detectors"]["seeds"],
        )
    ]


def of_seeds(detectors):
    """The detector of each path of `per_seed`."""
    return [list(detector) for detector in detectors for _ in config["detectors"]["seeds"]]


def label_policy(wildcards):
    """Of the counts that are accepted, its own alone: accepting one split's leaves the others as they are."""
    accepted = config["labels"]["accept_count"].get(wildcards.split)
    return config["labels"] | {"accept_count": {wildcards.split: accepted} if accepted else {}}


def training_images(wildcards):
    if wildcards.supervision == "human":
        return ["<results>/sets/richhf-human.parquet"]
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
    shared = ("seeds", "iterations", "selector_iterations", "gpus")
    settings = {key: value for key, value in config["detectors"].items() if key not in shared}
    human = wildcards.supervision == "human"
    return settings | {"iterations": config["detectors"]["selector_iterations" if human else "iterations"]}


def previous_inversion(wildcards):
    """The trajectory is stored every `schedule.stride` steps and continued from there."""
    n = int(wildcards.n)
    if n == 0:
        return []
    previous = steps.before(n, config["schedule"]["stride"])
    return f"<results>/inversion/{wildcards.pool}/{wildcards.shard}/{previous}.safetensors"


def recipe_inversion(wildcards):
    n = experiments.depth(config, wildcards.recipe)
    return f"<results>/inversion/{wildcards.pool}/{wildcards.shard}/{n}.safetensors"


def corruption_code(wildcards):
    """A recipe depends on its own method's code and no other's."""
    return fingerprint("scripts/corrupt.py", f"corruption.methods.{config['recipes'][wildcards.recipe]['method']}")


def clean(pools):
    """The clean images of several pools, shard by shard."""
    return [path for pool in pools for path in per_shard("<results>/pools/{pool}/{shard}.parquet", pool=pool)]


def corrupted(corrupted_pools, ending):
    """One of the files of several corrupted pools, shard by shard."""
    pattern = f"<results>/corrupted/{{pool}}/{{recipe}}/{{backbone}}/{{shard}}{ending}"
    return [path for corrupted_pool in corrupted_pools for path in per_shard(pattern, **corrupted_pool._asdict())]


def of_pools(pools):
    """The pool of each path of `clean`."""
    return [pool for pool in pools for _ in shards(pool)]


def of_shards(names):
    """What each path of `corrupted` is of: names are tuples that begin with the pool."""
    return [list(name) for name in names for _ in shards(name[0])]


def sheet_images(wildcards):
    return corrupted(experiments.shown(config, [wildcards.recipe]), ".parquet")


def sheet_strength(wildcards):
    return corrupted(experiments.shown(config, [wildcards.recipe]), ".csv")


def table_detectors(wildcards):
    return experiments.detectors({wildcards.table: config["tables"][wildcards.table]})


def table_metrics(wildcards):
    return per_seed("metrics.json", table_detectors(wildcards))


def table_cards(wildcards):
    return per_seed("card.json", table_detectors(wildcards))


def table_names(wildcards):
    return of_seeds(table_detectors(wildcards))


def picture(name, category, **labels):
    """A figure as PNG, which the report shows under the caption of the same name, and as PDF."""
    caption, path = f"../workflow/report/{name}.rst", f"<results>/figures/{name}"
    png = report(f"{path}.png", category=category, caption=caption, labels=labels)
    return [png, f"{path}.pdf"]


def beside_clean(corrupted_pools):
    """What a figure of corrupted pools beside the clean images is drawn from."""
    return {
        "clean": clean(dict.fromkeys(c.pool for c in corrupted_pools)),
        "corrupted": corrupted(corrupted_pools, ".parquet"),
        "strength": corrupted(corrupted_pools, ".csv"),
    }


def shown_images(corrupted_pools, images, choice="drawn"):
    """What those files are of, how many images of a pool are shown, and which: drawn by seed, or least_changed."""
    return {
        "pools": of_pools(dict.fromkeys(c.pool for c in corrupted_pools)),
        "corrupted": of_shards(corrupted_pools),
        "images": images,
        "choice": choice,
        "seed": config["seed"],
        "code": fingerprint("scripts/figure_methods.py"),
    }
