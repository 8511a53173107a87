"""The command ``waveflow``: what the library does, from a shell.

Every command is a pair of functions: one describes its arguments, one does its work. What is
heavy is imported by the latter, so that ``--help`` is quick and only ``train`` needs Lightning.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from waveflow.version import __version__

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder

AUDIO_OUTPUTS = (".wav", ".flac")
MEL_OUTPUTS = (".npz", ".npy", ".pt")
DEFAULT_MODEL = "ljspeech"

_EXPECTED = (ValueError, OSError, ImportError)
"""Errors that are the user's to mend: told in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    0: done; 1: an error, told in a line on stderr (with a traceback if WAVEFLOW_DEBUG is set);
    2: wrong arguments; 130: interrupted; 141: nobody reads the output any more.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            arguments = _parser().parse_args(argv)
            _, _, work = _COMMANDS[arguments.command]
            code = work(arguments[arguments.command])
            sys.stdout.flush()
            return code
    except ArgumentError as error:
        text = str(error)
        for command in _COMMANDS:
            text = text.replace(f" {command}.", " ")
        _say(f"error: {text} (waveflow --help tells more)")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _give_up_stdout()
        return 141
    except _EXPECTED as error:
        _tell(error)
        return 1


# --- the commands ---------------------------------------------------------------------------


