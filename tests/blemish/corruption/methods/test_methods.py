"""The contract of all methods, and what each does."""

import pytest
import torch
from paper import parameters

from blemish.corruption import methods
from blemish.errors import UserError

METHODS = methods.methods()


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def latents(size=16):
    return torch.randn(2, 3, 4, size, size, generator=torch.Generator().manual_seed(0))


def test_the_papers_methods_are_there():
    assert {"proposed", "gaussian", "rotation", "blur", "downscale"} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [4, 16, 64])
def test_a_method_is_pure_and_a_batch_gives_what_its_samples_give(method, size):
    z0, z_t = latents(size)
    before = z0.clone(), z_t.clone()
    select = methods.load(method, **parameters(method))
    z = select(z0, z_t, 0.9, 0.4, generators(1, 2, 3))
    assert z.shape == z0.shape and z.dtype == torch.float32 and z.isfinite().all()
    assert torch.equal(z0, before[0]) and torch.equal(z_t, before[1])
    assert torch.equal(z, select(z0, z_t, 0.9, 0.4, generators(1, 2, 3)))
    for i in range(3):
        one = slice(i, i + 1)
        torch.testing.assert_close(z[one], select(z0[one], z_t[one], 0.9, 0.4, generators(i + 1)))
    assert not torch.equal(z, z_t)


def test_proposed_is_the_image_latent_with_noise():
    z0, z_t = latents(64)
    select = methods.load("proposed")
    assert torch.equal(select(z0, z_t, 1.0, 0.0, generators(1, 2, 3)), z0)
    noise = (select(z0, z_t, 0.9, 0.4, generators(1, 2, 3)) - 0.9 * z0) / 0.4
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert abs((noise * z0).mean()) < 0.02


def test_gaussian_knows_nothing_of_the_image():
    z0, z_t = latents(64)
    z = methods.load("gaussian")(z0, z_t, 0.9, 0.4, generators(1, 2, 3))
    assert torch.equal(z, methods.load("gaussian")(0 * z0, 0 * z_t, 0.1, 0.9, generators(1, 2, 3)))
    assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02


def test_rotation_turns_the_inverted_latents():
    z0, z_t = latents()
    quarter = methods.load("rotation", degrees=90)
    z = quarter(z0, z_t, 0.9, 0.4, generators(1, 2, 3))
    assert torch.equal(z[:, :, -1, 0], z_t[:, :, 0, 0])  # top left to bottom left: counter-clockwise
    half = methods.load("rotation", degrees=180)(z0, z_t, 0.9, 0.4, generators(1, 2, 3))
    assert torch.equal(quarter(z0, z, 0.9, 0.4, generators(1, 2, 3)), half)
    with pytest.raises(UserError, match="multiple of 90"):
        methods.load("rotation", degrees=45)(z0, z_t, 0.9, 0.4, generators(1, 2, 3))


def test_blur_is_gaussian_of_the_given_width():
    impulse = torch.zeros(1, 4, 33, 33)
    impulse[:, :, 16, 16] = 1
    z = methods.load("blur", sigma=2.0)(impulse, impulse, 0.9, 0.4, generators(1))
    distance = torch.arange(33.0) - 16
    for profile in (z.sum(-1), z.sum(-2)):
        assert profile.sum(-1).allclose(torch.ones(4), atol=1e-5)
        assert ((profile * distance**2).sum(-1) - 4).abs().max() < 0.1
    constant = torch.full((1, 4, 8, 8), 3.0)
    assert methods.load("blur", sigma=4.0)(constant, constant, 0.9, 0.4, generators(1)).allclose(constant)


def test_downscale_keeps_block_means_alone():
    z0, z_t = latents()
    z = methods.load("downscale", factor=4)(z0, z_t, 0.9, 0.4, generators(1, 2, 3))
    blocks = z.unflatten(-1, (4, 4)).unflatten(-3, (4, 4))
    expected = z_t.unflatten(-1, (4, 4)).unflatten(-3, (4, 4)).mean((-3, -1), keepdim=True)
    torch.testing.assert_close(blocks, expected.expand_as(blocks))
    tiny = latents(4)[1]
    z = methods.load("downscale", factor=8)(tiny, tiny, 0.9, 0.4, generators(1, 2, 3))
    torch.testing.assert_close(z, tiny.mean((-2, -1), keepdim=True).expand_as(tiny))


def test_a_misspelt_method_is_answered_with_the_closest():
    with pytest.raises(UserError, match="did you mean 'gaussian'"):
        methods.load("gausian")


def test_a_parameter_that_the_method_lacks_is_named():
    with pytest.raises(UserError, match='"sigma": it has factor'):
        methods.load("downscale", sigma=2)
    with pytest.raises(UserError, match='needs parameter "sigma"'):
        methods.load("blur")
    with pytest.raises(UserError, match="it has none"):
        methods.load("proposed", sigma=2)


def test_a_method_gives_no_parameter_a_value(tmp_path, monkeypatch):
    """Neither a recipe nor the code that makes a job stale would show it."""
    monkeypatch.setattr(methods, "__path__", [str(tmp_path)])
    (tmp_path / "smear.py").write_text('PARAMETERS = {"width": {"type": "float", "default": 2.0}}\n')
    with pytest.raises(UserError, match="method smear says default of its parameter width"):
        methods.parameters("smear")
