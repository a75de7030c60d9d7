"""The embedded default: scenes, a small diffusion model, and wild artifacts made from them."""
