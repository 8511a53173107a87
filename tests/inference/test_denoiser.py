"""The denoiser: what it takes away, what it leaves, and that pieces are the whole."""

import math
import random
import warnings

import pytest
import torch

from tests.conftest import MEL, randomise, small_config
from tests.inference.memory import bytes_of_tensors
from waveflow import Vocoder
from waveflow.audio import MEL_CONVENTIONS, MelConfig, MelWarning
from waveflow.inference.denoiser import Denoiser

CONFIG = MelConfig()
SMALL = MelConfig(**MEL)
CONVENTIONS = [
    MEL_CONVENTIONS["hifigan-22k"],
    MEL_CONVENTIONS["nvidia-22k"],
    MEL_CONVENTIONS["nemo-hifigan-22k"],
    SMALL,
    MelConfig(n_fft=33, win_length=20, hop_length=7, n_mels=4),
    MelConfig(n_fft=64, win_length=64, hop_length=64, n_mels=4, center=True),
]
EACH_CONVENTION = pytest.mark.parametrize(
    "config",
    CONVENTIONS,
    ids=lambda each: f"{each.center}-{each.pad_mode}-{each.n_fft}-{each.hop_length}",
)


def decibels(audio):
    return 10 * math.log10(audio.square().mean())


def tone(hertz, samples, amplitude=0.01, dtype=torch.float32):
    cycles = hertz / CONFIG.sample_rate * torch.arange(samples, dtype=torch.float64)
    return (amplitude * torch.sin(2 * torch.pi * cycles)).to(dtype)


