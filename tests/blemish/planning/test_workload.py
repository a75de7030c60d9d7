from collections import Counter

import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paper import recipe, renoise

from blemish.config.load import load
from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.cost import alone, evaluations, shared
from blemish.corruption.invert import invert_shard
from blemish.corruption.latents import Latents
from blemish.corruption.reconstruct import reconstruct_shard
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import Counting, resample
from blemish.corruption.schedule import Schedule
from blemish.experiments import depth, detectors
from blemish.planning.workload import STAGES, Sizes, work

SCHEDULE = Schedule.from_config({"beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}, 50)
CONFIG = load()


def ranges():
    return st.tuples(st.integers(0, 4), st.integers(0, 4))


@example(renoise(average=False, average_early=(3, 4), lambda_pair=0.0, reg_steps=1), 0, 2)
@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        renoise,
        R=st.integers(0, 6),
        R_early=st.integers(0, 5),
        early_below=st.sampled_from([0, 30, 1000]),
        average=st.booleans(),
        average_early=ranges(),
        average_late=ranges(),
        reg_steps=st.integers(0, 1),
        lambda_kl=st.sampled_from([0.0, 0.065]),
        lambda_pair=st.just(0.0),
    ),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_the_count_is_what_an_inversion_evaluates(renoise, first, further):
    denoiser = Counting(lambda z, t, c: 0.9 * z)
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    n = first + further
    invert(z, torch.zeros(2, 1, 1), denoiser, SCHEDULE, renoise, [n], generators, start=(first, z))
    assert denoiser.samples == 2 * evaluations(first, n, renoise, SCHEDULE)


def test_sharing_and_not_sharing_cost_what_a_model_evaluates(diffusion):
    """Two recipes, of two and of three steps; the trajectory is stored every two."""
    schedule, z, c = diffusion.schedule(50), torch.zeros(1, 4, 8, 8), diffusion.embed(["a face"])

    def count(parts):
        denoiser = Counting(diffusion.denoiser)
        for first, n in parts:
            invert(z, c, denoiser, schedule, renoise(), [n], [torch.Generator()], start=(first, z))
        for n in (2, 3):
            resample(z, n, c, denoiser, schedule)
        return denoiser.samples

    assert shared([2, 3], 2, renoise(), schedule, 1.0) == count([(0, 2), (2, 3)])
    assert alone([2, 3], renoise(), schedule, 1.0) == count([(0, 2), (0, 3)])


@pytest.mark.parametrize(("pool", "most", "most_alone"), [("hps", 280, 880), ("richhf", 160, 400)])
def test_tables_1_to_4_cost_at_most_what_was_promised(pool, most, most_alone):
    """At R = 1. With a reference at every step it is exactly that; late steps do without."""
    made = [d for d in detectors(CONFIG["tables"]) if d.train_set == pool and d.supervision in CONFIG["recipes"]]
    depths = [depth(CONFIG, detector.supervision) for detector in made]
    always = renoise(early_below=1000)
    assert shared(depths, 5, always, SCHEDULE, 1.0) == most
    assert alone(depths, always, SCHEDULE, 1.0) == most_alone
    assert shared(depths, 5, renoise(), SCHEDULE, 1.0) < most
    assert alone(depths, renoise(), SCHEDULE, 1.0) < most_alone


def config(rows, **pools):
    """Three iterations of the selector, ten of the others; the rows say what is trained, on Swin-T."""
    table = {"columns": [{"label": "IoU", "backbone": "swin-t"}], "rows": [{"label": str(row), **row} for row in rows]}
    return {
        "pools": {name: {"shards": shards} for name, shards in pools.items()},
        "recipes": {"proposed-48": {"method": "proposed", "step": 48}},
        "schedule": {"steps": 50, "stride": 5},
        "corruption": {"guidance": 1.0},
        "detectors": {"iterations": 10, "selector_iterations": 3, "batch_size": 4, "seeds": [0]},
        "backbones": {"swin-t": {}},
        "figures": {"recipe": "proposed-48"},
        "tables": {"mine": table} if rows else {},
    }


def sizes(**images):
    known = {"train": 0, "test": 5, "human": 0}
    return Sizes(images=known | images, image=100, mask=10, latent=64, weights=1000, sources=0)


def total(jobs):
    return sum(jobs, Counter())


def test_training_and_evaluation_are_counted_in_images():
    rows = [{"train_set": "hps", "supervision": "pseudo"}, {"train_set": "hps", "supervision": "proposed-48"}]
    done = work(config(rows, hps=2), sizes(hps=100), renoise(), SCHEDULE)
    assert tuple(done) == STAGES
    # The selector is in no cell of the table.
    assert total(done["selector"]) == {"started": 1, "trained/swin-t": 3 * 4, "bytes": 1000}
    assert total(done["detectors"]) == {"started": 2, "trained/swin-t": 2 * 10 * 4, "bytes": 2000}
    assert total(done["evaluation"]) == {"started": 2, "segmented/swin-t": 2 * 5}
    assert total(done["regions"]) == {"started": 2, "segmented/swin-t": 100, "bytes": 1000}


def test_every_seed_is_trained_and_evaluated_and_one_selects():
    rows = [{"train_set": "hps", "supervision": "pseudo"}]
    one = config(rows, hps=2)
    three = one | {"detectors": one["detectors"] | {"seeds": [5, 0, 7]}}
    found = [work(c, sizes(hps=100), renoise(), SCHEDULE) for c in (one, three)]
    jobs = [{stage: len(parts) for stage, parts in done.items()} for done in found]
    assert jobs[1] == jobs[0] | {"detectors": 3, "evaluation": 3}


def test_what_is_shown_is_made_without_a_table():
    """The work of a pool's shards is the pool's, however it is cut."""
    whole, cut = (work(config([], hps=shards), sizes(hps=100), renoise(), SCHEDULE) for shards in (1, 4))
    assert (len(whole["corruption"]), len(cut["corruption"])) == (1, 4)
    for stage in STAGES:
        a, b = total(whole[stage]), total(cut[stage])
        del a["started"], b["started"]
        assert a == b, stage
    assert total(whole["corruption"])["resampled"] == 100 * 2 and not whole["detectors"]


def test_guidance_takes_two_evaluations_a_step():
    once = config([], hps=1)
    twice = once | {"corruption": {"guidance": 7.5}}
    resampled = [total(work(c, sizes(hps=100), renoise(), SCHEDULE)["corruption"])["resampled"] for c in (once, twice)]
    assert resampled == [200, 400]
    unguided, guided = (shared([2], 5, renoise(), SCHEDULE, scale) for scale in (1.0, 7.5))
    assert guided == unguided + 2
    assert alone([2], renoise(), SCHEDULE, 7.5) == guided


def test_a_shards_work_is_what_its_jobs_count_and_write(tmp_path, engine, shard):
    files, previous = {n: tmp_path / f"{n}.safetensors" for n in (0, 2)}, None
    for n, out in files.items():
        invert_shard(shard[0], previous, out, engine, renoise(), n)
        previous = out
    reconstructed, out, latents = (tmp_path / name for name in ("clean.parquet", "out.parquet", "latents.csv"))
    reconstruct_shard(shard[0], files[0], reconstructed, engine)
    corrupt_shard(reconstructed, shard[1], files[2], out, latents, engine, "proposed-48", recipe(), "any", 1.0)
    spent = pd.read_csv(latents)["evaluations"]

    done = work(config([], hps=1), sizes(hps=5), renoise(), engine.schedule)
    (inversion,) = done["inversion"]  # one after the other
    assert inversion["inverted"] == Latents(files[2]).evaluations
    assert inversion["started"] == 2 and inversion["encoded"] == 5
    assert inversion["bytes"] == pytest.approx(sum(file.stat().st_size for file in files.values()), rel=0.05)
    assert total(done["reconstruction"]) == {"started": 1, "decoded": 5, "written": 5, "bytes": 500}
    assert total(done["corruption"])["resampled"] * 4 / 5 == spent.sum()  # one of five masks is empty
    assert total(done["corruption"])["decoded"] == 5
