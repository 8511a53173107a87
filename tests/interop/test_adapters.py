"""Every call shape, by the calling code of the project that has it."""

import dataclasses
import warnings
from pathlib import Path

import pytest
import torch
import torchaudio

from tests.conftest import TINY
from waveflow import LogMel, Vocoder, VocoderConfig
from waveflow.audio import read_audio
from waveflow.evaluation.metrics import stoi
from waveflow.interop.adapters import (
    AsCoqui,
    AsESPnet,
    AsHiFiGAN,
    AsNeMo,
    AsSpeechBrain,
    AsTorchaudio,
    AsTransformers,
    AsVocos,
    AsWaveGlow,
)
from waveflow.interop.mels import CONVENTIONS, convert

CLIP = Path(__file__).parents[2] / "data" / "clips" / "LJ001-0015.flac"


@pytest.fixture(scope="module")
def nano():
    return Vocoder.from_pretrained("ljspeech-nano")


@pytest.fixture(scope="module")
def audio():
    audio = read_audio(CLIP)[0][:44032]
    return audio[None]


@pytest.fixture(scope="module")
def mel(nano, audio):
    return nano.mel(audio)


@pytest.fixture(scope="module")
def own(nano, mel):
    return nano(mel, seed=0)


def tiny(convention):
    torch.manual_seed(0)
    config = VocoderConfig.from_dict({"model": TINY, "mel": convention})
    return Vocoder(config).eval()


def test_as_hifigan_in_the_way_of_matcha(nano, mel, own):
    vocoder = AsHiFiGAN(nano, convention="matcha-22k").eval()
    output = CONVENTIONS["matcha-22k"].write(mel)
    audio = vocoder(output).clamp(-1, 1)
    assert audio.shape == (1, 1, mel.shape[-1] * 256)
    assert (audio.cpu().squeeze() - own[0].clamp(-1, 1)).abs().max() < 1e-3
    assert vocoder(output[0]).shape == (1, mel.shape[-1] * 256)
    assert vocoder.sample_rate == 22050


def test_as_coqui_in_the_way_of_its_synthesizer(nano, mel, own):
    vocoder_model = AsCoqui(nano)
    vocoder_input = torch.tensor(mel[0].numpy()).unsqueeze(0)
    waveform = vocoder_model.inference(vocoder_input.to("cpu"))
    assert waveform.shape == (1, 1, own.shape[-1])
    assert torch.equal(torch.from_numpy(waveform.numpy().squeeze()), own[0])


def test_as_speechbrain(nano, mel, own):
    vocoder = AsSpeechBrain(nano)
    assert torch.equal(vocoder.decode_batch(mel), own[:, None])
    assert torch.equal(vocoder.decode_spectrogram(mel[0]), own)
    short = torch.nn.functional.pad(mel[..., :3], (0, mel.shape[-1] - 3))
    padded = torch.cat([mel, short])
    waveforms = vocoder.decode_batch(padded, torch.tensor([mel.shape[-1], 3]), hop_len=256)
    assert torch.equal(waveforms[0, 0], own[0])
    assert not waveforms[1, 0, 3 * 256 :].any()
    with pytest.raises(ValueError, match="hop_len: expected 256; got 300"):
        vocoder.decode_batch(mel, hop_len=300)


def test_as_nemo_vocos_and_waveglow(nano, mel, own):
    assert torch.equal(AsNeMo(nano).convert_spectrogram_to_audio(spec=mel), own)
    assert torch.equal(AsNeMo(nano)(spec=mel), own[:, None])
    assert torch.equal(AsVocos(nano).decode(mel), own)
    calm = AsWaveGlow(nano).infer(mel, sigma=0.3)
    assert torch.equal(calm, nano(mel, seed=0, temperature=0.3))


def test_as_espnet_with_its_statistics(nano, audio, mel):
    """Text2Speech hands over (frames, n_mels), decimal logarithms, normalised or not."""
    vocoder = tiny("espnet-22k")
    statistics = torch.linspace(-3, -1, 80), torch.linspace(0.5, 1, 80)
    normalised = CONVENTIONS["espnet-22k"].normalised(*(each.tolist() for each in statistics))
    log_mel = LogMel(vocoder.config.mel)(audio)[0]
    feat_gen_denorm = CONVENTIONS["espnet-22k"].write(log_mel)
    feat_gen = (feat_gen_denorm - statistics[0]) / statistics[1]
    wav = AsESPnet(vocoder, convention="espnet-22k")(feat_gen_denorm)
    assert wav.shape == (len(feat_gen) * 256,)
    assert (wav - vocoder(log_mel[None], seed=0)[0]).abs().max() < 1e-3
    assert (wav - AsESPnet(vocoder, convention=normalised)(feat_gen)).abs().max() < 1e-3
    assert AsESPnet(vocoder).fs == 22050
    with pytest.raises(ValueError, match="espnet-22k cannot become hifigan-22k: f_min"):
        AsESPnet(nano, convention="espnet-22k")


