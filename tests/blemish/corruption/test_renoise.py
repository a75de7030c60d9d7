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


@pytest.mark.parametrize(("height", "width"), [(6, 6), (8, 12), (12, 8), (10, 10)])
def test_latents_that_cannot_be_regularised_are_refused_with_their_size(height, width):
    e = torch.zeros(1, 4, height, width)
    with pytest.raises(UserError, match=f"not {height}x{width}. Choose another image size, or renoise.reg_steps: 0"):
        regularise(e, e, renoise(), seeded([1]))


@pytest.mark.parametrize("level", [0.5, -0.5])
def test_the_kl_terms_gradient_where_the_patches_are_flat(level):
    """No pixel differs from its patch's mean: what is left is the means' difference over eps."""
    e = torch.full((1, 4, 8, 8), level)
    expected = 2 / 16 * level / 1e-6
    torch.testing.assert_close(patch_kl_gradient(e, 0 * e), torch.full_like(e, expected), rtol=1e-5, atol=0)
    textured = a_batch(8, count=1)[0]
    close = gradient(kl_loss, textured, e.double())
    torch.testing.assert_close(patch_kl_gradient(textured, e), close, rtol=1e-4, atol=1e-4 * close.abs().max())


@pytest.mark.parametrize("level", [1.0, -1.0])
def test_the_kl_terms_gradient_moves_a_prediction_by_a_hundred_at_most(level):
    """The flat patches' gradient is 125,000; descents of 0.005 times 100, either way."""
    e = torch.full((1, 4, 8, 8), level)
    for steps, expected in ((1, level / 2), (2, 0.0)):
        found = regularise(e, 0 * e, renoise(reg_steps=steps, lambda_kl=0.005, lambda_pair=0), seeded([1]))
        torch.testing.assert_close(found, torch.full_like(e, expected), rtol=0, atol=1e-6)


def in_words(z, n, z0, noise, c, chosen, generator):
    """Step n of one sample as the description has it, one thing after the other, with the losses' own gradients."""
    before, after = SCHEDULE.alpha_bar[n - 1], SCHEDULE.alpha_bar[n]
    t = SCHEDULE.timesteps[n - 1]
    early = t < chosen.early_below
    first, end = chosen.average_early if early else chosen.average_late
    reference = z0 if chosen.reference == "clean" else after**0.5 * z0 + (1 - after) ** 0.5 * noise

    def noisier(e):
        clean = (z - (1 - before) ** 0.5 * e) / before**0.5
        return after**0.5 * clean + (1 - after) ** 0.5 * e

    def uncorrelated(e):
        if not chosen.reg_steps:
            return e
        shifts = draw_shifts(e.shape, chosen, [generator])
        for k in range(chosen.reg_steps):
            if chosen.lambda_kl:
                wanted = curved(reference, t, c).double()
                e = e - chosen.lambda_kl * gradient(kl_loss, e, wanted).clip(-100, 100)
            for roll in range(chosen.pair_rolls if chosen.lambda_pair else 0):
                e = e - chosen.lambda_pair / chosen.pair_rolls * gradient(pair_loss, e, shifts[k, roll])
        return e

    x, averaged = z, []
    for i in range(1 + (min(chosen.R, chosen.R_early) if early else chosen.R)):
        e = curved(x, t, c)
        if first <= i < end:
            averaged.append(e)
        if i >= first or (i > 0 and not chosen.average):
            e = uncorrelated(e)
        x = noisier(e)
    if chosen.average and averaged:
        x = noisier(uncorrelated(torch.stack(averaged).mean(0)))
    return x


REGULAR = {"reg_steps": 2, "pair_rolls": 2, "early_below": 100}


@pytest.mark.parametrize(
    "changes",
    [
        {"R": 2, "R_early": 1},
        {"R": 1, "R_early": 2},
        {"R": 0},
        {"R": 3, "average_early": (1, 3), "average_late": (2, 3)},
        {"R": 2, "average_early": (2, 3), "average_late": (0, 1)},
        {"R": 2, "average": False, "average_late": (1, 2)},
        {"R": 2, "average": False, "average_early": (2, 3), "reg_steps": 1},
        {"R": 0, "average": False},
        {"R": 1, "reg_steps": 1, "reference": "noised"},
        {"R": 1, "lambda_kl": 0},
        {"R": 1, "lambda_pair": 0, "lambda_kl": 2},
        {"R": 1, "lambda_pair": 0.7, "lambda_kl": 0.01},
        {"R": 1, "lambda_pair": 0, "lambda_kl": 0},
        {"R": 2, "average": False, "reg_steps": 0},
    ],
)
@pytest.mark.parametrize("n", [5, 6])
def test_a_step_is_that_of_the_description(changes, n):
    """Timesteps 81 and 101, of which the first is early."""
    chosen = renoise(**REGULAR | changes)
    z, c = a_batch(8, count=1)
    z0, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    found = invert(z0, c, curved, SCHEDULE, chosen, [n], seeded([3]), start=(n - 1, z), noise=noise)[n]
    expected = in_words(z, n, z0, noise, c, chosen, *seeded([3]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("early_below", "evaluations"), [(22, 1), (21, 3), (20, 3)])
def test_a_timestep_at_the_bound_is_not_early(early_below, evaluations):
    z0, c = a_batch(8, count=1)
    counting = Counting(curved)
    chosen = renoise(R=2, R_early=0, early_below=early_below, reg_steps=0)
    invert(z0, c, counting, SCHEDULE, chosen, [2], seeded([1]), start=(1, z0))  # at timestep 21
    assert counting.samples == evaluations


def test_a_condition_of_several_tensors_goes_with_its_samples():
    """As Stable Diffusion XL has it."""
    z0, c = a_batch(8)

    def of_two(z, t, c):
        words, whole = c
        return curved(z, t, words + whole.view(-1, 1, 1, 1))

    chosen = renoise(reg_steps=1, pair_rolls=1)
    one = invert(z0, c, curved, SCHEDULE, chosen, [2], seeded([1, 2, 3]))[2]
    several = invert(z0, (0.25 * c, 0.75 * c.view(3, 1)), of_two, SCHEDULE, chosen, [2], seeded([1, 2, 3]))[2]
    torch.testing.assert_close(several, one, rtol=0, atol=1e-4)


def test_what_is_kept_is_what_was_asked_for():
    z0, c = a_batch(8)
    far = invert(z0, c, curved, SCHEDULE, PLAIN, [3, 1], seeded([1, 2, 3]))
    assert far.keys() == {1, 3}
    near = invert(z0, c, curved, SCHEDULE, PLAIN, [1], seeded([1, 2, 3]))
    assert torch.equal(near[1], far[1])
    assert invert(z0, c, None, SCHEDULE, PLAIN, [1, 3], seeded([1, 2, 3]), start=(3, far[3])) == {}


def test_nothing_asked_for_costs_nothing():
    z0, c = a_batch(8)
    assert invert(z0, c, None, SCHEDULE, renoise(), [], seeded([1, 2, 3])) == {}
