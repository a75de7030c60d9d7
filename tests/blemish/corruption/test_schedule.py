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
    ("change", "named"),
    [
        ({"prediction_type": "v_prediction"}, "prediction_type"),
        ({"timestep_spacing": "trailing"}, "timestep_spacing"),
        ({"clip_sample": True}, "clip_sample"),
        ({"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
        ({"beta_schedule": "squaredcos_cap_v2"}, "beta_schedule"),
    ],
)
def test_a_model_that_cannot_be_inverted_is_refused(change, named):
    with pytest.raises(UserError, match=named):
        Schedule.from_config(STABLE_DIFFUSION | change, 50)


@pytest.mark.parametrize("steps", [0, -3, 1000, 1001])
def test_a_number_of_steps_that_does_not_fit_is_refused(steps):
    with pytest.raises(UserError, match="do not fit"):
        Schedule.from_config(STABLE_DIFFUSION, steps)


def test_trained_betas_are_used():
    betas = np.linspace(0.001, 0.01, 1000)
    config = STABLE_DIFFUSION | {"beta_schedule": "linear", "beta_start": 0.001, "beta_end": 0.01}
    trained = Schedule.from_config(STABLE_DIFFUSION | {"trained_betas": betas.tolist()}, 50)
    np.testing.assert_allclose(trained.alpha_bar, Schedule.from_config(config, 50).alpha_bar, rtol=1e-5)
