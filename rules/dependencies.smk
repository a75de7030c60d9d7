# Who depends on what, where a pattern cannot say it: the input functions of the rules.

FIRST_BACKBONE = next(iter(config["backbones"]))  # whose regions figures and the strength table show


def shards(pool):
    return [str(i) for i in range(config["pools"][pool]["shards"])]


def own_images(wildcards):
    """What tells that an image was added or changed: Snakemake follows only files that it is told by name."""
    return LISTINGS[wildcards["pool"]]


def per_shard(pattern, **wildcards):
    """`pattern` once for each part of the pool."""
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


def runs(detectors):
    """[train set, supervision, backbone, seed] of each detector's results, in the order of `per_seed`."""
    return [[*detector, seed] for detector in detectors for seed in config["detectors"]["seeds"]]


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
    shared = ("seeds", "iterations", "selector_iterations", "gpus")
    settings = {key: value for key, value in config["detectors"].items() if key not in shared}
    human = wildcards.supervision == "human"
    return settings | {"iterations": config["detectors"]["selector_iterations" if human else "iterations"]}


def previous_inversion(wildcards):
    """The trajectory is stored every `schedule.stride` steps and continued from there."""
    n = int(wildcards.n)
    if n == 0:
        return []
    previous = experiments.before(n, config["schedule"]["stride"])
    return f"<results>/inversion/{wildcards.pool}/{wildcards.shard}/{previous}.safetensors"


def depth(recipe):
    """The number of steps that are inverted for a recipe."""
    return experiments.steps_inverted(config["recipes"][recipe]["step"], config["schedule"]["steps"])


def recipe_inversion(wildcards):
    return f"<results>/inversion/{wildcards.pool}/{wildcards.shard}/{depth(wildcards.recipe)}.safetensors"


def corruption_code(wildcards):
    """A recipe depends on its own method's code and no other's."""
    return fingerprint("scripts/corrupt.py", f"corruption.methods.{config['recipes'][wildcards.recipe]['method']}")


def corrupted(recipes, suffix, pool="hps"):
    """The files of several recipes of one pool, recipe by recipe."""
    return [
        path
        for recipe in recipes
        for path in per_shard(
            f"<results>/corrupted/{{pool}}/{{recipe}}/{{backbone}}/{{shard}}.{suffix}",
            pool=pool,
            recipe=recipe,
            backbone=FIRST_BACKBONE,
        )
    ]


def made_corruptions():
    """[pool, recipe, backbone] of all that detectors, figures and the strength table need."""
    trained = {tuple(detector) for detector in DETECTORS if detector.supervision in config["recipes"]}
    measured = {("hps", recipe, FIRST_BACKBONE) for recipe in config["recipes"]}
    shown = {(pool, config["figures"]["recipe"], FIRST_BACKBONE) for pool in config["pools"]}
    return [list(corruption) for corruption in sorted(trained | measured | shown)]


def trained_corruptions():
    """Those of them that a detector was trained on."""
    return [corruption for corruption in made_corruptions() if tuple(corruption) in DETECTORS]


def all_corrupted(suffix):
    """The files of all that is made, set by set."""
    return [
        path
        for pool, recipe, backbone in made_corruptions()
        for path in per_shard(
            f"<results>/corrupted/{{pool}}/{{recipe}}/{{backbone}}/{{shard}}.{suffix}",
            pool=pool,
            recipe=recipe,
            backbone=backbone,
        )
    ]


def made_inversions():
    """[pool, number of steps] of all trajectories that these need."""
    stride = config["schedule"]["stride"]
    return [
        [pool, n]
        for pool in config["pools"]
        for n in experiments.stored([depth(recipe) for name, recipe, _ in made_corruptions() if name == pool], stride)
    ]


def sheet_images(wildcards):
    return corrupted([wildcards.recipe], "parquet")


def sheet_strength(wildcards):
    return corrupted([wildcards.recipe], "csv")


def table_detectors(wildcards):
    return experiments.detectors({wildcards.table: config["tables"][wildcards.table]})


def table_metrics(wildcards):
    return per_seed("metrics.json", table_detectors(wildcards))


def table_runs(wildcards):
    return runs(table_detectors(wildcards))
