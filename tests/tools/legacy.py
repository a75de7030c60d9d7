"""Turns a folder that diffusers saved today into the form in which Stable Diffusion 1.5 is published."""

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""Names of the VAE's attention today and in files of 2022."""

SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
"""Without a spacing and a prediction type, which came later."""


def make_legacy(folder: Path) -> None:
    """Changes a folder in place: old names of tensors, an old scheduler, no tokenizer.json, no scaling factor."""
    vae = next((folder / "vae").glob("*.safetensors"))
    save_file({_old_attention(name): tensor for name, tensor in load_file(vae).items()}, vae, {"format": "pt"})
    text = next((folder / "text_encoder").glob("*.safetensors"))
    prefixed = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in load_file(text).items()}
    save_file(prefixed, text, {"format": "pt"})
    (folder / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    _edit(folder / "vae" / "config.json", remove=["scaling_factor", "shift_factor", "latents_mean", "latents_std"])
    _edit(folder / "text_encoder" / "config.json", architectures=["CLIPTextModel"], model_type="clip_text_model")
    _edit(folder / "tokenizer" / "tokenizer_config.json", remove=["backend"])


def _old_attention(name: str) -> str:
    for new, old in OLD_ATTENTION.items():
        name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
    return name


def _edit(path: Path, remove: list[str] | None = None, **changes) -> None:
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in (remove or [])}
    path.write_text(json.dumps(config | changes))