def _describe_vocode(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings or mel spectrograms")
    _add_out(parser, "sound file (.wav, .flac) of a single FILE, or folder for <stem>.wav of each")
    _add_model(parser)
    _add_synthesis(parser)


def _vocode(arguments: Namespace) -> int:
    """Recordings are copy-synthesised, mel spectrograms synthesised.

    A recording is resampled to the model's rate, cut to whole hops, turned into a mel, and made
    again from that. A mel is (n_mels, frames) or (1, n_mels, frames), natural log, in an .npy, an
    .npz with an array "mel", or a .pt with a tensor; an .npz of `waveflow mel` says how it was
    made and is refused by a model that reads another kind. Files that hold objects are refused.

    Examples:
      waveflow vocode speech.wav -o copy.wav
      waveflow vocode mels/*.npz -o sounds/ --temperature 0.8
    """
    files = [Path(file) for file in arguments.files]
    outputs = _plan_outputs(files, arguments.out, AUDIO_OUTPUTS)

    from waveflow.audio import LogMel, write_audio
    from waveflow.evaluation import read_recording
    from waveflow.mel_file import read_mel

    device = _device(arguments.device)
    vocoder = _load(arguments.model).to(device)
    config = vocoder.config.mel
    log_mel = LogMel(config)  # on the CPU, so that a recording and its `waveflow mel` agree

    def work(file: Path, output: Path) -> None:
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

    return _each(files, work, outputs)


def _describe_mel(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    _add_out(parser, "file (.npz, .npy, .pt) of a single FILE, or folder for <stem>.npz of each")
    _add_model(parser)


def _mel(arguments: Namespace) -> int:
    """Recordings to mel spectrograms, as a model reads them.

    A recording is resampled to the model's rate and cut to whole hops. Its mel is float32,
    (n_mels, frames), natural log. An .npz holds it as "mel" and beside it, as "config", how it
    was made (JSON), which `waveflow vocode` checks; .npy and .pt hold the mel alone.

    Examples:
      waveflow mel speech.wav -o speech.npy
      waveflow mel clips/*.flac -o mels/
    """
    files = [Path(file) for file in arguments.files]
    outputs = _plan_outputs(files, arguments.out, MEL_OUTPUTS)

    from waveflow.audio import LogMel
    from waveflow.evaluation import read_recording
    from waveflow.mel_file import write_mel

    log_mel = LogMel(_load(arguments.model).config.mel)

    def work(file: Path, output: Path) -> None:
        mel = read_recording(file, log_mel).mel
        output.parent.mkdir(parents=True, exist_ok=True)
        write_mel(output, mel, log_mel.config)

    return _each(files, work, outputs)


def _describe_score(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    _add_model(parser)
    _add_device(parser)


def _score(arguments: Namespace) -> int:
    """The exact log-likelihood of recordings, a line of JSON each.

    "nats_per_sample" is the log-density that the model gives the audio, given its mel, over the
    number of samples: higher is likelier. "bits_per_sample" is what the 16-bit samples cost to
    encode at most: lower is likelier. Figures do not depend on a seed, nor on the other FILEs.

    Examples:
      waveflow score clips/*.flac
      waveflow score speech.wav --model run/model | jq .bits_per_sample
    """
    from waveflow.audio import LogMel
    from waveflow.evaluation import nats_per_sample, read_recording
    from waveflow.evaluation.recording import bits_per_sample

    vocoder = _load(arguments.model).to(_device(arguments.device))
    log_mel = LogMel(vocoder.config.mel)

    def work(file: Path, name: str) -> None:
        recording = read_recording(file, log_mel)
        nats = nats_per_sample(vocoder, recording)
        scores = {
            "file": name,
            "seconds": len(recording.audio) / log_mel.config.sample_rate,
            "nats_per_sample": nats,
            "bits_per_sample": bits_per_sample(nats),
        }
        print(json.dumps(scores), flush=True)

    return _each([Path(file) for file in arguments.files], work, arguments.files)


def _describe_evaluate(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FOLDER_OR_FILE", help="recordings, or folders of them"
    )
    parser.add_argument(
        "--split", metavar="LIST", help="file of clip ids, one a line: evaluate those alone"
    )
    parser.add_argument("-o", "--out", metavar="REPORT.json", help="write all figures there too")
    parser.add_argument(
        "--page", metavar="FOLDER", help="write a page there, with sounds and spectrograms"
    )
    parser.add_argument(
        "--baseline", action="store_true", help="score Griffin-Lim of the same mels beside"
    )
    parser.add_argument(
        "--no-pitch", action="store_true", help="do not track pitch, which takes the longest"
    )
    _add_model(parser)
    _add_synthesis(parser)


def _evaluate(arguments: Namespace) -> int:
    """Measure a model on recordings: likelihood, quality, intelligibility, speed.

    Each recording is scored by its exact likelihood, and its copy synthesis against it by
    wide-band PESQ (1 to 4.64), STOI (to 1), mel-cepstral distortion, error of the pitch and F1 of
    its presence, and, in REPORT.json, more; the speed is that of synthesis alone. Prints a
    Markdown table. Needs: pip install 'waveflow[evaluate]'.

    Examples:
      waveflow evaluate data/clips
      waveflow evaluate data/clips --baseline --page listen
      waveflow evaluate LJSpeech-1.1 --split data/splits/ljspeech_test.txt -o report.json
    """
    paths = _choose_clips([Path(file) for file in arguments.files], arguments.split)
    if arguments.out is not None:
        if Path(arguments.out).suffix.lower() != ".json":
            raise ValueError(f"--out: expected a file in .json; got {arguments.out}")
        if not Path(arguments.out).parent.is_dir():
            raise FileNotFoundError(f"--out: expected the folder of {arguments.out} to exist")

    from waveflow.evaluation import evaluate, evaluate_baseline, write_page
    from waveflow.files import write_atomically

    vocoder = _load(arguments.model).to(_device(arguments.device))
    options: dict[str, Any] = {
        "seed": arguments.seed,
        "pitch": not arguments.no_pitch,
        "progress": True,
    }
    report = evaluate(
        vocoder,
        paths,
        temperature=arguments.temperature,
        consistency=arguments.consistency,
        **options,
    )
    baseline = None
    if arguments.baseline:
        groups = getattr(vocoder.config.model, "groups", None)
        baseline = evaluate_baseline(paths, vocoder.config.mel, groups=groups, **options)
    if arguments.out is not None:
        write_atomically(arguments.out, f"{report.to_json(baseline)}\n".encode())
    print(report.to_table(baseline), flush=True)
    if arguments.page is not None:
        write_page(arguments.page, report, vocoder, baseline=baseline)
    return 0


def _describe_train(parser: ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG.yaml", help="recipe: model, data, optimizer")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of recordings")
    parser.add_argument(
        "--out", required=True, metavar="RUN", help="folder of the run; one begun there goes on"
    )
    parser.add_argument(
        "--resume", action="store_true", help="refuse to begin: a run must be there to go on with"
    )
    parser.add_argument(
        "--init-from",
        metavar="MODEL",
        help="begin with this model's weights (bundled name or folder), instead of the recipe's",
    )
    parser.add_argument(
        "--max-steps", type=_number(int, low=1), metavar="N", help="length, instead of the recipe's"
    )
    parser.add_argument(
        "--max-time", type=_duration, metavar="HH:MM:SS", help="stop, resumably, after this time"
    )
    parser.add_argument(
        "--seed", type=_number(int, high=2**32), metavar="S", help="seed, instead of the recipe's"
    )
    for which, what in (("validation", "validated on"), ("exclude", "left out")):
        parser.add_argument(
            f"--{which}-list",
            metavar="LIST",
            help=f"file of clip ids that are {what}, instead of the recipe's",
        )
    _add_device(parser)
    for which in ("devices", "nodes"):
        parser.add_argument(
            f"--{which}",
            type=_number(int, low=1),
            default=1,
            metavar="N",
            help={"devices": "on each machine", "nodes": "machines"}[which]
            + " that share each step (default: %(default)s)",
        )


def _train(arguments: Namespace) -> int:
    r"""Train a model by exact likelihood, or go on training it.

    RUN gets run.yaml, checkpoints, TensorBoard's events, and RUN/model, which every --model takes.
    The same command again goes on, as if the run had not been interrupted: by --max-time, SIGTERM,
    Ctrl-C (once: after the step), or worse. DIR is a folder of recordings, or a folder or address
    of what `waveflow shard` made. Needs: pip install 'waveflow[train]'.

    Examples:
      waveflow train recipes/ljspeech/lapflow.yaml --data LJSpeech-1.1 --out run
      waveflow train recipes/ljspeech/lapflow.yaml --data LJSpeech-1.1 --out run --max-time 08:00:00
      torchrun --nproc-per-node 8 -m waveflow train recipes/ljspeech/waveglow.yaml \
        --data LJSpeech-1.1 --out run --devices 8
    """
    from waveflow.training.config import TrainingConfig

    config = TrainingConfig.from_yaml(arguments.config).override(
        {
            "optimizer.max_steps": arguments.max_steps,
            "run.seed": arguments.seed,
            "run.init_from": arguments.init_from,
            "data.validation_list": arguments.validation_list,
            "data.exclude_list": arguments.exclude_list,
        }
    )
    try:
        from waveflow.training.run import train
    except ImportError as error:
        raise ImportError(f"training needs pip install 'waveflow[train]' ({error})") from error
    try:
        outcome = train(
            config,
            data=arguments.data,
            out=arguments.out,
            resume=arguments.resume,
            max_time=arguments.max_time,
            device=_device(arguments.device),
            devices=arguments.devices,
            nodes=arguments.nodes,
        )
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning ends on Ctrl-C by exiting
            raise KeyboardInterrupt from stop
        raise
    if not outcome.is_main:
        return 0
    model = Path(arguments.out) / "model"
    if outcome.stopped_by is not None:
        print(
            f"stopped after step {outcome.steps} ({outcome.stopped_by}); the same command goes on; "
            f"model so far in {model}"
        )
        return 130 if outcome.stopped_by == "SIGINT" else 0
    nats = outcome.nats_per_sample
    print(f"{nats:.4f} nats per sample on the validation clips; model in {model}")
    return 0


def _describe_shard(parser: ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG.yaml", help="recipe: mel and data.mels")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of recordings")
    parser.add_argument("--out", required=True, metavar="SHARDS", help="folder; made if missing")
    parser.add_argument(
        "--megabytes",
        type=_number(int, low=1),
        default=256,
        metavar="N",
        help="most that a shard takes (default: %(default)s)",
    )


def _shard(arguments: Namespace) -> int:
    """Make shards of a corpus, to train without holding it in memory, or on the local disk.

    SHARDS gets WebDataset tar files of all recordings, shuffled and at the recipe's sample rate,
    and index.npz. Mels are stored if the recipe has data.mels. `waveflow train --data` takes the
    folder, or the address of a copy (https://..., s3://...), and the same recipe, whose lists of
    clips apply there.

    Examples:
      waveflow shard recipes/ljspeech/lapflow.yaml --data LJSpeech-1.1 --out shards
      waveflow train recipes/ljspeech/lapflow.yaml --data shards --out run
    """
    from random import Random

    from tqdm import tqdm

    from waveflow.audio import LogMel
    from waveflow.training.config import TrainingConfig
    from waveflow.training.corpus import find_clips, load_clips
    from waveflow.training.shards import check_name, write_shards

    config = TrainingConfig.from_yaml(arguments.config)
    clips = find_clips(arguments.data)
    for name in clips:
        check_name(name)
    paths = list(clips.values())
    Random(0).shuffle(paths)
    mels = Path(arguments.data) / config.data.mels if config.data.mels else None
    bar = tqdm(paths, unit="file", leave=False, disable=None)
    index = write_shards(
        load_clips(bar, LogMel(config.mel), mels=mels),
        arguments.out,
        config.mel,
        megabytes=arguments.megabytes,
        store_mels=mels is not None,
    )
    hours = index.rows["samples"].sum() / config.mel.sample_rate / 3600
    size = sum(shard.size for shard in index.shards) / 1e6
    print(
        f"{len(index.names)} clips, {hours:.2f} hours, in {len(index.shards)} shards of "
        f"{size:.1f} megabytes together; in {arguments.out}"
    )
    return 0


def _describe_info(parser: ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="bundled name, or folder of a model (default: %(default)s)",
    )


def _info(arguments: Namespace) -> int:
    """What is installed, and what a model is, as YAML.

    Its arithmetic is that of synthesis, in billions of multiply-accumulates (GMAC): convolutions
    and matrix products, without FFTs and elementwise work.

    Examples:
      waveflow info
      waveflow info run/model
    """
    import torch
    import yaml

    from waveflow.evaluation import gmacs_per_second
    from waveflow.vocoder import bundled

    def show(values: dict[str, Any]) -> None:
        print(yaml.safe_dump(values, sort_keys=False), end="", flush=True)

    show({"waveflow": __version__, "torch": str(torch.__version__), "bundled": bundled()})
    vocoder = _load(arguments.model)
    weights = vocoder.state_dict().values()
    mel_config = vocoder.config.mel
    mel = vocoder.mel(torch.zeros(1, mel_config.sample_rate))
    seconds = mel.shape[-1] * mel_config.hop_length / mel_config.sample_rate
    gmacs = gmacs_per_second(lambda: vocoder(mel, seed=0), seconds)
    show(
        {
            "model": arguments.model,
            "parameters": sum(weight.numel() for weight in vocoder.parameters()),
            "megabytes": round(sum(weight.nbytes for weight in weights) / 1e6, 2),
            "arithmetic": f"{gmacs:.2f} GMAC per second of audio (synthesis)",
            "sample_rate": mel_config.sample_rate,
            "hop_length": mel_config.hop_length,
            "config": vocoder.config.to_dict(),
        }
    )
    return 0


_COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[[Namespace], int]]] = {
    "vocode": (
        "mel spectrograms, or recordings by way of theirs, to sound",
        _describe_vocode,
        _vocode,
    ),
    "mel": ("recordings to mel spectrograms", _describe_mel, _mel),
    "score": ("exact log-likelihood of recordings", _describe_score, _score),
    "evaluate": ("likelihood, quality, pitch and speed on a set", _describe_evaluate, _evaluate),
    "train": ("train a model", _describe_train, _train),
    "shard": ("shards of a corpus that is too large for memory or disk", _describe_shard, _shard),
    "info": ("versions, bundled models, and what a model is", _describe_info, _info),
}


# --- arguments ------------------------------------------------------------------------------


def _parser() -> ArgumentParser:
    style: dict[str, Any] = {
        "formatter_class": RawDescriptionHelpFormatter,
        "exit_on_error": False,
        "allow_abbrev": False,
    }
    parser = ArgumentParser(
        prog="waveflow",
        description="A flow-based vocoder with an exact likelihood: mel spectrograms to speech.",
        epilog="example: waveflow vocode speech.wav -o copy.wav",
        version=__version__,
        **style,
    )
    commands = parser.add_subcommands(dest="command", metavar="COMMAND")
    for name, (summary, describe, work) in _COMMANDS.items():
        command = ArgumentParser(description=_unindent(work.__doc__ or ""), **style)
        describe(command)
        commands.add_subcommand(name, command, help=summary)
    return parser


def _unindent(text: str) -> str:
    return re.sub(r"^    ", "", text, flags=re.MULTILINE).rstrip()


def _add_out(parser: ArgumentParser, text: str) -> None:
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help=f"{text}; made if missing"
    )


