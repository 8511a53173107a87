"""Reading, resampling and writing sound files, the damaged ones among them."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import struct
import threading
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from waveflow.audio import read_audio, reading, resample, write_audio
from waveflow.audio.writing import write_audio_pieces
from waveflow.io import pipes

CLIP = Path(__file__).parents[2] / "data" / "clips" / "LJ001-0016.flac"


def tone(hertz: float, sample_rate: int, seconds: float = 0.5) -> Tensor:
    time = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return 0.5 * torch.sin(2 * math.pi * hertz * time)


def header(samples: int, *, riff: int | None = None, data: int | None = None) -> bytes:
    """The header of a mono 16-bit WAV, with lengths that may lie."""
    riff = 36 + 2 * samples if riff is None else riff
    data = 2 * samples if data is None else data
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 22050, 44100, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", data)


def pcm(samples: int) -> bytes:
    return (tone(440, 22050)[:samples] * 32768).round().numpy().astype("<i2").tobytes()


def test_a_recording_reads_as_soundfile_reads_it() -> None:
    audio, rate = read_audio(CLIP)
    expected, _ = soundfile.read(CLIP, dtype="float32")
    assert rate == 22050
    assert audio.dtype == torch.float32
    assert audio.shape == (116125,)
    assert np.array_equal(audio.numpy(), expected)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 1 / 128),
        ("a.wav", {"subtype": "PCM_16"}, 1 / 32768),
        ("a.wav", {"subtype": "PCM_16", "endian": "BIG"}, 1 / 32768),
        ("a.wav", {"subtype": "PCM_24"}, 2**-23),
        ("a.wav", {"subtype": "PCM_32"}, 1e-7),
        ("a.wav", {"subtype": "FLOAT"}, 1e-7),
        ("a.wav", {"subtype": "DOUBLE"}, 1e-7),
        ("a.flac", {"subtype": "PCM_16"}, 1 / 32768),
        ("a.flac", {"subtype": "PCM_24"}, 2**-23),
        ("a.aiff", {"subtype": "PCM_16"}, 1 / 32768),
        ("a.ogg", {"subtype": "VORBIS"}, 0.05),
    ],
)
def test_every_format_reads_at_full_scale_one(tmp_path, name, options, tolerance) -> None:
    expected = tone(440, 22050)
    soundfile.write(tmp_path / name, expected.numpy(), 22050, **options)
    audio, rate = read_audio(str(tmp_path / name))
    assert rate == 22050
    assert audio.dtype == torch.float32
    torch.testing.assert_close(audio.double(), expected, rtol=0, atol=tolerance)


def test_channels_are_averaged(tmp_path) -> None:
    channels = torch.stack([tone(440, 22050), tone(660, 22050), torch.full((11025,), 0.3)], 1)
    soundfile.write(tmp_path / "a.wav", channels.numpy(), 22050, subtype="FLOAT")
    audio, _ = read_audio(tmp_path / "a.wav")
    torch.testing.assert_close(audio, channels.mean(1).float(), rtol=0, atol=1e-6)


def test_reading_at_another_rate_keeps_pitch_phase_and_level(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1000, 48000).numpy(), 48000, subtype="FLOAT")
    audio, rate = read_audio(tmp_path / "a.wav", 22050)
    assert rate == 22050
    assert audio.dtype == torch.float32
    expected = tone(1000, 22050)
    assert audio.shape == expected.shape
    inner = slice(500, -500)  # the filter sees the tone begin and end
    torch.testing.assert_close(audio.double()[inner], expected[inner], rtol=0, atol=1e-4)


def test_the_rate_asked_for_may_be_the_rate_there_is() -> None:
    same, rate = read_audio(CLIP, 22050)
    assert rate == 22050
    assert torch.equal(same, read_audio(CLIP)[0])


@pytest.mark.parametrize(("from_rate", "to_rate"), [(48000, 22050), (16000, 22050), (44100, 22050)])
def test_resample_moves_a_tone_and_removes_what_cannot_be_held(from_rate, to_rate) -> None:
    inner = slice(500, -500)
    for hertz, decibels in [(3000, 0.001), (0.45 * min(from_rate, to_rate), 0.02)]:
        moved = resample(tone(hertz, from_rate), from_rate, to_rate)
        ripple = 0.5 * (10 ** (decibels / 20) - 1)
        torch.testing.assert_close(moved[inner], tone(hertz, to_rate)[inner], rtol=0, atol=ripple)
    if from_rate > to_rate:
        gone = resample(tone(0.52 * to_rate, from_rate), from_rate, to_rate)
        assert gone[inner].abs().max() < 1e-4


@pytest.mark.parametrize("length", [0, 1, 2, 3, 1000, 1001])
@pytest.mark.parametrize("rates", [(48000, 22050), (22050, 48000), (44100, 22050), (8000, 22050)])
def test_resample_gives_every_sample_that_the_time_holds(rates, length) -> None:
    from_rate, to_rate = rates
    audio = resample(torch.full((length,), 0.5), from_rate, to_rate)
    assert audio.shape == (math.ceil(length * to_rate / from_rate),)
    assert (audio != 0).all()  # none is silence put there to fill up


def test_resample_keeps_shape_and_type() -> None:
    audio = torch.randn(2, 3, 1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = resample(audio, 44100, 22050)
    assert together.shape == (2, 3, 500)
    assert together.dtype == torch.float64
    torch.testing.assert_close(together[1, 2], resample(audio[1, 2], 44100, 22050))
    assert resample(audio.bfloat16(), 44100, 22050).dtype == torch.bfloat16
    assert resample(audio, 22050, 22050) is audio
    assert resample(audio[:0], 44100, 22050).shape == (0, 3, 500)


@pytest.mark.parametrize("rate", [22050, 16000, 48000])
def test_reading_in_pieces_is_reading_the_whole(tmp_path, monkeypatch, rate) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 10_000)
    whole, _ = read_audio(CLIP, rate)
    monkeypatch.setattr(reading, "_BLOCK", 4321)
    pieces = list(reading.read_audio_pieces(CLIP, rate))
    assert len(pieces) > 20
    assert torch.equal(torch.cat(pieces), whole)
    soundfile.write(tmp_path / "a.wav", 3 * whole.numpy(), rate, subtype="FLOAT")
    with pytest.warns(UserWarning, match=r"a.wav: clipped \d+ of \d+ .* the peak was") as caught:
        pieces = list(reading.read_audio_pieces(tmp_path / "a.wav", 22050))
    assert len(caught) == 1
    assert torch.cat(pieces).abs().max() == 1


@pytest.mark.parametrize("size", [2**10, 2**25])
def test_a_pipe_is_read_once(tmp_path, size) -> None:
    """From a few bytes on it is kept on the disk."""
    expected = tone(440, 22050, size / 44100)
    soundfile.write(tmp_path / "a.wav", expected.numpy(), 22050)
    contents = (tmp_path / "a.wav").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(contents,))
    writer.start()
    audio, _ = read_audio(tmp_path / "pipe")
    writer.join()
    assert torch.equal(audio, read_audio(tmp_path / "a.wav")[0])


def test_a_pipe_without_end_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pipes, "MOST_PIPED", 2**21)
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), (tmp_path / "pipe").open("wb") as pipe:
            pipe.write(bytes(2**23))

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(ValueError, match=r"pipe: expected at most 2097152 bytes from a pipe"):
        read_audio(tmp_path / "pipe")
    writer.join()


@pytest.mark.parametrize("rate", [0, -1, 22050.0, "22050"])
def test_rates_that_are_none_are_refused(tmp_path, rate) -> None:
    for call in (
        lambda: resample(torch.zeros(9), rate, 22050),
        lambda: resample(torch.zeros(9), 22050, rate),
        lambda: read_audio(CLIP, rate),
        lambda: write_audio(tmp_path / "a.wav", torch.zeros(9), rate),
    ):
        with pytest.raises(ValueError, match=f"a positive integer, in Hz; got {rate!r}"):
            call()


@pytest.mark.parametrize(
    ("audio", "got"),
    [
        (np.zeros(9), "ndarray"),
        (torch.zeros(9, dtype=torch.int16), "torch.int16"),
        (torch.tensor(0.0), r"shape \(\)"),
    ],
)
def test_resample_refuses_what_is_no_audio(audio, got) -> None:
    with pytest.raises(
        ValueError, match=rf"floating-point audio of shape \(..., time\); got .*{got}"
    ):
        resample(audio, 22050, 44100)


@pytest.mark.parametrize("name", ["a.wav", "a.FLAC"])
def test_every_16_bit_value_survives_reading_and_writing(tmp_path, name) -> None:
    values = np.random.default_rng(0).permutation(np.arange(-32768, 32768)).astype(np.int16)
    soundfile.write(tmp_path / "all.wav", values, 22050)
    audio, rate = read_audio(tmp_path / "all.wav")
    write_audio(tmp_path / name, audio, rate)
    written, rate = soundfile.read(tmp_path / name, dtype="int16")
    assert rate == 22050
    assert np.array_equal(written, values)
    info = soundfile.info(tmp_path / name)
    assert info.subtype == "PCM_16"
    assert info.format == name[2:].upper()


def test_writing_rounds_to_the_nearest_step(tmp_path) -> None:
    steps = torch.tensor([10.4, 10.6, -10.4, -10.6, 0.4, -0.4, 32767.4, -32767.6])
    write_audio(tmp_path / "a.wav", steps / 32768, 22050)
    written, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert written.tolist() == [10, 11, -10, -11, 0, 0, 32767, -32768]


def test_full_scale_is_written_without_a_warning(tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_audio(tmp_path / "a.wav", torch.tensor([1.0, -1.0], requires_grad=True), 22050)
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [32767, -32768]


def test_what_lies_beyond_full_scale_is_clipped_with_a_warning_and_never_wrapped(tmp_path) -> None:
    with pytest.warns(UserWarning, match=r"a.wav: clipped 3 of 4 .* peak was 2.5$") as caught:
        write_audio(tmp_path / "a.wav", torch.tensor([1.5, -2.5, 0.5, 1.01]), 22050)
    assert caught[0].filename == __file__
    written, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert written.tolist() == [32767, -32768, 16384, 32767]


def test_a_float_file_beyond_full_scale_is_clipped_with_a_warning(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5, 1.5, -3.0]), 22050, subtype="FLOAT")
    with pytest.warns(UserWarning, match=r"a.wav: clipped 2 of 3 .* peak was 3$") as caught:
        audio, _ = read_audio(tmp_path / "a.wav")
    assert caught[0].filename == __file__
    assert audio.tolist() == [0.5, 1.0, -1.0]


def test_integers_stored_as_floats_are_refused(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, 9000.0, -20000.0]), 22050, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"a.wav: expected samples in \[-1, 1\]; got .* 20000$"):
        read_audio(tmp_path / "a.wav")


def test_a_missing_file_is_file_not_found(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.wav"):
        read_audio(tmp_path / "none.wav")


AUDIO = pcm(4000)
DAMAGED = {
    "nothing.wav": (b"", "a whole sound file"),
    "text.wav": (b"no sound at all\n" * 100, "a whole sound file"),
    "text.raw": (b"no sound at all\n" * 100, "a whole sound file"),
    "half-header.wav": (header(4000)[:30], "a whole sound file"),
    "no-data.wav": (header(4000), "8000 bytes of samples .* got 0: the file was cut short"),
    "half.wav": (header(4000) + AUDIO[:4000], "8000 bytes of samples .* got 4000: .* cut short"),
    "last-byte.wav": (header(4000) + AUDIO[:-1], "8000 bytes of samples .* got 7999: .* cut short"),
    "empty.wav": (header(0), "audio; got a file of 0 samples"),
    "empty-with-tags.wav": (
        header(0, riff=60) + struct.pack("<4sI", b"LIST", 16) + b"INFOISFT\x04\0\0\0wave",
        "audio; got a file of 0 samples",
    ),
    "empty-stream.wav": (header(0, riff=0xFFFFFFFF, data=0xFFFFFFFF), "audio; got a file of 0"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_in_one_line_with_their_name(tmp_path, name) -> None:
    contents, expected = DAMAGED[name]
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError, match=f"{name}: expected {expected}") as caught:
        read_audio(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_flac_cut_short_is_refused(tmp_path, kept) -> None:
    contents = CLIP.read_bytes()
    (tmp_path / "a.flac").write_bytes(contents[: round(kept * len(contents))])
    with pytest.raises(ValueError, match=r"a.flac: expected"):
        read_audio(tmp_path / "a.flac")


def test_a_flac_that_does_not_say_its_length_is_refused(tmp_path) -> None:
    contents = bytearray(CLIP.read_bytes())
    contents[21] &= 0xF0  # the 36-bit count of samples in STREAMINFO
    contents[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(contents)
    with pytest.raises(
        ValueError, match=r"a.flac: expected a FLAC file with its length in the header"
    ):
        read_audio(tmp_path / "a.flac")


WHOLE = [
    ("WAV", "PCM_16"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("AIFF", "ULAW"),  # an AIFF-C
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "FLOAT"),
    ("SVX", "PCM_16"),
    ("FLAC", "PCM_16"),
]


def stored(kind: str, subtype: str, *, endian: str | None = None) -> bytes:
    """A file of 22050 samples."""
    file = BytesIO()
    soundfile.write(
        file, tone(440, 22050, 1.0).numpy(), 22050, format=kind, subtype=subtype, endian=endian
    )
    return file.getvalue()


def tag(size: int, *, footer: bool = False) -> bytes:
    """An ID3v2 tag that holds that many bytes."""
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = b"ID3\x04\x00" + bytes([0x10 * footer]) + digits
    return head + bytes(size) + (b"3DI" + head[3:]) * footer


@pytest.mark.parametrize("tags", [b"", tag(2000), tag(200000), tag(64, footer=True) + tag(300)])
@pytest.mark.parametrize(("kind", "subtype"), WHOLE)
def test_a_file_is_read_whole_or_refused(tmp_path, kind, subtype, tags) -> None:
    contents = stored(kind, subtype)
    (tmp_path / "a.snd").write_bytes(tags + contents)
    audio, _ = read_audio(tmp_path / "a.snd")
    assert len(audio) == 22050
    assert torch.equal(audio, torch.from_numpy(soundfile.read(BytesIO(contents))[0]).float())
    frame = (len(contents) - len(stored_nothing(kind, subtype))) // 22050 or 1
    for kept in (-1, -frame, -1000, len(contents) // 2, 5000, 100, 40, 20, 4):
        (tmp_path / "a.snd").write_bytes(tags + contents[:kept])
        with pytest.raises(ValueError, match=r"a.snd: expected"):
            read_audio(tmp_path / "a.snd")


def stored_nothing(kind: str, subtype: str) -> bytes:
    file = BytesIO()
    soundfile.write(file, np.zeros(0), 22050, format=kind, subtype=subtype)
    return file.getvalue()


def test_an_aiff_cut_short_is_refused(tmp_path) -> None:
    soundfile.write(tmp_path / "a.aiff", tone(440, 22050).numpy(), 22050)
    contents = (tmp_path / "a.aiff").read_bytes()
    (tmp_path / "a.aiff").write_bytes(contents[:-1000])
    with pytest.raises(ValueError, match=r"a.aiff: expected .* the file was cut short"):
        read_audio(tmp_path / "a.aiff")


@pytest.mark.parametrize("riff", [0, 36, 36 + 8000, 0xFFFFFFFF])
@pytest.mark.parametrize("data", [0, 0x7FFFF000, 0xFFFFFFFF - 36, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_is_read_to_its_end(tmp_path, riff, data) -> None:
    (tmp_path / "a.wav").write_bytes(header(4000, riff=riff, data=data) + AUDIO)
    audio, _ = read_audio(tmp_path / "a.wav")
    assert (audio * 32768).short().numpy().tobytes() == AUDIO


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (2000000036, 2000000000),
        (2000000000, 2000000000),
        (2000000000, 1999999964),
        (0x7FFFFFFF, 0x7FFFFFFF),
        (0x7FFFFFFF, 0x7FFFFFDB),
        (0x7FFFF024, 0x7FFFF000),
        (0x80000024, 0x80000000),
        (0x7F000024, 0x7F000000),
        (0x3FFFFFFF, 0x3FFFFFDB),
        (0x40000024, 0x40000000),
        (0xFFFFFFFF, 2000000000),
        (2000000036, 0xFFFFFFFF),
        (2000000036, 0),
        (0, 1234567890),
        (36, 1234567890),
        (0xFFFFFF24, 0xFFFFFF00),
        (1000000036, 1000000000),
        (4000000036, 4000000000),
    ],
)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tags", [b"", tag(3000)])
def test_lengths_that_a_file_cannot_have_are_those_of_a_stream(
    tmp_path, riff, data, order, tags
) -> None:
    endian = "BIG" if order == ">" else None
    contents = bytearray(stored("WAV", "PCM_16", endian=endian))
    struct.pack_into(order + "I", contents, 4, riff)
    struct.pack_into(order + "I", contents, 40, data)
    (tmp_path / "a.wav").write_bytes(tags + contents)
    audio, _ = read_audio(tmp_path / "a.wav")
    torch.testing.assert_close(audio.double(), tone(440, 22050, 1.0), rtol=0, atol=1 / 32768)


@pytest.mark.parametrize("value", [0, 2**32 - 1, 2**31 - 1, 2 * 10**9])
@pytest.mark.parametrize("kind", ["AU", "AIFF", "RF64", "W64", "CAF"])
def test_other_formats_from_a_pipe_are_read_to_their_end(tmp_path, kind, value) -> None:
    contents = bytearray(stored(kind, "PCM_16"))
    form, place = {
        "AU": (">I", 8),
        "AIFF": (">I", contents.find(b"SSND") + 4),
        "RF64": ("<Q", contents.find(b"ds64") + 16),
        "W64": ("<Q", contents.find(b"data") + 16),
        "CAF": (">Q", contents.find(b"data") + 4),
    }[kind]
    struct.pack_into(form, contents, place, value)
    if form[1] == "Q" and value == 2**32 - 1:
        struct.pack_into(form, contents, place, 2**64 - 1)
    (tmp_path / "a.snd").write_bytes(contents)
    assert len(read_audio(tmp_path / "a.snd")[0]) == 22050


@pytest.mark.parametrize("data", [44102, 2**20, 200_012_346, 1_234_567_890, 3_123_456_788])
def test_lengths_that_a_file_can_have_are_promises(tmp_path, data) -> None:
    contents = header(22050, riff=data + 36, data=data) + pcm(22050)
    (tmp_path / "a.wav").write_bytes(contents)
    with pytest.raises(ValueError, match=f"a.wav: expected {data} bytes of samples"):
        read_audio(tmp_path / "a.wav")


def test_chunks_around_the_samples_are_no_samples(tmp_path) -> None:
    tags = struct.pack("<4sI", b"LIST", 15) + b"INFOISFT\x03\0\0\0abc\0"
    start, data = header(4000)[:-8], header(4000)[-8:]
    (tmp_path / "a.wav").write_bytes(start + tags + data + AUDIO + tags)
    audio, _ = read_audio(tmp_path / "a.wav")
    assert (audio * 32768).short().numpy().tobytes() == AUDIO
    (tmp_path / "a.wav").write_bytes(start + tags + data + AUDIO[:-2])
    with pytest.raises(ValueError, match=r"got 7998: the file was cut short"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(tmp_path, value) -> None:
    samples = tone(440, 22050)
    samples[100] = value
    soundfile.write(tmp_path / "a.wav", samples.numpy(), 22050, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"a.wav: expected finite samples; got NaN or infinity"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=r"b.wav: expected finite samples; got NaN or infinity"):
        write_audio(tmp_path / "b.wav", samples, 22050)
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "audio", "message"),
    [
        ("a.mp3", torch.zeros(9), r"a name ending in .wav or .flac; got '.mp3'"),
        ("a", torch.zeros(9), r"a name ending in .wav or .flac; got ''"),
        ("a.wav", torch.zeros(1, 9), r".* shape \(time,\); got torch.float32 of shape \(1, 9\)"),
        ("a.wav", torch.zeros(9, dtype=torch.int16), "floating-point audio .* got torch.int16"),
        ("a.wav", np.zeros(9), "floating-point audio .* got ndarray"),
        ("a.wav", torch.zeros(0), "audio; got 0 samples"),
    ],
)
def test_writing_refuses_what_it_cannot_write(tmp_path, name, audio, message) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected {message}"):
        write_audio(tmp_path / name, audio, 22050)
    assert not os.listdir(tmp_path)


def test_a_rate_beyond_the_format_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"a.flac: expected a sample rate .* got 1000000"):
        write_audio(tmp_path / "a.flac", torch.zeros(9), 1_000_000)
    assert not os.listdir(tmp_path)


def test_a_missing_folder_is_an_error_that_says_so(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such folder to write to: .*none'"):
        write_audio(tmp_path / "none" / "a.wav", torch.zeros(9), 22050)
    assert not os.listdir(tmp_path)


def test_the_name_appears_only_when_the_file_is_complete(tmp_path, monkeypatch) -> None:
    seen = []
    replace = os.replace

    def watched(part, path):
        seen.append((Path(part).parent, os.listdir(tmp_path), soundfile.info(part).frames))
        replace(part, path)

    monkeypatch.setattr(os, "replace", watched)
    write_audio(tmp_path / "a.wav", torch.zeros(5000), 22050)
    ((folder, names, frames),) = seen
    assert folder == tmp_path
    assert frames == 5000
    assert len(names) == 1
    assert names != ["a.wav"]
    assert os.listdir(tmp_path) == ["a.wav"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path) -> None:
    write_audio(tmp_path / "a.wav", torch.full((100,), 0.5), 22050)
    before = (tmp_path / "a.wav").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_audio(tmp_path / "a.wav", torch.zeros(50000), 22050)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


def test_a_name_that_cannot_be_replaced_leaves_nothing_behind(tmp_path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(IsADirectoryError):
        write_audio(tmp_path / "a.wav", torch.zeros(9), 22050)
    assert os.listdir(tmp_path) == ["a.wav"]
    assert not os.listdir(tmp_path / "a.wav")


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path) -> None:
    (tmp_path / "plain").touch()
    write_audio(tmp_path / "a.wav", torch.zeros(9), 22050)
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_pieces_make_the_file_of_the_whole(tmp_path, name) -> None:
    audio, rate = read_audio(CLIP)
    write_audio(tmp_path / name, audio, rate)
    cuts = torch.randint(1, 30000, (40,), generator=torch.Generator().manual_seed(0)).cumsum(0)
    pieces = torch.tensor_split(audio, cuts[cuts < len(audio)])
    assert write_audio_pieces(tmp_path / f"pieces-{name}", iter(pieces), rate) == len(audio)
    assert (tmp_path / f"pieces-{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_clipping_in_pieces_is_told_once(tmp_path) -> None:
    pieces = [torch.tensor([1.5, 0.5]), torch.tensor([-2.5]), torch.tensor([0.25])]
    with pytest.warns(UserWarning, match=r"a.wav: clipped 2 of 4 .* peak was 2.5$") as caught:
        write_audio_pieces(tmp_path / "a.wav", pieces, 22050)
    assert [warning.filename for warning in caught] == [__file__]
    written, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert written.tolist() == [32767, 16384, -32768, 8192]


class SourceEnds(Exception):
    """Raised by a source of pieces."""


def failing():
    yield torch.zeros(5000)
    raise SourceEnds


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        (failing(), SourceEnds),
        (iter([]), ValueError),
        ([torch.zeros(9), torch.tensor([math.nan])], ValueError),
        ([torch.zeros(9), torch.zeros(1, 9)], ValueError),
    ],
    ids=["source", "none", "nan", "shape"],
)
def test_pieces_that_fail_leave_the_old_file_and_nothing_else(tmp_path, pieces, error) -> None:
    (tmp_path / "a.wav").write_bytes(b"old")
    with pytest.raises(error):
        write_audio_pieces(tmp_path / "a.wav", pieces, 22050)
    assert os.listdir(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_disk_that_fills_up_between_pieces_is_told(tmp_path, name) -> None:
    noise = torch.rand(50000, generator=torch.Generator().manual_seed(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32768, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_audio_pieces(tmp_path / name, noise.split(4096), 22050)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_an_interrupt_in_the_midst_of_writing_comes_through(tmp_path, monkeypatch, name):
    """libsndfile, which calls what writes, would swallow it."""

    def interrupted(content):
        raise KeyboardInterrupt

    monkeypatch.setattr("waveflow.audio.writing.memoryview", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        write_audio(tmp_path / name, torch.zeros(9), 22050)
    assert not os.listdir(tmp_path)
