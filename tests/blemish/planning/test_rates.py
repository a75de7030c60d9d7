import math
from collections import Counter

import pytest

from blemish.config.load import ROOT
from blemish.data.digests import digest
from blemish.planning.forecast import load
from blemish.planning.rates import Rates, all_rates, duration, hours, written


@pytest.fixture(scope="module")
def paper():
    return load([])


def engine(config, **changes):
    """A benchmark file of benchmarks/engine.py, as far as it is read."""
    speed = {
        "inversion_evaluations_per_s": 10.0,
        "resampling_evaluations_per_s": 20.0,
        "encoded_per_s": 30.0,
        "decoded_per_s": 40.0,
    }
    known = {
        "kind": config["device"],
        "device": "NVIDIA H200",
        "matrix_peak_tflops": 700.0,
        "repo": config["sources"]["diffusion"]["repo"],
        "image_side": config["resolution"],
        "dtype": config["dtype"],
        "sweep": [{"batch": batch, "images_per_s": batch, **speed} for batch in (1, 32)]
        + [{"batch": 64, "images_per_s": 64} | dict.fromkeys(speed, 1000.0)],
    }
    return known | changes


def training(config, **changes):
    """The same of benchmarks/detectors.py."""
    known = {
        "kind": config["device"],
        "device": "NVIDIA H200",
        "matrix_peak_tflops": 700.0,
        "size": config["resolution"],
        "batch_size": config["detectors"]["batch_size"],
        "dtype": config["detectors"]["amp"] or "float32",
        "backbones": {
            name: {"network": digest(backbone["config"], backbone["overrides"]), "images_per_second": 50.0}
            for name, backbone in config["backbones"].items()
        },
    }
    return known | changes


def by_device(config, **benchmarks):
    return {rates.device: rates for rates in all_rates(config, benchmarks)}


def test_without_figures_a_gpus_speed_is_a_share_of_its_peak_and_says_so(paper):
    found = by_device(paper)
    assert set(found) == {"NVIDIA H200", "NVIDIA RTX A5000"}
    rates = found["NVIDIA H200"]
    assert rates.per_second["inverted"] * 0.803 == pytest.approx(0.45 * 788)
    assert rates.per_second["resampled"] * 0.803 == pytest.approx(0.55 * 788)
    assert rates.per_second["trained/swin-t"] / 8 * 11.35 == pytest.approx(0.40 * 788, rel=0.01)
    assert all("not measured" in origin for origin in rates.origins.values())


def test_figures_of_the_configured_networks_take_the_place_of_aims(paper):
    rates = by_device(paper, a=engine(paper), b=training(paper))["NVIDIA H200"]
    measured = {"inverted": 10, "resampled": 20, "encoded": 30, "decoded": 40, "trained/swin-t": 50}
    assert rates.per_second | measured == rates.per_second
    assert "not measured" not in " ".join(rates.origins.values())
    assert rates.origins["engine"].endswith("a") and rates.origins["training"].endswith("b")


@pytest.mark.parametrize("change", [{"repo": "another"}, {"image_side": 1024}, {"dtype": "float32"}])
def test_figures_of_another_model_leave_the_measured_peak_alone(paper, change):
    rates = by_device(paper, a=engine(paper, **change))["NVIDIA H200"]
    assert rates.per_second["inverted"] * 0.803 == pytest.approx(0.45 * 700)
    assert "not measured" in rates.origins["engine"]


def test_a_narrower_detectors_figures_are_not_the_papers(paper):
    narrow = {"swin-t": {"network": digest("another", {}), "images_per_second": 50.0}}
    rates = by_device(paper, a=training(paper, backbones=narrow))["NVIDIA H200"]
    assert rates.per_second["trained/swin-t"] != 50 and "not measured" in rates.origins["training"]


def test_a_cpu_without_figures_is_not_guessed_at(paper):
    mini = load([ROOT / "config/mini.yaml"])
    assert by_device(mini, a=engine(paper), b=training(paper)) == {}
    (rates,) = all_rates(mini, {"a": engine(mini, device="a processor")})
    assert rates.device == "a processor"
    assert math.isnan(hours(Counter({"trained/swin-t": 1}), rates))
    assert hours(Counter(inverted=10 * 3600), rates) == pytest.approx(1)


def test_hours_add_up_and_bytes_take_none():
    rates = Rates("x", {"inverted": 2.0, "decoded": 5.0})
    assert hours(Counter(inverted=7200, decoded=18000, bytes=10**9), rates) == pytest.approx(2)
    assert hours(Counter(bytes=1), rates) == 0


def test_the_host_counts_where_it_is_the_slower():
    rates = Rates("x", {"started": 0.5, "decoded": 10.0, "written": 5.0})
    assert hours(Counter(started=1, decoded=10, written=10), rates) * 3600 == pytest.approx(2 + 2)
    assert hours(Counter(started=1, decoded=30, written=10), rates) * 3600 == pytest.approx(2 + 3)
    assert math.isnan(hours(Counter(resampled=1, written=10), rates))


def test_twice_the_threads_write_twice_the_images_and_larger_ones_slower(paper):
    twice = paper | {"corruption": paper["corruption"] | {"threads": 2 * paper["corruption"]["threads"]}}
    assert written(twice) == 2 * written(paper)
    assert written(paper | {"resolution": 1024}) == written(paper) / 4
    assert by_device(paper)["NVIDIA H200"].per_second["written"] == written(paper)


def test_stages_follow_one_another_and_jobs_share_the_devices():
    rates = Rates("x", {"inverted": 1 / 3600})
    stages = {"a": [Counter(inverted=n) for n in (1, 1, 2)], "b": [Counter(inverted=3)], "c": []}
    assert duration(stages, rates, 1) == pytest.approx(7)
    assert duration(stages, rates, 2) == pytest.approx(3 + 3)
    assert duration(stages, rates, 8) == pytest.approx(2 + 3)
