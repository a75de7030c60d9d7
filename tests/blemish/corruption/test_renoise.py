import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st
from paper import renoise

from blemish.corruption.renoise import draw_shifts, invert, pair_gradient, patch_kl_gradient, regularise
from blemish.corruption.sampling import Counting, resample
from blemish.corruption.schedule import Schedule
from blemish.errors import UserError

REFERENCE = Path(__file__).parents[2] / "data" / "renoise"
CASES = json.loads((REFERENCE / "cases.json").read_text())
CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
SCHEDULE = Schedule.from_config(CONFIG, 50)
COARSE = Schedule.from_config(CONFIG, 10)  # early timesteps in three steps
SHARED = ["average", "average_early", "average_late", "reg_steps", "lambda_kl", "lambda_pair", "pair_rolls"]
PLAIN = renoise(R=0, reg_steps=0)


@pytest.fixture(scope="module")
def unet():
    model = UNet2DConditionModel.from_pretrained(
        REFERENCE / "unet", use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
    )
    model.eval().requires_grad_(False)
    return lambda z, t, c: model(z, t, c, return_dict=False)[0]


@pytest.fixture(scope="module")
def inputs():
    arrays = np.load(REFERENCE / "inputs.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays}


def seeded(seeds):
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


def settings_of(case):
    return renoise(
        R=case["renoise_steps"],
        R_early=case["max_renoise_steps_early"],
        reference=case["reference_latent"],
        **{name: case[name] for name in SHARED},
    )


@pytest.mark.parametrize("rows", [slice(0, 3), slice(0, 1), slice(2, 3)], ids=["batch", "first", "last"])
@pytest.mark.parametrize("name", CASES)
@torch.inference_mode()
def test_reference_vectors(unet, inputs, name, rows):
    case, expected = CASES[name], np.load(REFERENCE / f"{name}.npz")
    deepest = 20 if rows == slice(0, 3) else 2
    at = {n: k for k, n in enumerate(expected["at"].tolist()) if 0 < n <= deepest}
    z0, c, seeds = (inputs[key][rows] for key in ("clean", "prompt", "seeds"))
    latents = invert(z0, c, unet, SCHEDULE, settings_of(case), list(at), seeded(seeds))
    tolerance = 1e-4 if case["reg_steps"] else 1e-5
    for n, k in at.items():
        reference = torch.from_numpy(expected["latents"][rows, k])
        assert (latents[n] - reference).abs().max() < tolerance


def curved(z, t, c):
    """A denoiser without weights: local, nonlinear, dependent on t and the condition."""
    return torch.tanh(z + 0.3 * z.roll(1, -1)) * (1 + t / 1000) + 0.1 * c


def a_batch(size=16, count=3):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(count, 4, size, size, generator=generator), torch.randn(count, 1, 1, 1, generator=generator)


@pytest.mark.parametrize(
    "chosen",
    [
        renoise(),
        renoise(R=9),
        renoise(R=9, average=False),
        renoise(reference="noised"),
        renoise(lambda_kl=0),
        renoise(lambda_pair=0),
    ],
)
def test_a_batch_gives_what_its_samples_give_alone(chosen):
    z0, c = a_batch()
    noise = torch.randn(z0.shape, generator=torch.Generator().manual_seed(1))
    together = invert(z0, c, curved, COARSE, chosen, [2, 5], seeded([1, 2, 3]), noise=noise)
    for i in range(3):
        one = slice(i, i + 1)
        alone = invert(z0[one], c[one], curved, COARSE, chosen, [2, 5], seeded([i + 1]), noise=noise[one])
        for n in (2, 5):
            torch.testing.assert_close(together[n][one], alone[n], rtol=0, atol=1e-4)


def test_going_on_is_one_long_run_bit_for_bit():
    z0, c = a_batch()
    long = invert(z0, c, curved, SCHEDULE, renoise(), [5, 14], seeded([1, 2, 3]))
    generators = seeded([1, 2, 3])
    short = invert(z0, c, curved, SCHEDULE, renoise(), [5], generators)
    further = invert(z0, c, curved, SCHEDULE, renoise(), [14], generators, start=(5, short[5]))
    assert torch.equal(short[5], long[5])
    assert further.keys() == {14}
    assert torch.equal(further[14], long[14])


def test_the_seed_matters_where_the_pair_term_does():
    z0, c = a_batch()
    one, other = (invert(z0, c, curved, SCHEDULE, renoise(), [2], seeded([s] * 3))[2] for s in (1, 2))
    assert not torch.equal(one, other)
    unpaired = renoise(lambda_pair=0)
    one, other = (invert(z0, c, curved, SCHEDULE, unpaired, [2], seeded([s] * 3))[2] for s in (1, 2))
    assert torch.equal(one, other)


@settings(deadline=None)
@given(st.integers(1, 20))
def test_plain_inversion_is_undone_by_resampling_where_the_noise_is_known(n):
    """With a denoiser that does not look at z, both directions see the same prediction."""
    z0, c = a_batch()
    known = torch.randn(z0.shape, generator=torch.Generator().manual_seed(3))

    def denoiser(z, t, c):
        return known * (1 + t / 1000)

    z = invert(z0, c, denoiser, SCHEDULE, PLAIN, [n], seeded([1, 2, 3]))[n]
    assert (z - z0).abs().max() > 0.01
    torch.testing.assert_close(resample(z, n, c, denoiser, SCHEDULE), z0, rtol=0, atol=1e-5)


def test_renoise_comes_closer_to_the_image_than_plain_inversion():
    z0, c = a_batch()
    errors = []
    for chosen in (PLAIN, renoise(reg_steps=0), renoise(R=9, average=False, reg_steps=0)):
        z = invert(z0, c, curved, SCHEDULE, chosen, [10], seeded([1, 2, 3]))[10]
        errors.append((resample(z, 10, c, curved, SCHEDULE) - z0).square().mean())
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(
    ("chosen", "n", "evaluations"),
    [
        (renoise(), 10, 30),
        (renoise(R=9), 10, 70),
        (PLAIN, 10, 10),
        (renoise(reg_steps=0), 10, 20),
        (renoise(lambda_kl=0), 10, 20),  # nothing needs the reference
        (renoise(), 20, 13 * 3 + 7 * 2),  # a late step at R = 1 averages and regularises nothing
    ],
)
def test_evaluations_per_sample(chosen, n, evaluations):
    z0, c = a_batch(size=8)
    counting = Counting(curved)
    invert(z0, c, counting, SCHEDULE, chosen, [n], seeded([1, 2, 3]))
    assert counting.samples == 3 * evaluations


def test_all_tables_cost_what_the_graph_promises():
    """HPS: one inversion, then steps 45, 40, 35, 30 (proposed) per backbone, and rotation, blur, gaussian at
    30.
    """
    z0, c = a_batch(size=8, count=1)
    counting = Counting(curved)
    latents = invert(z0, c, counting, SCHEDULE, renoise(), [5, 10, 15, 20], seeded([1]))
    for _backbone in range(2):
        for n in (5, 10, 15, 20, 20, 20, 20):
            resample(latents[n], n, c, counting, SCHEDULE)
    assert counting.samples <= 60 + 220


def pair_loss(x, shifts):
    """PAIR as the description has it: rolls, means and pools, sample by sample."""
    total = x.new_zeros(())
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            level = x[b, c]
            for k in range(len(shifts)):
                r = int(shifts[k, b, c])
                for axis in (0, 1):
                    total = total + (level * torch.roll(level, r, axis)).mean() ** 2
                level = F.avg_pool2d(level[None], 2)[0]
    return total


def kl_loss(e, e_opt):
    """PKL as the description has it."""
    patches = [F.unfold(x.flatten(0, 1)[:, None], 4, stride=4) for x in (e, e_opt)]  # (b * c, 16, patches)
    (v0, m0), (v1, m1) = (torch.var_mean(p, dim=1) for p in patches)
    return (torch.log((v1 + 1e-6) / (v0 + 1e-6)) + (v0 + (m0 - m1) ** 2) / (v1 + 1e-6) - 1).abs().sum()


def gradient(loss, x, *arguments):
    x = x.clone().double().requires_grad_(True)
    return torch.autograd.grad(loss(x, *arguments), x)[0].float()


@pytest.mark.parametrize("size", [4, 8, 12, 16, 20, 44, 64])
def test_the_pair_terms_gradient(size):
    x, _ = a_batch(size, count=2)
    shifts = draw_shifts(x.shape, renoise(), seeded([5, 6]))[0, 0]
    expected = gradient(pair_loss, x, shifts)
    torch.testing.assert_close(pair_gradient(x, shifts), expected, rtol=1e-4, atol=1e-4 * expected.abs().max())


@pytest.mark.parametrize("size", [4, 8, 12, 32])
def test_the_kl_terms_gradient(size):
    e, _ = a_batch(size)
    e_opt = 1.3 * e.flip(0) + 0.2
    expected = gradient(kl_loss, e, e_opt.double())
    torch.testing.assert_close(patch_kl_gradient(e, e_opt), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [8, 16, 24, 64, 96])
def test_shifts_are_those_of_one_draw_after_the_other(side):
    chosen = renoise(reg_steps=2, pair_rolls=3)
    shifts = draw_shifts(torch.Size([2, 4, side, side]), chosen, seeded([1, 2]))
    sides = [side // 2**level for level in range(shifts.shape[2])]
    assert sides[-1] <= 8 and all(s > 8 for s in sides[:-1])
    for sample, generator in enumerate(seeded([1, 2])):
        for step in range(2):
            for roll in range(3):
                for channel in range(4):
                    for level, s in enumerate(sides):
                        drawn = torch.randint(0, s // 2, (1,), generator=generator).item()
                        assert shifts[step, roll, level, sample, channel] == drawn


def test_regularisation_makes_a_prediction_less_correlated_with_itself():
    smooth = F.avg_pool2d(a_batch(16)[0], 3, 1, 1) * 3
    shifts = draw_shifts(smooth.shape, renoise(), seeded([1, 2, 3]))[0, 0]
    after = regularise(smooth, None, renoise(lambda_kl=0), seeded([1, 2, 3]))
    assert pair_loss(after, shifts) < 0.9 * pair_loss(smooth, shifts)


def test_what_cannot_be_inverted_is_refused():
    z0 = torch.zeros(1, 4, 8, 12)
    with pytest.raises(UserError, match="square"):
        invert(z0, torch.zeros(1, 1, 1, 1), curved, SCHEDULE, renoise(), [1], seeded([1]))


def test_nothing_asked_for_costs_nothing():
    z0, c = a_batch(8)
    assert invert(z0, c, None, SCHEDULE, renoise(), [], seeded([1, 2, 3])) == {}
