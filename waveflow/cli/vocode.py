"""Recordings are copy-synthesised, mel spectrograms synthesised.

A recording is resampled to the model's rate, cut to whole hops, turned into a mel, and made
again from that. A mel is (n_mels, frames) or (1, n_mels, frames), natural log, in an .npy, an
.npz with an array "mel", or a .pt with a tensor; an .npz of `waveflow mel` says how it was
made and is refused by a model that reads another kind. Files that hold objects are refused.

Examples:
  waveflow vocode speech.wav -o copy.wav
  waveflow vocode mels/*.npz -o sounds/ --temperature 0.8
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from waveflow.cli.arguments import add_model, add_out, add_synthesis, choose_device, load_vocoder
from waveflow.cli.files import AUDIO_OUTPUTS, MEL_OUTPUTS, each, plan_outputs

SUMMARY = "mel spectrograms, or recordings by way of theirs, to sound"


def describe(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings or mel spectrograms")
    add_out(parser, "sound file (.wav, .flac) of a single FILE, or folder for <stem>.wav of each")
    add_model(parser)
    add_synthesis(parser)


def work(arguments: Namespace) -> int:
    """Write the sound of every file; the result is the exit code."""
    files = [Path(file) for file in arguments.files]
    outputs = plan_outputs(files, arguments.out, AUDIO_OUTPUTS)

    from waveflow.audio import LogMel, write_audio
    from waveflow.evaluation import read_recording
    from waveflow.mel_file import read_mel

    device = choose_device(arguments.device)
    vocoder = load_vocoder(arguments.model).to(device)
    config = vocoder.config.mel
    log_mel = LogMel(config)  # on the CPU, so that a recording and its `waveflow mel` agree

    def vocode(file: Path, output: Path) -> None:
        if file.suffix.lower() in MEL_OUTPUTS:
            mel, mel_config = read_mel(file)
        else:
            mel, mel_config = read_recording(file, log_mel).mel[None], config
        audio = vocoder(
            mel.to(device),
            temperature=arguments.temperature,
            consistency=arguments.consistency,
            seed=arguments.seed,
            mel_config=mel_config,
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        write_audio(output, audio[0].cpu(), config.sample_rate)

    return each(files, vocode, outputs)
