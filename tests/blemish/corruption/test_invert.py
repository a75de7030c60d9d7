from dataclasses import replace

import pytest
import torch
from paper import renoise
from safetensors.torch import load_file

from blemish.corruption.invert import invert_shard
from blemish.corruption.latents import Latents
from blemish.data.records import read_ids
from blemish.errors import UserError
from blemish.jobs.run import state


def test_an_inversion_shard_holds_what_was_asked_for(inverted, shard):
    latents = Latents(inverted[2])
    assert latents.ids == read_ids(shard[0])
    assert latents.steps == [0, 2]
    assert latents.evaluations == 5 * 2 * 3  # images x steps x (reference + two predictions)
    assert latents.at(2, slice(1, 3)).shape == (2, 4, 8, 8)
    with pytest.raises(UserError, match="not after 7"):
        latents.at(7)
    assert not state(inverted[2]).exists()


@pytest.mark.parametrize("settings", [renoise(), renoise(reference="noised")])
def test_a_deeper_inversion_goes_on_from_the_stored_one(tmp_path, engine, shard, settings):
    invert_shard(shard[0], None, tmp_path / "long", engine, settings, 3)
    for n, previous in ((0, None), (1, "0"), (3, "1")):
        invert_shard(shard[0], previous and tmp_path / previous, tmp_path / str(n), engine, settings, n)
    long, further = load_file(tmp_path / "long"), load_file(tmp_path / "3")
    assert long.keys() == further.keys()
    assert all(torch.equal(long[key], further[key]) for key in long)
    assert Latents(tmp_path / "long").evaluations == Latents(tmp_path / "3").evaluations


@pytest.mark.parametrize(("seed", "settings", "n"), [(6, renoise(), 2), (5, renoise(R=0), 2), (5, renoise(), 0)])
def test_an_inversion_of_something_else_is_not_taken_further(engine, shard, inverted, seed, settings, n):
    with pytest.raises(UserError, match="not an earlier step"):
        invert_shard(shard[0], inverted[1], inverted[2], replace(engine, seed=seed), settings, n)


def test_inversion_steps_beyond_the_schedule_are_refused(tmp_path, engine, shard):
    with pytest.raises(UserError, match="51"):
        invert_shard(shard[0], None, tmp_path / "out", engine, renoise(), 51)


def test_neither_batches_nor_interruptions_change_an_inversion(tmp_path, engine, shard, interrupted, monkeypatch):
    out = tmp_path / "resumed.safetensors"
    interrupted("encode")
    with pytest.raises(InterruptedError):
        invert_shard(shard[0], None, out, engine, renoise(), 2)
    monkeypatch.undo()
    assert len(list(state(out).rglob("*.safetensors"))) == 2
    invert_shard(shard[0], None, out, engine, renoise(), 2)
    invert_shard(shard[0], None, tmp_path / "whole.safetensors", engine, renoise(), 2)
    invert_shard(shard[0], None, tmp_path / "other.safetensors", replace(engine, batch_size=3), renoise(), 2)
    whole, resumed, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "resumed", "other"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert all(torch.allclose(whole[key].float(), other[key].float(), atol=1e-4) for key in whole)
    assert Latents(out).evaluations == Latents(tmp_path / "whole.safetensors").evaluations
