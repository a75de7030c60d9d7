"""The coefficients of DDIM in the paper's letters (Eqs. 2, 4 and 6 with eta = 0).

An inversion step i = 1..steps leads from the latent after i - 1 steps to the latent after i steps, at
timestep t_i. Resampling (Eq. 6) takes the same steps backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from blemish.errors import UserError


@dataclass(frozen=True)
class Schedule:
    """DDIM over `steps` timesteps; the coefficients are float64.

    Attributes:
        timesteps: t_1 < ... < t_steps, the timesteps of the inversion steps.
        alpha_bar: abar after n = 0..steps inversion steps; the first belongs to the image latent.
    """

    timesteps: tuple[int, ...]
    alpha_bar: tuple[float, ...]

    @classmethod
    def from_config(cls, config: dict, steps: int) -> Schedule:
        """The DDIM schedule of a diffusers scheduler's config, whatever sampler it was saved for.

        Keys that are absent mean what they mean in Stable Diffusion's own config: leading spacing, epsilon
        prediction, no clipping, abar of the first training step as the last abar.

        Raises:
            UserError: the model predicts something else than the noise, clips, spaces its timesteps
                otherwise, or has fewer timesteps than `steps`.
        """
        wanted = {
            "prediction_type": "epsilon",
            "timestep_spacing": "leading",
            "clip_sample": False,
            "thresholding": False,
            "rescale_betas_zero_snr": False,
        }
        for key, value in wanted.items():
            if config.get(key, value) != value:
                raise UserError(
                    f"the diffusion model's scheduler has {key}: {config[key]}, and inversion needs {value}. "
                    "Choose a model of that kind, such as Stable Diffusion 1.5."
                )
        abar = torch.cumprod(1 - _betas(config), 0).double().numpy()
        stride, offset = len(abar) // max(steps, 1), config.get("steps_offset", 0)
        timesteps = np.arange(steps) * stride + offset
        if steps < 1 or stride < 1 or timesteps[-1] >= len(abar):
            raise UserError(f"{steps} DDIM steps do not fit the model's {len(abar)} timesteps. Change schedule.steps.")
        before = offset - stride
        first = abar[before] if before >= 0 else 1.0 if config.get("set_alpha_to_one") else abar[0]
        return cls(tuple(timesteps.tolist()), (float(first), *abar[timesteps].tolist()))

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    def timestep(self, i: int) -> int:
        """t of inversion step i = 1..steps."""
        return self.timesteps[i - 1]

    def phi(self, i: int) -> float:
        """phi_t of Eqs. 2 and 6: sqrt(abar before / abar after) inversion step i = 1..steps."""
        return float(np.sqrt(self.alpha_bar[i - 1] / self.alpha_bar[i]))

    def psi(self, i: int) -> float:
        """psi_t of Eqs. 2 and 6, of inversion step i = 1..steps."""
        return float(np.sqrt(1 - self.alpha_bar[i - 1]) - self.phi(i) * np.sqrt(1 - self.alpha_bar[i]))

    def phi_prime(self, n: int) -> float:
        """phi' of Eq. 4 after n = 0..steps inversion steps: sqrt(abar_t); 1 for the image latent."""
        return float(np.sqrt(self.alpha_bar[n])) if n else 1.0

    def p_prime(self, n: int) -> float:
        """p' of Eq. 4 after n = 0..steps inversion steps: sqrt(1 - abar_t); 0 for the image latent."""
        return float(np.sqrt(1 - self.alpha_bar[n])) if n else 0.0


def _betas(config: dict) -> torch.Tensor:
    """The training noise schedule (T,), in single precision like diffusers' own, so that the coefficients
    agree.
    """
    if config.get("trained_betas") is not None:
        return torch.tensor(config["trained_betas"], dtype=torch.float32)
    kind = config.get("beta_schedule", "linear")
    start, end, count = config["beta_start"], config["beta_end"], config.get("num_train_timesteps", 1000)
    if kind == "linear":
        return torch.linspace(start, end, count, dtype=torch.float32)
    if kind == "scaled_linear":
        return torch.linspace(start**0.5, end**0.5, count, dtype=torch.float32) ** 2
    raise UserError(f"the diffusion model's beta_schedule is {kind}. Choose a model with linear or scaled_linear.")
