import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddim_inverse import DDIMInverseScheduler
from hypothesis import given
from hypothesis import strategies as st

from blemish.corruption.schedule import Schedule
from blemish.errors import UserError

STABLE_DIFFUSION = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}

configs = st.fixed_dictionaries(
    {
        "beta_start": st.floats(1e-4, 2e-3),
        "beta_end": st.floats(5e-3, 2e-2),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear"]),
        "num_train_timesteps": st.sampled_from([200, 1000]),
        "clip_sample": st.just(False),
        "set_alpha_to_one": st.booleans(),
        "steps_offset": st.sampled_from([0, 1]),
    }
)


@pytest.mark.parametrize(
    ("n", "t", "phi_prime", "p_prime", "phi", "psi"),
    [
        (5, 81, 0.957673, 0.287858, 1.012270, -0.045998),
        (10, 181, 0.884677, 0.466204, 1.018642, -0.041429),
        (15, 281, 0.788914, 0.614504, 1.026391, -0.043924),
        (20, 381, 0.674714, 0.738080, 1.035549, -0.048902),
        (50, 981, 0.075997, 0.997108, 1.122852, -0.123252),
    ],
)
def test_stable_diffusions_coefficients(n, t, phi_prime, p_prime, phi, psi):
    schedule = Schedule.from_config(STABLE_DIFFUSION, 50)
    assert schedule.timestep(n) == t
    computed = [schedule.phi_prime(n), schedule.p_prime(n), schedule.phi(n), schedule.psi(n)]
    np.testing.assert_allclose(computed, [phi_prime, p_prime, phi, psi], rtol=0, atol=5.1e-7)


@given(configs, st.sampled_from([10, 50]), st.data())
def test_a_step_is_that_of_diffusers_ddim(config, steps, data):
    schedule, scheduler = Schedule.from_config(config, steps), DDIMScheduler(**config)
    scheduler.set_timesteps(steps)
    assert list(schedule.timesteps) == scheduler.timesteps.tolist()[::-1]
    i = data.draw(st.integers(1, steps))
    z, e = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    ours = schedule.phi(i) * z + schedule.psi(i) * e
    theirs = scheduler.step(e, schedule.timestep(i), z, eta=0.0).prev_sample
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-5)


@given(st.integers(2, 50))
def test_an_inversion_step_is_that_of_diffusers_inverse_ddim(i):
    """diffusers' inverse visits the same timesteps one step behind; where both are defined they agree."""
    config = {**STABLE_DIFFUSION, "steps_offset": 0}
    schedule, scheduler = Schedule.from_config(config, 50), DDIMInverseScheduler(**config)
    scheduler.set_timesteps(50)
    t = schedule.timestep(i)
    z, e = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(i))
    ours = (z - schedule.psi(i) * e) / schedule.phi(i)
    torch.testing.assert_close(ours, scheduler.step(e, t, z).prev_sample, rtol=2e-6, atol=2e-5)


def test_the_image_latent_carries_no_noise():
    schedule = Schedule.from_config(STABLE_DIFFUSION, 50)
    assert (schedule.phi_prime(0), schedule.p_prime(0)) == (1.0, 0.0)


@given(st.integers(1, 50))
def test_signal_and_noise_have_unit_variance_together(n):
    schedule = Schedule.from_config(STABLE_DIFFUSION, 50)
    assert schedule.phi_prime(n) ** 2 + schedule.p_prime(n) ** 2 == pytest.approx(1)


@pytest.mark.parametrize(
    ("key", "wanted", "other"),
    [
        ("prediction_type", "epsilon", "v_prediction"),
        ("timestep_spacing", "leading", "trailing"),
        ("clip_sample", False, True),
        ("thresholding", False, True),
        ("rescale_betas_zero_snr", False, True),
    ],
)
def test_what_inversion_needs_may_be_said_or_left_out_but_not_contradicted(key, wanted, other):
    left_out = {k: v for k, v in STABLE_DIFFUSION.items() if k != key}
    assert Schedule.from_config(left_out | {key: wanted}, 50) == Schedule.from_config(left_out, 50)
    said = rf"{key}: {other}, .* needs {wanted}\. Choose .*, such as Stable Diffusion 1\.5"
    with pytest.raises(UserError, match=said):
        Schedule.from_config(left_out | {key: other}, 50)


