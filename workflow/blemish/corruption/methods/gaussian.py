"""Replacement by pure noise (§5.3, Table 2; §6.2, Table 4)."""

from blemish.corruption.sampling import standard_normal


def select(z0, z_t, phi, p, generators):
    """z_t^sel ~ N(0, 1)."""
    return standard_normal(z0, generators)
