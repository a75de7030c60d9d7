"""ReNoise inversion (Garibi et al. 2024, reference [5]; the paper's Eq. 2): batched, exact per sample.

Every sample has its own random numbers and its own gradients, so a batch gives what its samples give alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F

from blemish.corruption.sampling import Condition, Denoiser
from blemish.corruption.schedule import Schedule
from blemish.corruption.settings import ReNoise
from blemish.errors import UserError

PATCH = 4
"""Side of the patches that the KL term compares."""

SMALLEST = 8
"""The pair term's pyramid ends with the first level whose side is at most this."""


def invert(
    z0: torch.Tensor,
    condition: Condition,
    denoiser: Denoiser,
    schedule: Schedule,
    settings: ReNoise,
    keep: Sequence[int],
    generators: Sequence[torch.Generator],
    start: tuple[int, torch.Tensor] | None = None,
    noise: torch.Tensor | None = None,
) -> dict[int, torch.Tensor]:
    """Inverts image latents along one trajectory and keeps the latents after the asked-for numbers of steps.

    Args:
        z0: image latents (b, 4, s, s), float32; s a multiple of 4 where the settings regularise.
        condition: one row per sample.
        keep: numbers of inversion steps, each 1..schedule.steps.
        generators: one CPU generator per sample; it gives the pair term's shifts and nothing else.
        start: (n, z_n) to go on from, with the generators in the state in which the inversion to n left them;
            the result is then that of one long run, bit for bit.
        noise: (b, 4, s, s), needed for the reference "noised".

    Returns:
        n -> z_n for the n of `keep` that lie beyond the start.
    """
    kept = {}
    done, z = start or (0, z0)
    for n in range(done + 1, max(keep, default=done) + 1):
        z = _step(z, n, z0, noise, condition, denoiser, schedule, settings, generators)
        if n in keep:
            kept[n] = z
    return kept


def _step(z, n, z0, noise, condition, denoiser, schedule, settings, generators) -> torch.Tensor:
    """Inversion step n: from z (b, 4, s, s), the latent after n - 1 steps, to the latent after n steps."""
    t, phi, psi = schedule.timestep(n), schedule.phi(n), schedule.psi(n)
    early = t < settings.early_below
    lo, hi = settings.average_early if early else settings.average_late
    last = min(settings.R_early, settings.R) if early else settings.R

    def regularised(i: int) -> bool:
        return settings.reg_steps > 0 and (i >= lo or (not settings.average and i > 0))

    e_opt = None
    x, predictions = z, []
    for i in range(last + 1):
        if i == 0 and settings.lambda_kl > 0 and regularised(last):
            ref = z0
            if settings.reference == "noised":
                ref = schedule.phi_prime(n) * z0 + schedule.p_prime(n) * noise
            e, e_opt = denoiser(torch.cat([x, ref]), t, _twice(condition)).chunk(2)
        else:
            e = denoiser(x, t, condition)
        if lo <= i < hi:
            predictions.append(e)
        if regularised(i):
            e = regularise(e, e_opt, settings, generators)
        x = (z - psi * e) / phi
    if settings.average and predictions:
        e = sum(predictions) / len(predictions)
        if settings.reg_steps > 0:
            e = regularise(e, e_opt, settings, generators)
        x = (z - psi * e) / phi
    return x


def _twice(condition: Condition) -> Condition:
    if isinstance(condition, torch.Tensor):
        return torch.cat([condition, condition])
    return tuple(map(_twice, condition))


