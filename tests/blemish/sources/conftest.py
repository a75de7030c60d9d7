"""The web server that tests of sources fetch from."""

import pytest
from server import Server, serving


@pytest.fixture
def server():
    with serving(Server()) as running:
        yield running