def _add_model(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="bundled name, or folder of a model such as RUN/model (default: %(default)s)",
    )


def _add_device(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", "auto"),
        default="auto",
        help="where to compute; auto is cuda where there is one (default: %(default)s)",
    )


def _add_synthesis(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--temperature",
        type=_number(float),
        metavar="T",
        help="standard deviation of the noise that sound is made of; below 1 is calmer "
        "(default: the model's own)",
    )
    parser.add_argument(
        "--consistency",
        type=_number(int),
        metavar="N",
        help="iterations that bring the sound nearer to the mel; 0 for the flow alone "
        "(default: the model's own)",
    )
    parser.add_argument(
        "--seed",
        type=_number(int, high=2**64),
        default=0,
        metavar="S",
        help="of the noise: the same seed gives the same sound (default: %(default)s)",
    )
    _add_device(parser)


def _number(kind: type[int] | type[float], *, low: int = 0, high: float = float("inf")) -> Any:
    """A parser of numbers with ``low <= number < high``."""
    what = "a whole number" if kind is int else "a number"
    limit = "" if high == float("inf") else f", below {high}"

    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = float("nan")
        if not low <= number < high:
            raise ArgumentTypeError(f"expected {what} of {low} or more{limit}; got {text}")
        return number

    return parse


def _duration(text: str | timedelta) -> timedelta:
    if isinstance(text, timedelta):  # the parser checks its results by parsing them again
        return text
    match = re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", text)
    if match is None:
        raise ArgumentTypeError(f"expected HH:MM:SS, such as 01:30:00; got {text}")
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("--device cuda: expected a CUDA device; torch sees none")
    return name if name != "auto" else "cuda" if available else "cpu"