def regularise(
    e: torch.Tensor, e_opt: torch.Tensor | None, settings: ReNoise, generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """REG: draws a prediction e (b, c, s, s) towards the statistics of uncorrelated noise (ReNoise, §3.3).

    `reg_steps` descents along the gradient of the KL term, towards e_opt, and of the pair term.
    """
    if e.shape[-1] != e.shape[-2] or e.shape[-1] % PATCH:
        raise UserError(
            f"regularised inversion needs square latents with a side that {PATCH} divides, not "
            f"{e.shape[-2]}x{e.shape[-1]}. Choose another image size, or renoise.reg_steps: 0."
        )
    shifts = draw_shifts(e.shape, settings, generators)
    if e.is_cuda:  # so that the copy does not wait for the device's queue
        shifts = shifts.pin_memory()
    shifts = shifts.to(e.device, non_blocking=True)
    for step in range(settings.reg_steps):
        if settings.lambda_kl > 0:
            e = e - settings.lambda_kl * patch_kl_gradient(e, e_opt).clamp(-100, 100)
        if settings.lambda_pair > 0:
            for roll in range(settings.pair_rolls):
                e = e - settings.lambda_pair / settings.pair_rolls * pair_gradient(e, shifts[step, roll])
    return e


def draw_shifts(shape: torch.Size, settings: ReNoise, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """All shifts of one REG: (reg_steps, pair_rolls, levels, b, c) int64, each uniform in [0, side // 2).

    Each sample's numbers come in the order reg step, roll, channel, level. One call draws them all: its range
    is a multiple of every level's, so that the remainders are the very numbers of one call per shift.
    """
    c, side = shape[1:3]
    ranges = torch.tensor([s // 2 for s in _sides(side)])
    count = (settings.reg_steps, settings.pair_rolls if settings.lambda_pair > 0 else 0, c, len(ranges))
    common = math.lcm(*ranges.tolist())
    drawn = [torch.randint(0, common, (math.prod(count),), generator=g).view(count) for g in generators]
    shifts = torch.stack(drawn, dim=2) % ranges  # (reg_steps, pair_rolls, b, c, levels)
    return shifts.permute(0, 1, 4, 2, 3).contiguous()


def patch_kl_gradient(e: torch.Tensor, e_opt: torch.Tensor) -> torch.Tensor:
    """d PKL / d e (b, c, s, s): KL divergence between the Gaussians of the 4x4 patches of e and of e_opt.

    PKL sums |ln((v1 + eps) / (v0 + eps)) + (v0 + (m0 - m1)^2) / (v1 + eps) - 1| over patches and channels,
    with the patches' means m and unbiased variances v (0: e, 1: e_opt) and eps = 1e-6.
    """
    pixels, eps = PATCH * PATCH, 1e-6
    m0, v0, centred = _patch_statistics(e)
    m1, v1, _ = _patch_statistics(e_opt)
    w0, w1 = v0 + eps, v1 + eps
    sign = torch.sign(torch.log(w1 / w0) + (v0 + (m0 - m1) ** 2) / w1 - 1)
    by_variance = sign * (1 / w1 - 1 / w0) * 2 / (pixels - 1)
    by_mean = sign * (m0 - m1) / w1 * 2 / pixels
    gradient = torch.addcmul(by_mean, by_variance, centred)
    return gradient.unflatten(-1, (PATCH, PATCH)).transpose(-3, -2).flatten(-2).flatten(-3, -2)


def _patch_statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and unbiased variance of every patch, (b, c, rows, columns, 1), and the values less the mean."""
    patches = x.unflatten(-1, (-1, PATCH)).unflatten(-3, (-1, PATCH)).transpose(-3, -2).flatten(-2)
    mean = patches.mean(-1, keepdim=True)
    centred = patches - mean
    # torch.var_mean takes four times as long on the CPU.
    return mean, centred.square().sum(-1, keepdim=True) / (PATCH * PATCH - 1), centred


def pair_gradient(x: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """d PAIR / d x (b, c, s, s) for the shifts r (levels, b, c): autocorrelation on a pyramid.

    PAIR sums mean(x_l * roll(x_l, r, rows))^2 + mean(x_l * roll(x_l, r, columns))^2 over channels and levels,
    where x_l = A_l x A_l^T averages blocks of 2^l pixels. With P the roll of the rows, K = A^T (P + P^T) A
    and B = A^T A, the first mean is <x, K x B> / 2 side^2, and its square's gradient <x, K x B> K x B /
    side^4: a few products for all levels, samples and channels at once.
    """
    rolls, blocks, areas = _pyramid(x.shape[-1], str(x.device))
    b, c = x.shape[:2]
    level = torch.arange(len(areas), device=x.device)[:, None, None]
    K = rolls[level, shifts].flatten(1, 2)  # (levels, b * c, s, s)
    x = x.flatten(0, 1)
    rows = (K @ x) @ blocks
    columns = blocks @ (x @ K)
    by_row = (rows * x).sum((-2, -1), keepdim=True) / areas**2
    by_column = (columns * x).sum((-2, -1), keepdim=True) / areas**2
    return torch.addcmul(by_row * rows, by_column, columns).sum(0).unflatten(0, (b, c))


def _sides(side: int) -> list[int]:
    """The sides of the pyramid's levels."""
    sides = [side]
    while sides[-1] > SMALLEST:
        sides.append(sides[-1] // 2)
    return sides


@cache
def _pyramid(side: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The constants of `pair_gradient`.

    Returns:
        A^T (P_r + P_r^T) A for every level and shift, (levels, side // 2, side, side);
        A^T A for every level, (levels, 1, side, side); the levels' pixel counts, (levels, 1, 1, 1).
    """
    rolls, blocks, areas = [], [], []
    A = torch.eye(side)
    for s in _sides(side):
        if s != len(A):
            A = F.avg_pool1d(A.T[None], 2)[0].T
        P = torch.stack([torch.eye(s).roll(r, 0) for r in range(s // 2)])
        symmetric = A.T @ (P + P.transpose(1, 2)) @ A
        rolls.append(F.pad(symmetric, (0, 0, 0, 0, 0, side // 2 - len(P))))
        blocks.append(A.T @ A)
        areas.append(s * s)
    areas = torch.tensor(areas, dtype=torch.float32).view(-1, 1, 1, 1)
    return torch.stack(rolls).to(device), torch.stack(blocks)[:, None].to(device), areas.to(device)
