"""The paper's method (§3.2): latents are inverted, corrupted inside a mask, and resampled."""
