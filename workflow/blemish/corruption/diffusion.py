"""A latent diffusion model in diffusers' pipeline format: Stable Diffusion, SDXL, or the mini world's."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from blemish.corruption.sampling import Condition, standard_normal
from blemish.corruption.schedule import Schedule
from blemish.data.files import read_json
from blemish.errors import UserError, explain

log = logging.getLogger(__name__)

MOST_ELEMENTS = 2**31 - 1
"""Of a tensor inside the VAE: kernels that count in 32 bits fail or go slower ways beyond it."""

UNUSED = re.compile(r"position_ids$|^vision_model\.|^visual_projection\.|^text_projection\.|^logit_scale$")
"""Tensors that a text encoder's file may hold beyond the network: buffers of older versions, the rest of its CLIP."""


@dataclass(eq=False)
class Diffusion:
    """The networks of one model, in the precision asked for; latents and coefficients stay float32.

    Attributes:
        text: (tokenizer, encoder) pairs: one for Stable Diffusion, two for SDXL.
    """

    folder: Path
    vae: torch.nn.Module
    unet: torch.nn.Module
    text: list[tuple]
    device: torch.device
    _limits: dict[str, int] = field(default_factory=dict)  # network -> batch size that the memory allowed

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", dtype: str | torch.dtype = "float32") -> Diffusion:
        """Loads a folder that a diffusers pipeline was saved to; reads local safetensors only.

        Raises:
            UserError: the folder does not hold such a pipeline, has a component without safetensors or one whose
                tensors are not exactly its network's, or the device is missing.
        """
        # The modules themselves: the packages' own names resolve to the same classes through slower detours.
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
        from transformers.models.clip.tokenization_clip import CLIPTokenizer

        folder, dtype = Path(folder), getattr(torch, dtype) if isinstance(dtype, str) else dtype
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f'device "{device}" is asked for and PyTorch sees no GPU. Set the device to "cpu".')
        index = read_json(folder / "model_index.json")
        large = "text_encoder_2" in index
        components = ["vae", "unet", "text_encoder"] + ["text_encoder_2"] * large
        for name in components:
            if not list((folder / name).glob("*.safetensors")):
                raise UserError(f"{folder / name} holds no .safetensors file. Download the model's safetensors.")

        def network(kind, name: str, **options):
            with _explained(folder / name):
                model, found = kind.from_pretrained(
                    folder / name, local_files_only=True, use_safetensors=True, output_loading_info=True, **options
                )
            _complete(folder / name, found)
            return model.eval().requires_grad_(False).to(device)

        # fp16 has the finer mantissa, and Stable Diffusion's VAE fits its range; SDXL's need not.
        upcast = large and read_json(folder / "vae" / "config.json").get("force_upcast", True)
        vae_dtype = torch.float32 if upcast or dtype == torch.float32 else torch.float16
        vae = network(AutoencoderKL, "vae", torch_dtype=vae_dtype, low_cpu_mem_usage=False)
        unet = network(UNet2DConditionModel, "unet", torch_dtype=dtype, low_cpu_mem_usage=False)
        vae.to(memory_format=torch.channels_last)
        unet.to(memory_format=torch.channels_last)
        kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
        text = []
        for name in components[2:]:
            words = folder / name.replace("text_encoder", "tokenizer")
            with _explained(words):
                tokenizer = CLIPTokenizer.from_pretrained(words, local_files_only=True)
            text.append((tokenizer, network(kinds[name], name, dtype=dtype)))
        return cls(folder, vae, unet, text, torch.device(device))

    def schedule(self, steps: int) -> Schedule:
        """The model's DDIM schedule over `steps` timesteps."""
        return Schedule.from_config(read_json(self.folder / "scheduler" / "scheduler_config.json"), steps)

    @cached_property
    def digest(self) -> str:
        """sha256 of the model's files and of the arithmetic it is run in."""
        total = hashlib.sha256(f"{self.unet.dtype} {self.vae.dtype}".encode())
        files = (f for f in self.folder.rglob("*") if f.suffix in (".json", ".safetensors", ".txt"))
        for file in sorted(files):
            with file.open("rb") as stream:
                total.update(f"{file.relative_to(self.folder)}".encode())
                total.update(hashlib.file_digest(stream, "sha256").digest())
        return total.hexdigest()

    @property
    def _reduction(self) -> int:
        """Pixels to a latent cell, per side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @torch.inference_mode()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """One conditional embedding per prompt."""
        states = []
        for tokenizer, encoder in self.text:
            tokens = tokenizer(
                list(prompts),
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            output = encoder(tokens.to(self.device), output_hidden_states=True)
            states.append(output.last_hidden_state if len(self.text) == 1 else output.hidden_states[-2])
        if len(self.text) == 1:
            return states[0]
        return torch.cat(states, dim=-1), output.text_embeds

    def embed_nothing(self, count: int) -> Condition:
        """`count` embeddings of no prompt, for guidance: of "", or the zeros that SDXL's pipelines ask for."""
        large = len(self.text) > 1
        zeros = large and read_json(self.folder / "model_index.json").get("force_zeros_for_empty_prompt", True)
        found = self.embed([""])
        parts = [part.expand(count, *part.shape[1:]) for part in (found if large else [found])]
        parts = [torch.zeros_like(part) for part in parts] if zeros else parts
        return tuple(parts) if large else parts[0]

    @torch.inference_mode()
    def encode(self, images: np.ndarray, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Image latents z0 (n, 4, h / f, w / f) float32: scaled samples of the VAE's posterior.

        Args:
            images: (n, h, w, 3) uint8.
            generators: one CPU generator per image.

        Raises:
            UserError: the networks cannot halve such a size often enough.
        """
        grid = self._reduction * 2 ** (len(self.unet.config.block_out_channels) - 1)
        if images.shape[1] % grid or images.shape[2] % grid:
            raise UserError(
                f"images of {images.shape[2]}x{images.shape[1]} do not suit {self.folder}. "
                f"Choose a size that {grid} divides."
            )
        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        moments = self._in_parts("VAE encoder", self._moments, pixels, most=self._vae_batch(*images.shape[1:3]))
        mean, logvar = moments.chunk(2, dim=1)
        return (
            mean + torch.exp(0.5 * logvar.clamp(-30, 20)) * standard_normal(mean, generators)
        ) * self.vae.config.scaling_factor

    @torch.inference_mode()
    def decode(self, z: torch.Tensor) -> np.ndarray:
        """Images (n, h, w, 3) uint8 of image latents."""
        most = self._vae_batch(*(side * self._reduction for side in z.shape[-2:]))
        return self._in_parts("VAE decoder", self._pixels, z, most=most).cpu().numpy()

    @torch.inference_mode()
    def denoiser(self, z: torch.Tensor, t: int, c: Condition) -> torch.Tensor:
        """eps_theta(z, t, c), float32."""
        condition = (c,) if isinstance(c, torch.Tensor) else c
        return self._in_parts("UNet", lambda z, *c: self._noise(z, t, *c), z, *condition)

    def _moments(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.to(self.vae.dtype, memory_format=torch.channels_last)
        return self.vae.encode(x).latent_dist.parameters.float()

    def _pixels(self, z: torch.Tensor) -> torch.Tensor:
        z = (z / self.vae.config.scaling_factor).to(self.vae.dtype, memory_format=torch.channels_last)
        x = self.vae.decode(z).sample.float()
        return (x * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

    def _noise(self, z: torch.Tensor, t: int, embedding: torch.Tensor, pooled: torch.Tensor | None = None):
        added = None
        if pooled is not None:
            # SDXL's micro-conditioning: the image in its own size, not cropped.
            h, w = (side * self._reduction for side in z.shape[-2:])
            time_ids = torch.tensor([[h, w, 0, 0, h, w]]).expand(len(z), -1).to(pooled, non_blocking=True)
            added = {"text_embeds": pooled, "time_ids": time_ids}
        x = z.to(self.unet.dtype, memory_format=torch.channels_last)
        # A fill on the device: copying a number there would make the host wait for all queued work.
        t = torch.full((), t, device=self.device)
        return self.unet(x, t, embedding, added_cond_kwargs=added, return_dict=False)[0].float()

    def _vae_batch(self, height: int, width: int) -> int:
        """The most images of a size in pixels whose tensors in the VAE stay below `MOST_ELEMENTS`.

        The largest has the channels of its second block in the size of the image: the decoder enlarges before it
        narrows.
        """
        return max(1, MOST_ELEMENTS // (height * width * max(self.vae.config.block_out_channels[:2])))

    def _in_parts(
        self, network: str, function: Callable, *batch: torch.Tensor, most: int | None = None
    ) -> torch.Tensor:
        """function(*batch), in even parts of at most `most` samples that fit the memory.

        A size that proved too large is not tried twice.
        """
        count = len(batch[0])
        while True:
            limit = min(count, self._limits.get(network, count), most or count)
            size = math.ceil(count / math.ceil(count / limit))
            try:
                parts = zip(*(tensor.split(size) for tensor in batch), strict=True)
                return torch.cat([function(*part) for part in parts])
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise UserError(
                        f"one image does not fit into the GPU's memory ({network}). Use a GPU with more, "
                        "dtype: bfloat16, or smaller images."
                    ) from error
            self._limits[network] = size // 2
            torch.cuda.empty_cache()
            log.warning("out of memory in the %s at %d samples: going on with %d", network, size, size // 2)


def _complete(folder: Path, found: Mapping[str, Collection]) -> None:
    """Refuses a network of which a tensor was not in its file: the libraries draw it at random and only warn.

    Args:
        folder: of the network.
        found: what `from_pretrained` of diffusers or transformers says with `output_loading_info`.
    """
    faults = [f"{name} is missing" for name in sorted(found["missing_keys"])]
    faults += [f"{name} has another shape" for name, *_ in sorted(found["mismatched_keys"])]
    faults += [f"{name} belongs to no layer" for name in sorted(found["unexpected_keys"]) if not UNUSED.search(name)]
    if faults:
        listed = "; ".join(faults[:3]) + ("; ..." if len(faults) > 3 else "")
        raise UserError(
            f"the weights in {folder} are not those of the network that its config.json describes, in {len(faults)} "
            f"tensors ({listed}). Fetch the model again, or give one that diffusers saved whole."
        )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the libraries raise whatever their parsers meet
        outside = explain(error) and not (isinstance(error, OSError) and error.errno is None)
        if outside or isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(
            f"{folder} is damaged or of another kind of model ({' '.join(str(error).split())[:200]}). "
            "Fetch the model again."
        ) from error
