import json
import re
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from legacy import make_legacy
from safetensors.torch import load_file, save_file

from blemish.corruption.diffusion import Diffusion
from blemish.corruption.sampling import Counting, guided, resample
from blemish.errors import UserError


def images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_networks_are_those_of_diffusers_pipeline(diffusion, tiny_diffusion):
    from diffusers import StableDiffusionPipeline

    theirs = StableDiffusionPipeline.from_pretrained(tiny_diffusion, low_cpu_mem_usage=False)
    theirs.set_progress_bar_config(disable=True)
    prompts = ["a face", "a sign and a very long caption " * 10]
    expected, _ = theirs.encode_prompt(prompts, "cpu", 1, do_classifier_free_guidance=False)
    c = diffusion.embed(prompts)
    torch.testing.assert_close(c, expected)
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        e = theirs.unet(z, 41, expected).sample
    torch.testing.assert_close(diffusion.denoiser(z, 41, c), e, rtol=0, atol=1e-5)
    decoded = theirs(prompts, latents=z, num_inference_steps=1, guidance_scale=1.0, output_type="latent").images
    with torch.inference_mode():
        pixels = theirs.image_processor.postprocess(
            theirs.vae.decode(decoded / theirs.vae.config.scaling_factor).sample, output_type="np"
        )
    difference = np.abs(diffusion.decode(decoded).astype(int) - (pixels * 255).round())
    assert difference.max() <= 1


def test_an_image_latent_is_a_scaled_sample_of_the_posterior(diffusion):
    pixels = images(2)
    draws = torch.stack([diffusion.encode(pixels, seeded(i, i + 1000)) for i in range(400)])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        posterior = diffusion.vae.encode(x).latent_dist
    scale = diffusion.vae.config.scaling_factor
    assert draws.dtype == torch.float32
    error = (draws.mean(0) - posterior.mean * scale) / (posterior.std * scale / 20)
    assert error.abs().mean() < 1.1
    assert (draws.std(0) / (posterior.std * scale)).mean().sub(1).abs() < 0.02


def test_an_images_latent_depends_on_its_own_generator(diffusion):
    pixels = images(2)
    both = diffusion.encode(pixels, seeded(1, 2))
    torch.testing.assert_close(diffusion.encode(pixels[1:], seeded(2)), both[1:], rtol=0, atol=1e-5)


def test_when_memory_runs_out_the_batch_is_halved_and_nothing_changes(tiny_diffusion, caplog, monkeypatch):
    diffusion = Diffusion.load(tiny_diffusion)
    z = torch.randn(7, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    c = diffusion.embed(["a face"] * 7)
    expected, forward, sizes = diffusion.denoiser(z, 21, c), diffusion.unet.forward, []

    def small_memory(x, *arguments, **options):
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return forward(x, *arguments, **options)

    monkeypatch.setattr(diffusion.unet, "forward", small_memory)
    torch.testing.assert_close(diffusion.denoiser(z, 21, c), expected, rtol=0, atol=1e-5)
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert "at 7 samples: going on with 3" in caplog.text
    sizes.clear()
    diffusion.denoiser(z, 21, c)
    assert sizes == [1] * 7, "what proved too large is not tried again"


def test_one_image_too_large_for_the_memory_is_a_sentence(tiny_diffusion, monkeypatch):
    diffusion = Diffusion.load(tiny_diffusion)

    def no_memory(*arguments, **options):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(diffusion.unet, "forward", no_memory)
    with pytest.raises(UserError, match="one image does not fit"):
        diffusion.denoiser(torch.zeros(2, 4, 8, 8), 1, diffusion.embed(["", ""]))


def test_the_vae_works_in_even_parts_below_the_largest_tensor(tiny_diffusion, monkeypatch):
    diffusion = Diffusion.load(tiny_diffusion)
    pixels, sizes = images(7), []
    z = diffusion.encode(pixels, seeded(*range(7)))
    expected, encode, decode = diffusion.decode(z), diffusion.vae.encode, diffusion.vae.decode
    monkeypatch.setattr("blemish.corruption.diffusion.MOST_ELEMENTS", 3 * 16 * 16 * 8)
    monkeypatch.setattr(diffusion.vae, "encode", lambda x: sizes.append(len(x)) or encode(x))
    monkeypatch.setattr(diffusion.vae, "decode", lambda z: sizes.append(len(z)) or decode(z))
    torch.testing.assert_close(diffusion.encode(pixels, seeded(*range(7))), z, rtol=0, atol=1e-5)
    assert np.abs(diffusion.decode(z).astype(int) - expected).max() <= 1
    assert sizes == [3, 3, 1, 3, 3, 1]


def test_the_bound_is_of_the_largest_tensor_that_a_full_size_vae_makes():
    from benchmarks.engine import VAE

    with torch.device("meta"):
        vae = AutoencoderKL(**VAE)
        largest, z, image = [], torch.zeros(1, 4, 64, 64), torch.zeros(1, 3, 512, 512)
    for module in vae.modules():
        module.register_forward_hook(
            lambda module, given, made: largest.append(made.numel()) if isinstance(made, torch.Tensor) else None
        )
    with torch.no_grad():
        vae.encode(image), vae.decode(z)
    diffusion = Diffusion(None, vae, None, [], torch.device("meta"))
    assert max(largest) * diffusion._vae_batch(512, 512) < 2**31 <= max(largest) * (diffusion._vae_batch(512, 512) + 1)
    assert (diffusion._vae_batch(512, 512), diffusion._vae_batch(1024, 1024)) == (31, 7)


def test_half_precision_stays_inside_the_networks(tiny_diffusion, diffusion):
    half = Diffusion.load(tiny_diffusion, dtype="bfloat16")
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    e = half.denoiser(z, 41, half.embed(["a face", "a sign"]))
    assert e.dtype == torch.float32
    expected = diffusion.denoiser(z, 41, diffusion.embed(["a face", "a sign"]))
    assert 0 < (e - expected).abs().max() < 0.1 * expected.abs().max()
    assert half.digest != diffusion.digest


def test_counting_counts_samples():
    counting = Counting(lambda z, t, c: z)
    counting(torch.zeros(3, 1), 0, None)
    counting(torch.zeros(2, 1), 0, None)
    assert counting.samples == 5


def test_the_digest_follows_from_the_files(tiny_diffusion, diffusion, tmp_path):
    copy = shutil.copytree(tiny_diffusion, tmp_path / "copy")
    assert Diffusion.load(copy).digest == diffusion.digest
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"beta_end": 0.02}))
    assert Diffusion.load(copy).digest != diffusion.digest


