"""What tests of streams share."""

import gc

import pytest


@pytest.fixture(scope="module")
def frozen_past():
    """Leaves all that is there out of ``bytes_of_tensors``, which is then quick."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
