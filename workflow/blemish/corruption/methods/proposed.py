"""The paper's method: the image latent with noise of the inverted latents' magnitude (Eq. 4)."""

from blemish.corruption.sampling import standard_normal


def select(z0, z_t, phi, p, generators):
    """z_t^sel = phi' z0 + p' eps, eps ~ N(0, 1)."""
    eps = standard_normal(z0, generators)
    return phi * z0 + p * eps
