"""An untrained vocoder to evaluate."""

import pytest
import torch

from tests.conftest import TINY
from waveflow import Vocoder, VocoderConfig


@pytest.fixture(scope="module")
def vocoder():
    torch.manual_seed(0)
    return Vocoder(VocoderConfig.from_dict({"model": TINY})).eval()
