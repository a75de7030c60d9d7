"""The gallery: images drawn by seed from every corrupted pool, with what its detector sees, in one page."""


def gallery(
    clean: list[str],
    pools: list[str],
    corrupted: list[str],
    strength: list[str],
    names: list[list[str]],
    weights: list[str],
    trained_on: list[list[str]],
    backbones: dict,
    images: int,
    seed: int,
    threshold: float,
    inference: dict,
    out: str,
) -> None:
    """Draws `images` of each corrupted pool; `pools`, `names` and `trained_on` say of what each file is."""
    from blemish.detection.predict import probabilities
    from blemish.detection.settings import Backbone, Inference
    from blemish.experiments import CorruptedPool, group
    from blemish.report.gallery import content, page

    found = [CorruptedPool(*name) for name in names]
    detectors = dict(zip((CorruptedPool(*name) for name in trained_on), weights, strict=True))

    def predict(name, records):
        if name not in detectors:
            return ()
        return probabilities(detectors[name], Backbone(**backbones[name.backbone]), records, Inference(**inference))

    files = group(pools, clean), group(found, corrupted), group(found, strength)
    page.write(out, content.collect(*files, images, seed, predict, threshold), threshold)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        gallery(
            clean=snakemake.input.clean,
            pools=snakemake.params.pools,
            corrupted=snakemake.input.corrupted,
            strength=snakemake.input.strength,
            names=snakemake.params.corrupted,
            weights=snakemake.input.weights,
            trained_on=snakemake.params.trained_on,
            backbones=snakemake.params.backbones,
            images=snakemake.params.images,
            seed=snakemake.params.seed,
            threshold=snakemake.params.threshold,
            inference=snakemake.params.inference,
            out=snakemake.output[0],
        )