def test_what_cannot_be_loaded_is_a_sentence(tiny_diffusion, tmp_path):
    with pytest.raises(UserError, match=r"model_index\.json is missing"):
        Diffusion.load(tmp_path)
    copy = shutil.copytree(tiny_diffusion, tmp_path / "copy")
    for weights in (copy / "unet").glob("*.safetensors"):
        weights.unlink()
    with pytest.raises(UserError, match=r"no \.safetensors"):
        Diffusion.load(copy)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no GPU"):
            Diffusion.load(tiny_diffusion, "cuda")


def without(names):
    return lambda state: {name: tensor for name, tensor in state.items() if not re.search(names, name)}


def renamed(state):
    return {f"net.{name}": tensor for name, tensor in state.items()}


def cut(state):
    name = max(state, key=lambda name: state[name].numel())
    return state | {name: state[name][:-1].clone()}


@pytest.mark.parametrize("network", ["unet", "vae", "text_encoder", "text_encoder_2"])
def test_a_network_that_lacks_a_tensor_is_refused_by_name(tiny_diffusion, tiny_xl, tmp_path, network):
    copy = shutil.copytree(tiny_xl if network == "text_encoder_2" else tiny_diffusion, tmp_path / "copy")
    path = next((copy / network).glob("*.safetensors"))
    whole = load_file(path)
    damages = {f"{name} is missing": without(f"^{re.escape(name)}$") for name in sorted(whole)[:: len(whole) // 8]}
    damages |= {
        "is missing": renamed,
        "another.weight belongs": lambda state: state | {"another.weight": torch.zeros(2)},
        str(copy / network): cut,
    }
    for told, damage in damages.items():
        save_file(damage(whole), path, {"format": "pt"})
        with pytest.raises(UserError, match=re.escape(told)) as refusal:
            Diffusion.load(copy)
        assert str(copy / network) in str(refusal.value)
    save_file(whole | ({"embeddings.position_ids": torch.arange(77)} if "text" in network else {}), path)
    Diffusion.load(copy)


def test_the_form_in_which_stable_diffusion_15_is_published_gives_the_same(tiny_diffusion, tmp_path):
    today = shutil.copytree(tiny_diffusion, tmp_path / "today")
    torch.manual_seed(1)
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    vae = AutoencoderKL(block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, sample_size=16, **blocks)
    vae.save_pretrained(today / "vae")
    published = shutil.copytree(today, tmp_path / "published")
    make_legacy(published)
    assert any("proj_attn" in name for name in load_file(next((published / "vae").glob("*.safetensors"))))
    a, b = Diffusion.load(today), Diffusion.load(published)
    assert a.schedule(50) == b.schedule(50)
    prompts = ["a face", "a sign and a very long caption " * 10]
    torch.testing.assert_close(a.embed(prompts), b.embed(prompts), rtol=0, atol=0)
    z = a.encode(images(2), seeded(0, 1))
    torch.testing.assert_close(b.encode(images(2), seeded(0, 1)), z, rtol=0, atol=0)
    np.testing.assert_array_equal(a.decode(z), b.decode(z))


def test_images_of_an_unfit_size_are_refused(diffusion):
    with pytest.raises(UserError, match="4 divides"):
        diffusion.encode(np.zeros((1, 18, 16, 3), np.uint8), seeded(0))


@pytest.fixture(scope="module")
def tiny_xl(tmp_path_factory, tiny_diffusion):
    """SDXL's layout: two text encoders, pooled embeddings, micro-conditioning."""
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    base = Diffusion.load(tiny_diffusion)
    tokenizer = CLIPTokenizer.from_pretrained(tiny_diffusion / "tokenizer")
    config = CLIPTextConfig.from_pretrained(tiny_diffusion / "text_encoder", projection_dim=24)
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=4,
        norm_num_groups=4,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24 + 6 * 8,
    )
    from diffusers import DDIMScheduler

    pipeline = StableDiffusionXLPipeline(
        vae=base.vae,
        unet=unet,
        text_encoder=CLIPTextModel(config),
        text_encoder_2=CLIPTextModelWithProjection(config),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        scheduler=DDIMScheduler.from_pretrained(tiny_diffusion / "scheduler"),
        add_watermarker=False,
    )
    folder = tmp_path_factory.mktemp("xl")
    pipeline.save_pretrained(folder)
    return folder


def test_sdxl_is_conditioned_as_in_diffusers(tiny_xl):
    from diffusers import StableDiffusionXLPipeline

    diffusion = Diffusion.load(tiny_xl)
    theirs = StableDiffusionXLPipeline.from_pretrained(tiny_xl, low_cpu_mem_usage=False)
    prompts = ["a face", "a sign"]
    with torch.inference_mode():
        embedding, _, pooled, _ = theirs.encode_prompt(prompts, device="cpu", do_classifier_free_guidance=False)
    c = diffusion.embed(prompts)
    torch.testing.assert_close(c, (embedding, pooled))
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    added = {"text_embeds": pooled, "time_ids": torch.tensor([[16, 16, 0, 0, 16, 16]] * 2)}
    with torch.inference_mode():
        expected = theirs.unet(z, 41, embedding, added_cond_kwargs=added).sample
    torch.testing.assert_close(diffusion.denoiser(z, 41, c), expected, rtol=0, atol=1e-5)
    half = Diffusion.load(tiny_xl, dtype="bfloat16")
    assert half.vae.dtype == torch.float32


@pytest.mark.parametrize("zeros", [None, True, False])
def test_guidance_is_diffusers(tiny_diffusion, tiny_xl, zeros):
    """Stable Diffusion's pipeline, and SDXL's with and without zeros for an empty prompt; all steps of the schedule."""
    from diffusers import DDIMScheduler, DiffusionPipeline

    folder, options = (tiny_diffusion, {}) if zeros is None else (tiny_xl, {"force_zeros_for_empty_prompt": zeros})
    theirs = DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False, **options)
    theirs.scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    theirs.set_progress_bar_config(disable=True)
    prompts, z = ["a face", "a sign"], torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    call = {"latents": z, "num_inference_steps": 50, "guidance_scale": 7.5, "output_type": "latent"}
    expected = theirs(prompts, **call).images
    diffusion = Diffusion.load(folder)
    if zeros is False:
        diffusion = Diffusion.load(zeros_off(folder))
    denoiser, condition = Counting(diffusion.denoiser), diffusion.embed(prompts)
    both = guided(denoiser, diffusion.embed_nothing(2), 7.5)
    made = resample(z, 50, condition, both, diffusion.schedule(50))
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)
    assert denoiser.samples == 2 * 2 * 50
    unguided = resample(z, 50, condition, diffusion.denoiser, diffusion.schedule(50))
    assert (unguided - expected).abs().max() > 1e-2


def zeros_off(folder):
    """A copy of a pipeline that embeds an empty prompt as any other."""
    copy = shutil.copytree(folder, folder.with_name("zeros-off"))
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {"force_zeros_for_empty_prompt": False}))
    return copy
