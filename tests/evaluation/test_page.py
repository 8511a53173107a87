"""The listening page: whole, readable, and free of anything outside its folder."""

from __future__ import annotations

import dataclasses
import json
import re
import struct
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
import torch

from tests.conftest import CLIPS
from waveflow.audio import read_audio, write_audio
from waveflow.audio.pictures import spectrogram
from waveflow.cli import main
from waveflow.evaluation import (
    evaluate,
    evaluate_baseline,
    griffin_lim,
    write_page,
)
from waveflow.evaluation.baseline import GRIFFIN_LIM
from waveflow.evaluation.figures import FIGURES
from waveflow.evaluation.white_noise import WHITE_NOISE

VOID = {"meta", "img", "link", "br", "hr", "input", "source"}


class Page(HTMLParser):
    """Elements with their attributes, and the text; every element that opens must close."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text, self.cells = [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self):
        names = ("src", "href")
        return [a[name] for _, a in self.elements for name in names if name in a]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Names that HTML and addresses have other uses for."""
    folder = tmp_path_factory.mktemp("clips")
    audio, rate = read_audio(CLIPS / "LJ001-0016.flac")
    paths = [folder / "a <b> & 'c' #1?%41.wav", folder / 'long" onclick="x|y.wav']
    audio[11000:17000] *= 0.001  # a pause
    for path, start in zip(paths, (11000, 40000), strict=True):
        write_audio(path, audio[start : start + 20000], rate)
    return paths


@pytest.fixture(scope="module")
def reports(vocoder, clips):
    report = evaluate(vocoder, clips, temperature=0.5, seed=1, pitch=False)
    return report, evaluate_baseline(clips, vocoder.config.mel, seed=2, pitch=False)


@pytest.fixture(scope="module")
def folder(vocoder, reports, tmp_path_factory):
    report, baseline = reports
    folder = tmp_path_factory.mktemp("pages") / "new" / "listen"
    assert (
        write_page(folder, report, vocoder, baselines={GRIFFIN_LIM: baseline})
        == folder / "index.html"
    )
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "index.html").read_text())


def test_every_link_is_a_file_beside_it_and_every_file_is_linked(page, folder):
    links = page.links()
    assert links
    for link in links:
        assert re.fullmatch(r"[A-Za-z0-9._-]+", link)
        assert (folder / unquote(link)).is_file()
    assert {path.name for path in folder.iterdir()} == {*links, "index.html"}


def test_nothing_is_fetched_or_run(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "base"}
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert "url(" not in page.text
    assert "@import" not in page.text
    assert "http" not in page.text


def test_sounds_are_the_recordings_and_their_copies(page, folder, vocoder, clips, reports):
    report, baseline = reports
    sounds = page.of("audio")
    assert len(sounds) == 6
    assert all("controls" in sound for sound in sounds)
    for number, path in enumerate(clips):
        audio = read_audio(path)[0][: report.clips[number].samples]
        mel = vocoder.mel(audio[None])
        expected = [
            audio,
            vocoder(mel, temperature=0.5, seed=1)[0].clamp(-1, 1),
            griffin_lim(mel[0], vocoder.config.mel, seed=2),
        ]
        for sound, one in zip(sounds[3 * number :], expected, strict=False):
            written, rate = read_audio(folder / sound["src"])
            assert rate == 22050
            torch.testing.assert_close(written, one, atol=4e-5, rtol=0)


def test_pictures_are_told_in_words_and_are_png(page, folder):
    pictures = page.of("img")
    assert len(pictures) == 6
    for picture in pictures:
        assert picture["alt"].startswith("Spectrogram: ")
        header = (folder / picture["src"]).read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", header[16:])
        assert width >= 2 * height >= 400


def test_names_stand_in_the_text_as_they_are(page, clips):
    for path in clips:
        assert path.stem in page.text
    assert page.text.count("onclick") == 4  # heading, and three links in place of players


def test_figures_are_the_reports(page, reports):
    report, baseline = reports
    for one in (*reports, *report.clips, *baseline.clips):
        for figure in FIGURES:
            assert figure.of(one) in page.cells
    assert "PESQ-wb" in page.cells
    assert "V/UV F1" not in page.cells  # nobody asked for the pitch


def test_is_a_page_of_any_width_light_and_dark(page):
    (language,) = page.of("html")
    assert language["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")
    assert "prefers-color-scheme: dark" in page.text


def test_without_a_baseline_and_with_few_clips(vocoder, reports, tmp_path):
    report, _ = reports
    page = Page(write_page(tmp_path, report, vocoder, most=1).read_text())
    assert len(page.of("audio")) == 2
    assert "Griffin-Lim" not in page.text
    assert "of which the first 1 follow" in page.text


def test_the_command_writes_page_and_baseline(vocoder, clips, tmp_path, capsys):
    vocoder.save_pretrained(tmp_path / "model")
    out, model = tmp_path / "report.json", tmp_path / "model"
    arguments = [clips[0], "--model", model, "--baseline", "--page", tmp_path / "page", "-o", out]
    assert main(["evaluate", *map(str, arguments), "--no-pitch"]) == 0
    content = json.loads(out.read_text())
    assert list(content["baselines"]) == [GRIFFIN_LIM, WHITE_NOISE]
    for one in (content, *content["baselines"].values()):
        assert len(one["clips"]) == 1
        tones, recorded = (one["clips"][0][name] for name in ("tones", "recorded_tones"))
        assert tones["frames"] == recorded["frames"] == pytest.approx(20, abs=2)
        assert len(tones["excess"]) == 15
        assert tones["excess"] != recorded["excess"]
    assert content["all"]["f0_error"] is None
    *_, second, last = capsys.readouterr().out.splitlines()
    assert second.startswith("| Griffin-Lim | – | – | ")
    assert last.startswith("| white noise, same iterations | – | – | ")
    page = Page((tmp_path / "page" / "index.html").read_text())
    assert len(page.of("audio")) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", link) for link in page.links())


def test_other_reports_are_refused(vocoder, reports, tmp_path):
    report, baseline = reports
    with pytest.raises(ValueError, match="temperature"):
        write_page(tmp_path, baseline, vocoder)
    other = dataclasses.replace(baseline, clips=baseline.clips[:1])
    with pytest.raises(ValueError, match="same files"):
        write_page(tmp_path, report, vocoder, baselines={"other": other})
    assert not list(tmp_path.iterdir())


def test_missing_package_is_told_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"waveflow\[evaluate\]"):
        spectrogram(torch.zeros(2000), 22050)


def test_louder_is_brighter():
    """A picture of a tone differs from one of silence; very short audio has one, too."""
    tone = torch.sin(torch.arange(22050) / 3)
    assert spectrogram(tone, 22050) != spectrogram(0 * tone, 22050)
    assert spectrogram(tone[:10], 22050).startswith(b"\x89PNG")