def _load(model: str) -> Vocoder:
    from waveflow.vocoder import Vocoder

    return Vocoder.from_pretrained(model)


def _choose_clips(sources: list[Path], split: str | None) -> list[Path]:
    """The files among ``sources`` and in its folders; of these those that a list names."""
    from waveflow.training.corpus import find_clips, read_list

    paths: list[Path] = []
    for source in sources:
        paths += find_clips(source).values() if source.is_dir() else [source]
    paths = list(dict.fromkeys(paths))
    if split is None:
        return paths
    ids = read_list(split)
    wanted = set(ids)
    chosen = [path for path in paths if path.stem in wanted]
    missing = wanted - {path.stem for path in chosen}
    if missing or not ids:
        raise ValueError(
            f"{split}: expected ids of clips that were given; {len(missing)} of {len(wanted)} "
            f"were not" + (f", such as {min(missing)}" if missing else "")
        )
    return chosen


# --- files ----------------------------------------------------------------------------------


def _plan_outputs(files: list[Path], out: str, suffixes: tuple[str, ...]) -> list[Path]:
    """One output a file: ``out`` itself, or in the folder ``out``, in the first of ``suffixes``.

    Raises:
        ValueError: an output that would overwrite an input or another output, and what is neither
            a folder nor a file of a known kind.
    """
    target = Path(out)
    kinds = ", ".join(suffixes)
    is_folder = target.is_dir() or out.endswith(("/", os.sep)) or not target.suffix
    if is_folder:
        if target.exists() and not target.is_dir():
            raise ValueError(f"--out: expected a folder, or a file in {kinds}; got the file {out}")
        outputs = [target / f"{file.stem}{suffixes[0]}" for file in files]
    elif target.suffix.lower() not in suffixes:
        raise ValueError(
            f"--out: expected a file in {kinds}, or a folder (end the name of a new one with a "
            f"slash); got {out}"
        )
    elif len(files) > 1:
        raise ValueError(f"--out: expected a folder for {len(files)} files; got {out}")
    else:
        outputs = [target]
    planned: dict[Path, Path] = {}
    for file, output in zip(files, outputs, strict=True):
        if output in planned:
            raise ValueError(f"{planned[output]} and {file} would both be written to {output}")
        planned[output] = file
    for output in outputs:
        if output.exists() and any(file.exists() and output.samefile(file) for file in files):
            raise ValueError(f"{output}: expected an output that is not an input, too")
    return outputs


def _each(files: list[Path], work: Callable[[Path, Any], None], others: Sequence[Any]) -> int:
    """Work on every file, with what belongs to it; one that fails is told and loses no other."""
    from tqdm import tqdm

    failed = False
    bar = tqdm(files, unit="file", leave=False, disable=None if len(files) > 1 else True)
    for file, other in zip(bar, others, strict=True):
        try:
            work(file, other)
        except BrokenPipeError:
            raise
        except _EXPECTED as error:
            _tell(error, file)
            failed = True
    return int(failed)


# --- what is told ---------------------------------------------------------------------------


def _tell(error: Exception, file: Path | None = None) -> None:
    """One line about an error; the error itself if WAVEFLOW_DEBUG is set."""
    if os.environ.get("WAVEFLOW_DEBUG"):
        raise error
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    if file is not None and not text.startswith(f"{file}: "):
        text = f"{file}: {text}"
    _say(f"error: {text}")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _say(f"warning: {message}")


def _say(text: str) -> None:
    """A line on stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"waveflow: {' '.join(text.split())}", file=sys.stderr)


def _give_up_stdout() -> None:
    """Keep Python from complaining at exit that stdout is closed."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # it was no real file


if __name__ == "__main__":
    sys.exit(main())
