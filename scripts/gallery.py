"""The gallery: images drawn by seed from every corrupted set of the run, with what its detector sees, in one page."""


def gallery(clean, corrupted, strength, weights, parts, sets, trained, backbones, images, seed, threshold, out, **how):
    from blemish.detection.predict import probabilities
    from blemish.detection.settings import Backbone, Inference
    from blemish.report import figures
    from blemish.report.gallery import content, page

    names = [tuple(name) for name in sets]
    pools = figures.split(clean, parts)
    shards = {name: parts[name[0]] for name in names}
    results, measures = figures.split(corrupted, shards), figures.split(strength, shards)
    detectors = {tuple(name): path for name, path in zip(trained, weights, strict=True)}
    shown = [
        content.CorruptedSet(*name, pools[name[0]], results[name], measures[name], detectors.get(name))
        for name in names
    ]

    def predict(group, records):
        return probabilities(group.weights, Backbone(**backbones[group.backbone]), records, Inference(**how))

    page.write(out, content.collect(shown, images, seed, predict, threshold), threshold)


if __name__ == "__main__":
    from blemish.jobs.run import run

    inputs = ("clean", "corrupted", "strength", "weights")
    params = ("parts", "sets", "trained", "backbones", "images", "seed", "threshold", "batch_size", "device", "amp")
    with run(snakemake):
        gallery(
            **{name: snakemake.input[name] for name in inputs},
            **{name: snakemake.params[name] for name in params},
            out=snakemake.output[0],
        )
