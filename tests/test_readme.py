"""What the README shows works as shown."""

import glob
import re
import shlex
from pathlib import Path

import pytest
import soundfile

from waveflow.cli import main
from waveflow.evaluation.crepe import CrepeScore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_python_block(monkeypatch):
    monkeypatch.chdir(ROOT)
    sources = [text for language, text in BLOCKS if language == "python"]
    assert sources
    namespace = {}
    for source in sources:
        exec(source, namespace)  # noqa: S102


@pytest.mark.filterwarnings("default:.*clipped")
@pytest.mark.usefixtures("warm_spawn")
def test_commands(model, monkeypatch, tmp_path):
    """As shown, but ``data/clips`` holds no more than two thirds of a second; benchmarks less, and
    what is exported is a tiny vocoder.

    CREPE, which takes seconds for a second, has tests of its own.
    """
    monkeypatch.setattr(
        "waveflow.evaluation.quality.crepe_score", lambda *_: CrepeScore(0.1, 20.0, 0.9)
    )
    monkeypatch.chdir(tmp_path)
    clip = Path("data/clips/LJ001-0016.flac")
    (tmp_path / clip).parent.mkdir(parents=True)
    audio, rate = soundfile.read(ROOT / clip, frames=15_000, dtype="int16")
    soundfile.write(clip, audio, rate)
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    commands = [
        shlex.split(line, comments=True)[1:] for line in lines if line.startswith("waveflow")
    ]
    assert len(commands) >= 6
    for words in commands:
        if words[0] == "train":  # its own tests run it; here its recipe must exist
            assert (ROOT / words[1].replace("MODEL", "nice")).is_file()
            continue
        if words[0] in ("demo", "import"):  # the one never ends, the other needs a file
            with pytest.raises(SystemExit) as stop:
                main([words[0], "--help"])
            assert stop.value.code == 0
            continue
        if words[0] == "export":
            words += ["--model", model]
        if words[0] == "bench":
            words += ["--seconds", "0.2", "--rounds", "1", "--no-memory"]
        arguments = [path for word in words for path in (sorted(glob.glob(word)) or [word])]
        assert main(arguments) == 0, words
    assert {"speech.wav", "mel.npz", "report.json"} <= {path.name for path in tmp_path.iterdir()}


def test_the_command_of_the_results_follows_their_table():
    results = README.split("## Results")[1]
    tables = re.findall(r"((?:^\|.*\n)+)\n(.*)\n(.*)", results, re.MULTILINE)
    assert tables
    for _, fence, command in tables:
        assert fence == "```sh"
        assert command.startswith(("waveflow ", "python benchmarks/"))


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_links_lead_somewhere(link):
    path, _, section = link.partition("#")
    assert (ROOT / path).exists()
    if section:
        headings = re.findall(r"^#+ (.*)", (ROOT / path).read_text(), re.MULTILINE)
        assert section in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]
