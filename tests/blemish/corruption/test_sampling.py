import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from blemish.corruption.sampling import random_generator, resample, standard_normal
from blemish.corruption.schedule import Schedule

CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
SCHEDULE = Schedule.from_config(CONFIG, 50)


def denoiser(z, t, c):
    return torch.sin(z + c) * (1 + t / 1000)


def test_resampling_is_diffusers_ddim():
    z, c = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    scheduler = DDIMScheduler(**CONFIG)
    scheduler.set_timesteps(50)
    expected = z
    for t in scheduler.timesteps[-10:]:
        expected = scheduler.step(denoiser(expected, int(t), c), t, expected).prev_sample
    torch.testing.assert_close(resample(z, 10, c, denoiser, SCHEDULE), expected, rtol=0, atol=1e-4)


def test_no_step_changes_nothing():
    z = torch.ones(1, 4, 8, 8)
    assert resample(z, 0, z, None, SCHEDULE) is z


def test_noise_depends_on_the_samples_own_generator():
    def draw(*seeds):
        return standard_normal(torch.zeros(len(seeds), 4, 8, 8), [torch.Generator().manual_seed(s) for s in seeds])

    assert torch.equal(draw(1, 2, 3)[1], draw(2)[0])
    assert not torch.equal(draw(1), draw(2))


def test_random_numbers_follow_from_all_the_names():
    draws = {
        torch.rand((), generator=random_generator(*names)).item()
        for names in [(0, "a", "b"), (1, "a", "b"), (0, "b", "a"), (0, "ab"), (0, "a", "c")]
    }
    assert len(draws) == 5
    again = torch.rand((), generator=random_generator(0, "a", "b")).item()
    assert again in draws
