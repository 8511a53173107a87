"""A user of the hub, in a process of its own: ``python -m tests.pretrained.hub_client CASES.json``.

The hub's address, cache and token stand in the environment. Each case is [name, work, arguments];
what comes of it is printed as JSON, by name.
"""

import json
import sys
import time

import torch

import waveflow.cli
from waveflow import Vocoder
from waveflow.audio import read_audio


def sound(clip, name, **options):
    """Of a clip's first second, by the vocoder of that name."""
    audio, _ = read_audio(clip)
    vocoder = Vocoder.from_pretrained(name, **options)
    spoken = vocoder(vocoder.mel(audio[None, :22016]), seed=0)
    return [spoken.double().sum().item(), spoken.double().square().sum().item()]


def push(folder, name, **options):
    return Vocoder.from_pretrained(folder).push_to_hub(name, **options)


def save_and_push(folder, target, **options):
    return Vocoder.from_pretrained(folder).save_pretrained(target, push_to_hub=True, **options)


def command(*words):
    return waveflow.cli.main(words)


def main(path):
    with open(path) as file:
        cases = json.load(file)
    torch.set_num_threads(1)
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]  # it reads the environment when it is imported
    found = {}
    for case, work, positional, options in cases:
        started = time.monotonic()
        try:
            result = {"value": globals()[work](*positional, **options)}
        except Exception as error:
            shown = None if error.__suppress_context__ else error.__context__
            result = {
                "error": type(error).__qualname__,
                "module": type(error).__module__,
                "text": str(error),
                "shown": repr(error.__cause__ or shown or ""),
            }
        found[case] = {**result, "seconds": time.monotonic() - started}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
