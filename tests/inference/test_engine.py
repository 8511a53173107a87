"""The frozen form is the vocoder, up to rounding, for as long as its weights are what they were."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from tests.conftest import mel_like, randomise, small_config
from waveflow import Vocoder
from waveflow.bijections import Bijection
from waveflow.bijections.long_term import sharpened
from waveflow.export.graph import SynthesisGraph
from waveflow.noise import positional_noise


def plain(vocoder, mel, *, seed=0):
    """The same sound by the vocoder's own modules."""
    synthesis = vocoder.config.synthesis
    samples = mel.shape[-1] * vocoder.config.mel.hop_length
    noise = synthesis.temperature * positional_noise(seed, len(mel), samples)
    z = noise.view(len(mel), -1, vocoder.config.model.groups).mT
    with torch.no_grad():
        flow = sharpened(vocoder.flow.bijection, synthesis.sharpness)
        sample = flow.inverse(z.to(mel), vocoder.context_net(mel))
        return vocoder._consistency(sample, mel, synthesis.consistency, synthesis.full_band)


def test_engine_is_the_vocoder(small, double):
    small.double()
    for frames in (1, 2, 5, 37):
        mel = mel_like(small, 2, frames)
        assert (small(mel, seed=3) - plain(small, mel, seed=3)).abs().max() <= 1e-9


def test_sharpness_is_of_the_lags_alone():
    """The engine and the exported graph sharpen alike; encode, decode and likelihood do not."""
    config = small_config("source_filter")
    synthesis = dataclasses.replace(config.synthesis, sharpness=3.0)
    sharp = randomise(Vocoder(dataclasses.replace(config, synthesis=synthesis)), 0.2).eval()
    usual = Vocoder(config).eval()
    usual.load_state_dict(sharp.state_dict())
    mel = mel_like(usual, 1, 20)
    audio, expected = sharp(mel, seed=0), plain(usual, mel)
    assert not torch.allclose(audio, expected, atol=1e-4)
    assert torch.equal(sharp.log_prob(expected, mel), usual.log_prob(expected, mel))
    usual.flow.bijection = sharpened(usual.flow.bijection, 3.0)
    assert (audio - plain(usual, mel)).abs().max() <= 1e-5
    noise = positional_noise(0, 1, audio.shape[1]).float()
    assert (SynthesisGraph(sharp, synthesis)(mel, noise) - audio).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ["ljspeech-nano", "ljspeech"])
def test_engine_is_the_bundled_vocoder(name, speech):
    vocoder = Vocoder.from_pretrained(name)
    mel = vocoder.mel(speech)
    assert (vocoder(mel, seed=1) - plain(vocoder, mel, seed=1)).abs().max() <= 1e-5


def test_engine_rounds_no_worse_than_the_plain_way(speech):
    """64 iterations enlarge what single precision rounds, either way, and by chance: one draw may
    differ from the next threefold.
    """
    vocoder = Vocoder.from_pretrained("ljspeech-hq")
    double = copy.deepcopy(vocoder).double()
    mel = vocoder.mel(speech)[..., :80]
    errors = torch.zeros(2, dtype=torch.float64)
    for seed in range(1, 5):
        exact = plain(double, mel.double(), seed=seed)
        for way, audio in enumerate((vocoder(mel, seed=seed), plain(vocoder, mel, seed=seed))):
            errors[way] += (audio - exact).square().mean()
            assert (audio - exact).abs().max() <= 1e-3
    error, error_plain = errors.sqrt()
    assert error <= 3 * error_plain


def test_batch_is_its_examples(small):
    mel = mel_like(small, 3, 20)
    audio = small(mel, seed=5, lengths=[20, 7, 1])
    for example, length in enumerate([20, 7, 1]):
        samples = length * small.config.mel.hop_length
        mel_of_others = mel_like(small, 3, 20)
        mel_of_others[example] = mel[example]
        alone = small(mel_of_others[:, :, :length], seed=5)[example]
        assert torch.equal(audio[example, :samples], alone)
        assert not audio[example, samples:].any()


def test_padding_may_hold_anything(ljspeech, speech):
    mel = ljspeech.mel(speech)[..., :20].repeat(2, 1, 1)
    mel[1, :, 12:] = float("nan")
    audio = ljspeech(mel, seed=0, lengths=torch.tensor([20, 12]))
    assert audio.isfinite().all()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([3], "one for each"), ([0, 3], "from 1 to"), ([4, 21], "from 1 to the mel's 20")],
)
def test_lengths_that_do_not_fit(ljspeech, lengths, message):
    with pytest.raises(ValueError, match=message):
        ljspeech(torch.full((2, 80, 20), -5.0), lengths=lengths)


def test_chunk_does_not_change_the_sound(small):
    mel = mel_like(small, 1, 20)
    whole = small(mel, seed=2)
    for chunk in (1, 7, 19):
        assert (small(mel, seed=2, chunk=chunk) - whole).abs().max() <= 1e-5
    with pytest.raises(ValueError, match="chunk of 1 frame or more"):
        small(mel, chunk=0)


def set_past_autograd(vocoder):
    vocoder.train()
    vocoder.context_net.start.bias.data += 0.1
    vocoder.eval()


def fused_step(vocoder):
    optimizer = torch.optim.Adam(vocoder.parameters(), lr=0.1, fused=True)
    vocoder.log_prob(vocoder(mel_like(vocoder, 1, 8)) * 0.1).sum().backward()
    optimizer.step()


def replaced_part(vocoder):
    vocoder.context_net.start = copy.deepcopy(vocoder.context_net.start)
    randomise(vocoder.context_net.start)


CHANGES = {
    "in place": lambda vocoder: nn.init.zeros_(vocoder.context_net.start.bias),
    "past autograd": set_past_autograd,
    "fused step": fused_step,
    "other part": replaced_part,
    "other precision": lambda vocoder: vocoder.half().float(),
    "loaded": lambda vocoder: vocoder.load_state_dict(
        randomise(copy.deepcopy(vocoder)).state_dict()
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_engine_follows_the_weights(change):
    vocoder = randomise(Vocoder(small_config("lapflow")), 0.05).eval()
    mel = mel_like(vocoder, 1, 8)
    before = vocoder(mel, seed=0)
    assert vocoder.engine() is vocoder.engine()
    CHANGES[change](vocoder)
    after = vocoder(mel, seed=0)
    assert not torch.equal(before, after)
    assert (after - plain(vocoder, mel)).abs().max() <= 1e-5


def test_a_vocoder_in_training_is_never_stale():
    vocoder = Vocoder(small_config("lapflow")).train()
    assert vocoder.engine() is not vocoder.engine()


def test_copies_have_engines_of_their_own():
    vocoder = Vocoder(small_config("lapflow")).eval()
    mel = mel_like(vocoder, 1, 8)
    vocoder(mel)
    other = copy.deepcopy(vocoder)
    randomise(other)
    assert not torch.equal(vocoder(mel, seed=0), other(mel, seed=0))


def test_unknown_parts_are_named(ljspeech):
    class Mine(Bijection):
        pass

    vocoder = Vocoder(small_config("nice")).eval()
    vocoder.flow.bijection = Mine()
    with pytest.raises(TypeError, match="no frozen form is known of Mine"):
        vocoder(mel_like(vocoder, 1, 4))


def test_audio_may_be_differentiated(small):
    audio = small(mel_like(small, 1, 8), seed=0)
    scale = torch.ones((), requires_grad=True)
    (scale * audio).square().sum().backward()
    assert scale.grad > 0