def test_another_noise_schedule_is_refused():
    with pytest.raises(UserError, match=r"beta_schedule is squaredcos_cap_v2\. Choose .* linear or scaled_linear"):
        Schedule.from_config(STABLE_DIFFUSION | {"beta_schedule": "squaredcos_cap_v2"}, 50)


@pytest.mark.parametrize("steps", [0, -3, 1000, 1001])
def test_a_number_of_steps_that_does_not_fit_is_refused(steps):
    with pytest.raises(UserError, match="do not fit"):
        Schedule.from_config(STABLE_DIFFUSION, steps)


def test_trained_betas_are_used():
    betas = np.linspace(0.001, 0.01, 1000)
    config = STABLE_DIFFUSION | {"beta_schedule": "linear", "beta_start": 0.001, "beta_end": 0.01}
    trained = Schedule.from_config(STABLE_DIFFUSION | {"trained_betas": betas.tolist()}, 50)
    np.testing.assert_allclose(trained.alpha_bar, Schedule.from_config(config, 50).alpha_bar, rtol=1e-5)


def test_what_a_config_leaves_out_is_as_in_diffusers_but_for_the_last_abar():
    """1000 timesteps, linear betas from timestep 0 on; before the first step lies abar_0 rather than 1."""
    schedule = Schedule.from_config({"beta_start": 0.001, "beta_end": 0.01}, 50)
    abar = np.cumprod(1 - np.linspace(0.001, 0.01, 1000))
    assert schedule.timesteps == tuple(range(0, 1000, 20))
    np.testing.assert_allclose(schedule.alpha_bar, [abar[0], *abar[::20]], rtol=1e-4)


@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("offset", [32, 33, 34, 40])
def test_the_image_latents_abar_is_that_of_diffusers_on_either_side_of_the_stride(offset, to_one):
    """30 of 1000 steps have a stride of 33: an offset below it leaves no timestep before the first."""
    config = STABLE_DIFFUSION | {"steps_offset": offset, "set_alpha_to_one": to_one}
    abar = DDIMScheduler(**config).alphas_cumprod.tolist()
    first = {32: 1.0 if to_one else abar[0], 33: abar[0], 34: abar[1], 40: abar[7]}[offset]
    assert Schedule.from_config(config, 30).alpha_bar[0] == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("offset", [0, 1, 600])
def test_a_single_step_is_that_of_diffusers(offset):
    """Its stride is the whole schedule, so that no timestep lies before it, whatever the offset."""
    config = STABLE_DIFFUSION | {"steps_offset": offset}
    schedule, scheduler = Schedule.from_config(config, 1), DDIMScheduler(**config)
    scheduler.set_timesteps(1)
    abar = scheduler.alphas_cumprod.tolist()
    assert (schedule.steps, list(schedule.timesteps)) == (1, scheduler.timesteps.tolist())
    np.testing.assert_allclose(schedule.alpha_bar, [abar[0], abar[offset]], rtol=1e-6)


def test_there_may_be_as_many_steps_as_timesteps():
    schedule = Schedule.from_config(STABLE_DIFFUSION | {"steps_offset": 0}, 1000)
    assert schedule.timesteps == tuple(range(1000)) and len(set(schedule.alpha_bar)) == 1000


@pytest.mark.parametrize(
    "change", [{}, {"beta_schedule": "linear"}, {"trained_betas": np.linspace(0.001, 0.01, 1000).tolist()}]
)
def test_the_coefficients_do_not_depend_on_torchs_default_precision(change):
    usual = Schedule.from_config(STABLE_DIFFUSION | change, 50)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert Schedule.from_config(STABLE_DIFFUSION | change, 50) == usual
    finally:
        torch.set_default_dtype(default)
