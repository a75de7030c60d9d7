"""The shard's inversion and reconstructions, and a call that fails in the middle."""

import pytest
from paper import renoise

from blemish.corruption.invert import invert_shard
from blemish.corruption.reconstruct import reconstruct_shard


@pytest.fixture
def inverted(tmp_path, engine, shard):
    """The shard's inversion, n -> file."""
    files = {n: tmp_path / f"{n}.safetensors" for n in (0, 1, 2)}
    for n, out in files.items():
        invert_shard(shard[0], files.get(n - 1), out, engine, renoise(), n)
    return files


@pytest.fixture
def reconstructed(tmp_path, engine, shard, inverted):
    """The shard's reconstructions."""
    reconstruct_shard(shard[0], inverted[0], tmp_path / "reconstructed.parquet", engine)
    return tmp_path / "reconstructed.parquet"


@pytest.fixture
def interrupted(diffusion, monkeypatch):
    """Lets the third call of a method of the model raise an InterruptedError."""

    def interrupt(name):
        calls, function = [], getattr(diffusion, name)

        def failing(*arguments):
            calls.append(1)
            if len(calls) == 3:
                raise InterruptedError
            return function(*arguments)

        monkeypatch.setattr(diffusion, name, failing)

    return interrupt
