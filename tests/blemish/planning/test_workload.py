from collections import Counter

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paper import recipe, renoise

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.cost import alone, evaluations, shared
from blemish.corruption.invert import invert_shard
from blemish.corruption.latents import Latents
from blemish.corruption.reconstruct import reconstruct_shard
from blemish.corruption.renoise import invert
from blemish.corruption.sampling import Counting, resample
from blemish.corruption.schedule import Schedule
from blemish.experiments import before, stored
from blemish.jobs.fingerprint import ROOT
from blemish.planning.workload import STAGES, Sizes, read_graph, work
from blemish.report import tables

SCHEDULE = Schedule.from_config({"beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}, 50)
CONFIG = {name: yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("corruptions", "tables")}
RECIPES = CONFIG["corruptions"]["recipes"]


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

    assert shared([2, 3], 2, renoise(), schedule) == count([(0, 2), (2, 3)])
    assert alone([2, 3], renoise(), schedule) == count([(0, 2), (0, 3)])


@pytest.mark.parametrize(
    ("depths", "expected"),
    [([10, 20], [0, 5, 10, 15, 20]), ([7], [0, 5, 7]), ([7, 10], [0, 5, 7, 10]), ([0], [0]), ([], [])],
)
def test_what_is_stored_is_the_way_to_the_deepest(depths, expected):
    assert stored(depths, 5) == expected
    assert all(before(n, 5) in expected for n in expected if n)


@pytest.mark.parametrize(("pool", "most", "most_alone"), [("hps", 280, 880), ("richhf-7701", 160, 400)])
def test_tables_1_to_4_cost_at_most_what_was_promised(pool, most, most_alone):
    """At R = 1. With a reference at every step it is exactly that; late steps do without."""
    made = [d for d in tables.detectors(CONFIG["tables"]["tables"]) if d.train_set == pool and d.supervision in RECIPES]
    depths = [50 - RECIPES[d.supervision]["step"] for d in made]
    always = renoise(early_below=1000)
    assert shared(depths, 5, always, SCHEDULE) == most
    assert alone(depths, always, SCHEDULE) == most_alone
    assert shared(depths, 5, renoise(), SCHEDULE) < most
    assert alone(depths, renoise(), SCHEDULE) < most_alone


def graph_of(*files):
    return read_graph([f"results/x/{file}" for file in files], "results/x")


def config(**pools):
    return {
        "pools": {name: {"shards": shards} for name, shards in pools.items()},
        "recipes": {"proposed-48": {"method": "proposed", "step": 48}},
        "schedule": {"stride": 5},
        "detectors": {"iterations": 10, "selector_iterations": 3, "batch_size": 4},
    }


def sizes(**images):
    return Sizes(images=images, image=100, mask=10, latent=64, weights=1000, sources=0)


def total(jobs):
    return sum(jobs, Counter())


def test_only_files_that_stand_for_jobs_are_counted():
    graph = graph_of(
        *(f"corrupted/hps/proposed-48/swin-t/0.{ending}" for ending in ("parquet", "latents.csv", "csv")),
        *("detectors/hps/pseudo/swin-t/seed-0/weights.safetensors", "detectors/hps/pseudo/swin-t/seed-0/card.json"),
        *("inversion/hps/1/0.safetensors", "inversion/hps/1/2.safetensors", "pools/hps/ledger.csv"),
    )
    counted = {stage: len(jobs) for stage, jobs in graph.items() if jobs}
    assert counted == {"corruption": 1, "detectors": 1, "inversion": 2}
    assert graph["corruption"] == [{"pool": "hps", "recipe": "proposed-48", "backbone": "swin-t"}]


def test_a_pool_without_recipes_costs_nothing():
    done = work(graph_of(), config(hps=2), sizes(hps=100, test=5), renoise(), SCHEDULE)
    assert tuple(done) == STAGES
    assert not any(total(jobs).total() for jobs in done.values())
    assert shared([], 5, renoise(), SCHEDULE) == alone([], renoise(), SCHEDULE) == 0


def test_training_and_evaluation_are_counted_in_images():
    graph = graph_of(
        "detectors/richhf-100/human/swin-t/seed-0/weights.safetensors",
        "detectors/hps/pseudo/swin-t/seed-0/weights.safetensors",
        "detectors/hps/pseudo/swin-t/seed-0/metrics.json",
        "regions/hps/swin-t/1.parquet",
    )
    done = work(graph, config(hps=2), sizes(hps=100, test=5), renoise(), SCHEDULE)
    assert total(done["selector"]) == {"started": 1, "trained/swin-t": 3 * 4, "bytes": 1000}
    assert total(done["detectors"]) == {"started": 1, "trained/swin-t": 10 * 4, "bytes": 1000}
    assert total(done["evaluation"]) == {"started": 1, "segmented/swin-t": 5}
    assert total(done["regions"]) == {"started": 1, "segmented/swin-t": 50, "bytes": 500}


def test_a_shards_work_is_what_its_jobs_count_and_write(tmp_path, engine, shard):
    files, previous = {n: tmp_path / f"{n}.safetensors" for n in (0, 2)}, None
    for n, out in files.items():
        invert_shard(shard[0], previous, out, engine, renoise(), n)
        previous = out
    reconstructed, out, latents = (tmp_path / name for name in ("clean.parquet", "out.parquet", "latents.csv"))
    reconstruct_shard(shard[0], files[0], reconstructed, engine)
    corrupt_shard(reconstructed, shard[1], files[2], out, latents, engine, "proposed-48", recipe(), "any")
    spent = pd.read_csv(latents)["evaluations"]

    names = ["inversion/hps/0/0.safetensors", "inversion/hps/0/2.safetensors", "reconstructed/hps/0.parquet"]
    graph = graph_of(*names, "corrupted/hps/proposed-48/swin-t/0.parquet")
    done = work(graph, config(hps=1), sizes(hps=5), renoise(), engine.schedule)
    (inversion,) = done["inversion"]  # one after the other
    assert inversion["inverted"] == Latents(files[2]).evaluations
    assert inversion["started"] == 2 and inversion["encoded"] == 5
    assert inversion["bytes"] == pytest.approx(sum(file.stat().st_size for file in files.values()), rel=0.05)
    assert total(done["reconstruction"]) == {"started": 1, "decoded": 5, "bytes": 500}
    assert total(done["corruption"])["resampled"] * 4 / 5 == spent.sum()  # one of five masks is empty
    assert total(done["corruption"])["decoded"] == 5
