"""The mini world's latent diffusion model: a VAE, UNets and a text encoder small enough for a CPU core.

Trained once on `scenes`, saved in diffusers' pipeline format and committed; everything after that loads it as it would
load Stable Diffusion.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import trange

from blemish.miniworld.scenes import Scene, draw_scene
from blemish.miniworld.settings import Generator, Scenes

LATENT_CHANNELS = 4
PROMPT_TOKENS = 24


def render(seed: int, count: int) -> list[Scene]:
    """`count` scenes of 64x64; scene i follows from (seed, i) alone."""
    return [draw_scene(np.random.default_rng((seed, i))) for i in range(count)]


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_vae(settings: Scenes, batch: int = 16, crop: int = 32):
    """An AutoencoderKL of factor 4, trained on crops of scenes: MSE + L1 + a small KL, AdamW with one cycle.

    Its `scaling_factor` makes the latents of the scenes unit-variance, as Stable Diffusion's does.
    """
    from diffusers import AutoencoderKL

    pixels = to_tensor(np.stack([s.image for s in render(settings.seed, settings.scenes)]))
    torch.manual_seed(settings.seed)
    vae = AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
    )
    optimizer = torch.optim.AdamW(vae.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=settings.iterations)
    for i in (bar := trange(settings.iterations, desc="VAE", mininterval=10)):
        ys, xs = torch.randint(pixels.shape[-1] - crop + 1, (2, batch)).tolist()
        picks = torch.randint(len(pixels), (batch,)).tolist()
        x = torch.stack([pixels[k, :, a : a + crop, b : b + crop] for k, a, b in zip(picks, ys, xs, strict=True)])
        if torch.rand(()) < 0.5:
            x = x.flip(-1)
        posterior = vae.encode(x).latent_dist
        y = vae.decode(posterior.sample()).sample
        loss = F.mse_loss(y, x) + F.l1_loss(y, x) + 5e-4 * posterior.kl().mean() / posterior.mean[0].numel()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if i % 100 == 0:
            bar.set_postfix(mse=F.mse_loss(y, x).item())
    latents = moments(vae, pixels[:256])[:, :LATENT_CHANNELS]
    vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    return vae.eval()


@torch.no_grad()
def moments(vae, pixels: torch.Tensor, batch: int = 64) -> torch.Tensor:
    """Mean and log-variance of the posterior of every image, (n, 8, h / 4, w / 4), unscaled."""
    return torch.cat([vae.encode(x).latent_dist.parameters for x in pixels.split(batch)])


@torch.no_grad()
def reconstruct(vae, image: np.ndarray) -> np.ndarray:
    """What the VAE makes of an image, (h, w, 3) uint8: generated images carry a decoder's traces, drawn ones don't."""
    decoded = vae.decode(vae.encode(to_tensor(image[None])).latent_dist.mode()).sample[0]
    return ((decoded.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()


def build_tokenizer(captions: list[str], folder: Path):
    """A CLIP tokenizer whose byte-pair merges are learned from the scenes' captions."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        end_of_word_suffix="</w>",
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz,"),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    bpe = json.loads(tokenizer.to_str())["model"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    merges = [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=PROMPT_TOKENS
    )


def tokenize(tokenizer, captions: list[str]) -> torch.Tensor:
    """(n, PROMPT_TOKENS) token ids, padded and cut."""
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids


def build_text_encoder(tokenizer, seed: int):
    """A CLIP text encoder of two narrow layers."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=PROMPT_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet(widths: tuple[int, int], seed: int):
    """A text-conditioned UNet on 16x16 latents, with attention at 8x8."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def sd_scheduler():
    """The DDIM scheduler of Stable Diffusion 1.x."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def pipeline(vae, unet, text_encoder, tokenizer):
    """The parts as a `StableDiffusionPipeline`, with Stable Diffusion's DDIM schedule and no safety checker."""
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=sd_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def train_generator(folder: Path, vae, settings: Generator) -> None:
    """Trains a generator on scenes and captions; saves a folder that `StableDiffusionPipeline` opens, in float16."""
    scenes = render(settings.seed, settings.scenes)
    tokenizer = build_tokenizer([s.caption for s in scenes], folder / "tokenizer")
    text_encoder = build_text_encoder(tokenizer, settings.seed)
    unet = build_unet(tuple(settings.widths), settings.seed)
    train_unet(unet, text_encoder, tokenizer, vae, scenes, settings.iterations, settings.seed)
    pipeline(vae, unet, text_encoder, tokenizer).to(torch.float16).save_pretrained(folder)


def train_unet(
    unet, text_encoder, tokenizer, vae, scenes: list[Scene], iterations: int, seed: int, batch: int = 32
) -> None:
    """Trains UNet and text encoder together to predict the noise; leaves the averaged (EMA) weights in both.

    A tenth of the prompts is dropped, so that classifier-free guidance works.
    """
    from diffusers.training_utils import EMAModel

    torch.manual_seed(seed)
    scheduler = sd_scheduler()
    pixels = to_tensor(np.stack([s.image for s in scenes]))
    pixels = torch.cat([pixels, pixels.flip(-1)])
    mean, logvar = moments(vae, pixels).chunk(2, dim=1)
    std = torch.exp(0.5 * logvar.clamp(-30, 20))
    tokens = tokenize(tokenizer, [s.caption for s in scenes] + [""])
    modules = torch.nn.ModuleList([unet, text_encoder]).train()
    ema = EMAModel(modules.parameters(), decay=0.998)
    optimizer = torch.optim.AdamW(modules.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=iterations, pct_start=0.1)
    average = 1.0
    for i in (bar := trange(iterations, desc="UNet", mininterval=10)):
        picks = torch.randint(len(pixels), (batch,))
        prompts = torch.where(torch.rand(batch) < 0.1, len(scenes), picks % len(scenes))
        z0 = (mean[picks] + std[picks] * torch.randn_like(mean[picks])) * vae.config.scaling_factor
        noise = torch.randn_like(z0)
        t = torch.randint(1000, (batch,))
        condition = text_encoder(tokens[prompts])[0]
        loss = F.mse_loss(unet(scheduler.add_noise(z0, noise, t), t, condition).sample, noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        ema.step(modules.parameters())
        average += 0.01 * (loss.item() - average)
        if i % 20 == 0:
            bar.set_postfix(loss=average)
    ema.copy_to(modules.parameters())
    modules.eval()