def test_as_torchaudio_in_the_place_of_a_bundles_vocoder(nano, audio, own):
    """Text to mel by the bundle's own processor and (random) Tacotron 2, then either vocoder."""
    bundle = torchaudio.pipelines.TACOTRON2_GRIFFINLIM_CHAR_LJSPEECH
    processor = bundle.get_text_processor()
    torch.manual_seed(0)
    tacotron2 = torchaudio.models.Tacotron2(
        n_symbol=len(processor.tokens),
        decoder_max_step=20,
        gate_threshold=2.0,  # never ends by itself
        encoder_embedding_dim=32,
        decoder_rnn_dim=32,
        attention_rnn_dim=32,
        postnet_embedding_dim=32,
        symbol_embedding_dim=32,
        prenet_dim=16,
    ).eval()
    text, text_lengths = processor(["A longer sentence.", "Hello."])
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that it would have gone on
        mel, lengths, _ = tacotron2.infer(text, text_lengths)
    lengths = torch.tensor([mel.shape[-1], 12])
    ours = AsTorchaudio(nano, convention="nvidia-22k")
    theirs = bundle.get_vocoder()
    assert ours.sample_rate == theirs.sample_rate
    waveforms, counts = ours(mel, lengths)
    others, _ = theirs(mel, lengths)
    assert waveforms.shape[0] == others.shape[0]
    assert abs(waveforms.shape[1] - others.shape[1]) <= 256  # theirs has no hop for a last frame
    assert counts.tolist() == [mel.shape[-1] * 256, 12 * 256]
    assert ours(mel)[1] is None


def test_as_torchaudio_stands_in_register_with_the_recording(nano, audio, own):
    """A mel of centred frames in a vocoder of frames that stand half a hop later."""
    log_mel = LogMel(CONVENTIONS["nvidia-22k"].front_end)
    spoken = AsTorchaudio(nano, convention="nvidia-22k")(log_mel(audio))[0][0]
    recorded = audio[0]
    rate = nano.config.mel.sample_rate
    plain = stoi(recorded[: own.shape[-1]], own[0], rate)
    assert stoi(recorded, spoken[: len(recorded)], rate) > plain - 0.01
    # half a hop is seen at once by the mel itself
    again, asked = nano.mel(spoken[None, : len(recorded)]), nano.mel(audio)
    near = (again - asked)[..., 4:-4].abs().mean()
    late = (nano.mel(spoken.roll(128)[None, : len(recorded)]) - asked)[..., 4:-4].abs().mean()
    assert near < 0.75 * late


def test_as_nemo_behind_fastpitch(nano, audio, own):
    """Centred frames, a symmetric window, silent edges, and 1e-5 added to every band."""
    fastpitch = CONVENTIONS["nemo-fastpitch-22k"]
    mel = fastpitch.write(LogMel(fastpitch.front_end)(audio))
    with pytest.raises(ValueError, match="window hann_symmetric, expected hann; pad_mode constant"):
        AsNeMo(nano, convention="nemo-fastpitch-22k")
    vocoder = AsNeMo(nano, convention="nemo-fastpitch-22k", allow=("window", "pad_mode"))
    spoken = vocoder.convert_spectrogram_to_audio(spec=mel)[0, : audio.shape[1]]
    rate = nano.config.mel.sample_rate
    assert stoi(audio[0], spoken, rate) > stoi(audio[0], own[0], rate) - 0.01


def test_a_centred_vocoder_takes_frames_of_hops(audio):
    vocoder = tiny("nvidia-22k")
    mel = LogMel(CONVENTIONS["hifigan-22k"].front_end)(audio)
    sound = AsHiFiGAN(vocoder, convention="hifigan-22k")(mel)[0, 0]
    direct = vocoder(mel, seed=0)[0]
    assert torch.equal(sound[128:], direct[:-128])
    assert not sound[:128].any()


def test_as_transformers_in_generate_speech():
    """SpeechT5's own generation, with a random model, speaks through a vocoder of its mels."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "speech_decoder_prenet_units": 16,
        "speech_decoder_postnet_units": 16,
        "speaker_embedding_dim": 8,
        "conv_dim": [32],
        "conv_stride": [5],
        "conv_kernel": [10],
        "vocab_size": 30,
    }
    model = transformers.SpeechT5ForTextToSpeech(transformers.SpeechT5Config(**sizes)).eval()
    vocoder = tiny("speecht5-16k")
    speaks = AsTransformers(vocoder, convention="speecht5-16k")
    text = torch.tensor([[4, 7, 9, 2], [5, 6, 2, 1]])
    speaker = torch.zeros(1, 8)

    torch.manual_seed(1)
    spectrogram = model.generate_speech(text[:1], speaker, maxlenratio=8.0)
    torch.manual_seed(1)
    waveform = model.generate_speech(text[:1], speaker, maxlenratio=8.0, vocoder=speaks)
    assert waveform.shape == (len(spectrogram) * 256,)
    mel = convert(spectrogram[None], "speecht5-16k", vocoder.config.mel)
    assert torch.equal(waveform, vocoder(mel, seed=0)[0])

    waveforms, lengths = model.generate_speech(
        text,
        speaker.expand(2, -1),
        attention_mask=(text != 1).long(),
        maxlenratio=8.0,
        vocoder=speaks,
        return_output_lengths=True,
    )
    assert waveforms.shape == (2, max(lengths))


def test_an_adapter_moves_and_repeats(nano, mel, own):
    adapter = AsHiFiGAN(nano, seed=None)
    assert adapter.vocoder is nano
    assert dict(adapter.named_parameters())  # a module like any other: .to(), .eval()
    torch.manual_seed(0)
    one, other = adapter(mel), adapter(mel)
    assert not torch.equal(one, other)
    half = dataclasses.replace(CONVENTIONS["hifigan-22k"], gain=0.5)
    assert torch.allclose(AsHiFiGAN(nano, convention=half)(mel / 2)[0], own, atol=1e-4)
