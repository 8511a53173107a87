"""Spectrograms: one scale wherever they are drawn."""

import math

import pytest
import torch

from waveflow.audio.pictures import LOUDEST, SOFTEST, draw_spectrogram, levels
from waveflow.training.logs import picture

RATE = 22050


@pytest.mark.parametrize("bin_number", [3, 46, 300])
def test_levels_are_those_of_a_tone(bin_number):
    tone = torch.sin(2 * math.pi * bin_number / 1024 * torch.arange(RATE, dtype=torch.float64))
    found = levels(tone, 256)
    assert found.shape == (513, RATE // 256 + 1)
    assert found[:, 20].argmax() == bin_number
    assert found[bin_number, 20] == pytest.approx(20 * math.log10(1024 / 4), abs=0.01)
    assert torch.equal(levels(0 * tone, 256), torch.full_like(found, -100))


def test_all_draw_the_same_levels():
    audio = 0.1 * torch.randn(RATE // 2)

    class Axis:
        def imshow(self, shown, *, extent, vmin, vmax, **rest):
            self.shown, self.extent, self.limits = shown, extent, (vmin, vmax)

    draw_spectrogram(axis := Axis(), audio, RATE)
    assert torch.equal(torch.from_numpy(axis.shown), levels(audio, 128))
    assert axis.extent == (0, 0.5, 0, RATE / 2000)
    assert axis.limits == (SOFTEST, LOUDEST)
    grey = picture(audio, audio, RATE)
    expected = (levels(audio, 64)[:256].flip(0) - SOFTEST) / (LOUDEST - SOFTEST)
    for half in (grey[:256], grey[-256:]):
        torch.testing.assert_close(half, expected.clamp(0, 1))