def hiss(batch, samples, config=CONFIG, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    noise = 0.01 * torch.randn(batch, samples, generator=generator, dtype=torch.float64)
    return noise.to(dtype), Denoiser.from_noise(noise.to(dtype), config)


@pytest.fixture(scope="module")
def noisy():
    """An untrained WaveGlow, which is loud in silence, and what it makes of half a second of it."""
    torch.manual_seed(0)
    vocoder = randomise(Vocoder(small_config("waveglow")).eval(), scale=0.02)
    silence = torch.full((1, SMALL.n_mels, 690), math.log(SMALL.clamp))
    return vocoder, vocoder(silence, seed=99)


@pytest.mark.parametrize("name", ["lapflow", "waveglow"])
def test_its_own_silence_is_not_doubted(name):
    vocoder = randomise(Vocoder(small_config(name)).eval(), scale=0.02)
    silence = vocoder.mel(torch.zeros(1, 300 * SMALL.hop_length))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Denoiser.of(vocoder)
        vocoder(silence, seed=0, mel_config=SMALL)
        with pytest.raises(MelWarning):  # of a mel that nobody vouches for
            vocoder(silence, seed=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_strength_0_takes_nothing(speech, dtype):
    _, denoiser = hiss(1, 22050)
    audio = speech.to(dtype)
    kept = denoiser(audio, strength=0)
    assert kept.dtype == dtype
    assert torch.equal(kept, audio)


def test_the_formula_in_the_middle_of_a_clip(speech, double):
    """Beside torch's own transform: magnitudes lowered, floored at 0, phases kept."""
    noise, denoiser = hiss(2, 40000, dtype=torch.float64)
    audio = speech.double()
    window = torch.hann_window(1024, dtype=torch.float64)
    how = {"n_fft": 1024, "hop_length": 256, "window": window}
    frames = noise.unfold(1, 1024, 256) * window
    bias = torch.fft.rfft(frames).abs().mean((0, 1))
    torch.testing.assert_close(denoiser.bias, bias)
    # frame t begins at 256 t - 384, as when audio moved by 128 is cut into centred frames
    moved = torch.nn.functional.pad(audio, (128, 128))
    spectrum = torch.stft(moved, center=True, return_complex=True, **how)
    lowered = (spectrum.abs() - 0.7 * bias[:, None]).clamp_min(0)
    expected = torch.istft(torch.polar(lowered, spectrum.angle()), **how)[:, 128:-128]
    middle = slice(2048, -2048)
    got = denoiser(audio, strength=0.7)
    torch.testing.assert_close(got[:, middle], expected[:, middle], rtol=0, atol=1e-12)


def test_the_bias_is_of_each_frequency():
    """A tone known to the denoiser goes from silence, another stays."""
    known, other = tone(3000, 44032), tone(700, 44032)
    denoiser = Denoiser.from_noise(known[None], CONFIG)
    assert denoiser.bias.argmax() == round(3000 * 1024 / CONFIG.sample_rate)
    inside = slice(2048, -2048)
    gone = denoiser(known[None], strength=1.05)[0, inside]
    assert decibels(gone) < decibels(known) - 60
    kept = denoiser((known + other)[None], strength=1.05)[0, inside]
    assert decibels(kept - other[inside]) < decibels(other) - 50


def test_a_vocoders_own_sound_is_removed(noisy):
    """Seeds that were not listened to; more strength removes more."""
    vocoder, sound = noisy
    denoiser = Denoiser.of(vocoder, seconds=0.5)
    by = [decibels(sound) - decibels(denoiser(sound, strength=s)) for s in (0.1, 1, 3)]
    assert 0.5 < by[0] < 2
    assert by[1] > 8
    assert by[2] > 25


def test_it_listens_as_it_is_told_to(noisy):
    vocoder, _ = noisy
    usual = Denoiser.of(vocoder, seconds=0.1).bias
    assert torch.equal(usual, Denoiser.of(vocoder, seconds=0.1).bias)
    assert not torch.equal(usual, Denoiser.of(vocoder, seconds=0.1, seed=1).bias)
    hot = Denoiser.of(vocoder, seconds=0.1, temperature=1.0, consistency=0)
    cool = Denoiser.of(vocoder, seconds=0.1, temperature=0.25, consistency=0)
    nearer = Denoiser.of(vocoder, seconds=0.1, temperature=1.0, consistency=8)
    assert cool.bias.mean() < 0.7 * hot.bias.mean()
    assert nearer.bias.mean() < 0.7 * hot.bias.mean()


def test_several_takes_tell_more(noisy):
    """The first frame of one synthesis, or seconds of several: which is nearer to the truth?"""
    vocoder, _ = noisy
    truth = Denoiser.of(vocoder, takes=16, seconds=1, seed=7).bias
    one = Denoiser.of(vocoder, takes=1, seconds=0.002).bias
    several = Denoiser.of(vocoder, takes=4, seconds=0.5).bias
    far, near = ((bias - truth).abs().mean() / truth.mean() for bias in (one, several))
    assert near < 0.03
    assert far > 5 * near


def test_speech_hardly_changes(speech, ljspeech):
    """The bundled vocoder is as good as silent in silence."""
    denoiser = Denoiser.of(ljspeech, seconds=0.5, takes=2)
    copy = ljspeech(ljspeech.mel(speech), seed=0)
    for audio in (speech, copy):
        change = audio - denoiser(audio, strength=1)
        assert 60 < decibels(audio) - decibels(change) < 120


def test_a_batch_is_its_examples(speech):
    _, denoiser = hiss(1, 22050)
    both = torch.cat([speech, 0.3 * speech.flip(1)])
    together = denoiser(both, strength=0.5)
    for example in range(2):
        alone = denoiser(both[example : example + 1], strength=0.5)
        assert torch.equal(together[example : example + 1], alone)


@EACH_CONVENTION
@pytest.mark.parametrize("samples", [0, 1, 511, 512, 513, 6400])
def test_a_stream_is_the_whole(speech, config, samples):
    _, denoiser = hiss(1, 2048, config)
    audio = speech[0, :samples]
    whole = denoiser(audio[None], strength=0.5)[0]
    assert whole.shape == audio.shape
    chooser = random.Random(samples)
    for sizes in ((0, 1, 7, 100, 256), (256,), (5, 3000)):
        come = out = 0
        pieces = []
        push = denoiser.begin(strength=0.5)
        while come < samples:
            piece = audio[come : come + chooser.choice(sizes)]
            pieces.append(piece)
            come += len(piece)
            out += len(push(piece, False))
            assert 0 <= come - out <= denoiser.look_ahead
        got = list(denoiser.stream(pieces, strength=0.5))
        assert all(len(piece) for piece in got)
        assert torch.equal(torch.cat([audio[:0], *got]), whole)


def test_the_rest_of_a_hop_is_denoised_too():
    audio = tone(3000, 40 * 256 + 200)[None]
    denoiser = Denoiser.from_noise(audio, CONFIG)
    rest = denoiser(audio, strength=1.05)[0, -200:]
    assert decibels(rest) < decibels(audio) - 6


def test_samples_that_no_frame_sees_stay(speech):
    config = CONVENTIONS[-1]
    _, denoiser = hiss(1, 2048, config)
    loud = speech[:, :6400] * 100
    assert torch.equal(denoiser(loud, strength=1)[0, -32:], loud[0, -32:])


def test_pieces_may_be_used_again(speech):
    """A caller that fills one buffer over and over hears the same."""
    _, denoiser = hiss(1, 22050)
    push, buffer = denoiser.begin(strength=0.5), torch.empty(256)
    got = []
    for piece in speech[0].split(256):
        buffer.copy_(piece)
        got.append(push(buffer, False))
    got.append(push(buffer[:0], True))
    assert torch.equal(torch.cat(got), denoiser(speech, strength=0.5)[0])


def test_a_vocoders_stream_flows_through(noisy):
    vocoder, _ = noisy
    denoiser = Denoiser.of(vocoder, seconds=0.1)
    mel = torch.full((SMALL.n_mels, 90), -3.0)
    chunks = vocoder.stream(mel.split(7, 1), seed=5)
    streamed = torch.cat(list(denoiser.stream(chunks, strength=1)))
    whole = denoiser(vocoder(mel[None], seed=5), strength=1)[0]
    assert (streamed - whole).abs().max() <= 1e-6


def test_memory_does_not_grow(speech, frozen_past):
    """As many bytes are held after eight seconds as after two."""
    _, denoiser = hiss(1, 22050)
    push = denoiser.begin(strength=0.5)
    held = []
    for _ in range(4):
        for piece in speech[0].split(2560):
            push(piece, False)
        held.append(bytes_of_tensors())
    assert max(held[1:]) < held[0] + 8192


def test_precision_and_place_move_with_it(speech):
    _, denoiser = hiss(1, 22050)
    exact = Denoiser(denoiser.bias.double(), CONFIG)
    single = denoiser(speech, strength=0.5)
    double = exact(speech.double(), strength=0.5)
    assert (double - single).abs().max() < 1e-6
    moved = denoiser.to(torch.float64)
    assert (moved(speech.double(), strength=0.5) - double).abs().max() < 1e-8
    assert list(moved.state_dict()) == ["bias"]
    other = Denoiser(torch.zeros(513), CONFIG)
    other.load_state_dict(moved.state_dict())
    assert torch.equal(other.bias, moved.bias.float())


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (torch.zeros(100), "shape .batch, time."),
        (torch.zeros(1, 1, 100), "shape .batch, time."),
        (torch.zeros(1, 100, dtype=torch.int16), "floating-point.*int16"),
        (torch.full((1, 100), math.nan), "finite"),
        ([0.0], "got list"),
    ],
)
def test_bad_audio_is_refused(audio, words):
    _, denoiser = hiss(1, 22050)
    with pytest.raises(ValueError, match=words):
        denoiser(audio)


@pytest.mark.parametrize("strength", [-0.1, math.nan, math.inf])
def test_bad_strength_is_refused(strength):
    _, denoiser = hiss(1, 22050)
    for call in (denoiser, denoiser.stream):
        with pytest.raises(ValueError, match="expected a strength of 0 or more"):
            call(torch.zeros(1, 2560), strength=strength)


def test_other_bad_input_is_refused(noisy):
    vocoder, _ = noisy
    _, denoiser = hiss(1, 22050)
    with pytest.raises(ValueError, match="shape .samples,."):
        list(denoiser.stream([torch.zeros(1, 100)]))
    with pytest.raises(ValueError, match="shape .513,.; got"):
        Denoiser(torch.zeros(512), CONFIG)
    with pytest.raises(ValueError, match="0 or more"):
        Denoiser(torch.full((513,), -1.0), CONFIG)
    with pytest.raises(ValueError, match="1024 samples of noise"):
        Denoiser.from_noise(torch.zeros(1, 1000), CONFIG)
    with pytest.raises(ValueError, match="1 take or more"):
        Denoiser.of(vocoder, takes=0)
    with pytest.raises(ValueError, match="got 4 of 0"):
        Denoiser.of(vocoder, seconds=0)
