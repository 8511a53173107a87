"""The LJSpeech recipe: the whole of it on the repository's clips, and its parts on bad data."""

import importlib.util
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from tests.warm import WARM_PROGRAMS
from waveflow.training.config import TrainingConfig
from waveflow.training.crops import Batches

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "ljspeech"
STAGES = ["download", "verify", "split", "train", "evaluate", "table", "page"]
MANY = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "NODE_RANK"}
SEES_A_GPU = f"""#!/bin/sh
[ "$1" = -c ] || exec {WARM_PROGRAMS}/python "$@"
code=$2
shift 2
exec {WARM_PROGRAMS}/python -c "import os, torch
torch.cuda.is_available = lambda: os.environ.get('CUDA_VISIBLE_DEVICES') != ''
$code" "$@"
"""
"""An interpreter whose commands see a GPU unless ``CUDA_VISIBLE_DEVICES`` hides it."""
ALONE = {name: value for name, value in os.environ.items() if name not in MANY}


def load(name):
    spec = importlib.util.spec_from_file_location(name, RECIPE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prepare = load("prepare")
results = load("results")


def start(*arguments, script, **environment):
    """train.sh with the programs of PATH, among them an interpreter that has imported already."""
    path = os.pathsep.join([str(WARM_PROGRAMS), os.environ["PATH"]])
    return subprocess.Popen(
        [script, *map(str, arguments)],
        env=ALONE | {"PATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines_of(*arguments, code=0, **options):
    """What train.sh prints, in lines."""
    with start(*arguments, **options) as process:
        printed = process.communicate(timeout=300)[0]
    assert process.returncode == code, printed
    return printed.splitlines()


@pytest.fixture(scope="module")
def script(short_repository):
    """train.sh of a repository without an environment of its own."""
    return short_repository / "recipes" / "ljspeech" / "train.sh"


@pytest.fixture(scope="module")
def train(script):
    """What train.sh prints, in lines."""
    return partial(lines_of, script=script)


def row(run):
    """The one row of the table of results, by the names of its columns."""
    names, _, values, *_ = (run / "results.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (names, values)]
    return dict(zip(*cells, strict=True))


def wait_for(true, *, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, train):
    """A run of the recipe on the clips of the repository, from nothing to its results."""
    run = tmp_path_factory.mktemp("recipe") / "run"
    return run, train("--smoke", "--out", run)


class Test_train_sh:
    def test_goes_from_nothing_to_a_table(self, smoke):
        run, printed = smoke
        assert [line for line in printed if line.startswith("==")] == [f"== {s}" for s in STAGES]
        assert sorted(path.name for path in (run / "stages").iterdir()) == sorted(STAGES)
        found = row(run)
        figures = ["parameters", "steps", "seed", "nats/sample", "PESQ-wb", "STOI", "MCD, dB"]
        figures.append("× real time")
        assert all(math.isfinite(float(found[name].replace(",", ""))) for name in figures)
        assert found["model"] == "`source_filter`"
        assert found["command"] == f"`recipes/ljspeech/train.sh --smoke --out {run}`"
        assert (run / "results.md").read_text().strip() in "\n".join(printed)
        page = (run / "listen" / "index.html").read_text()
        assert printed[-1] == str(run / "listen" / "index.html")
        assert page.count("<audio") == 2 * len((run / "split" / "test.txt").read_text().split())

    def test_skips_what_is_done(self, smoke, train):
        run, _ = smoke
        before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
        begin = time.monotonic()
        assert train("--smoke", "--out", run) == [f"== {name}: done before" for name in STAGES]
        assert time.monotonic() - begin < 10
        assert before == {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()}

    def test_does_again_what_lost_its_output(self, smoke, train):
        run, _ = smoke
        (run / "evaluation.json").unlink()
        lines = [line for line in train("--smoke", "--out", run) if line.startswith("==")]
        done = [f"== {name}: done before" for name in STAGES[:4]]
        assert lines == [*done, "== evaluate", "== table", "== page"]

    def test_another_seed_is_another_run(self, smoke, train):
        run, _ = smoke
        (*_, last) = train("--smoke", "--out", run, "--seed", 7, code=1)
        assert "seed" in last
        assert train("--smoke", "--out", run)[3] == "== train: done before"

    def test_goes_on_after_the_time_limit(self, smoke, tmp_path, train, script):
        """With another seed, so that its results are seen to be its own."""
        options = ["--smoke", "--out", tmp_path, "--seed", 7, "--max-steps", 2]
        lines = train(*options, "--max-time", "00:00:00")
        assert "stopped before its last step" in lines[-2]
        assert lines[-1].strip() == (
            f"recipes/ljspeech/train.sh --smoke --out {tmp_path} --seed 7 --max-steps 2"
            " --max-time 00:00:00"
        )
        assert not (tmp_path / "stages" / "train").exists()
        assert not (tmp_path / "evaluation.json").exists()
        with start(*options, script=script) as process:  # the first run shows what follows
            wait_for((tmp_path / "stages" / "train").exists)
            process.send_signal(signal.SIGTERM)
            lines = process.communicate(timeout=60)[0].splitlines()
        assert lines[2:4] == ["== split: done before", "== train"]
        assert "seed: 7" in (tmp_path / "run.yaml").read_text()
        weights = [load_file(run / "model" / "model.safetensors") for run in (tmp_path, smoke[0])]
        assert any(not torch.equal(value, weights[1][name]) for name, value in weights[0].items())

    def test_SIGTERM_saves_the_run(self, tmp_path, script):  # noqa: N802
        with start("--smoke", "--out", tmp_path, "--max-steps", 100_000, script=script) as process:
            wait_for(lambda: list(tmp_path.glob("model/*.safetensors")))
            process.send_signal(signal.SIGTERM)
            printed = process.communicate(timeout=60)[0]
        assert process.returncode == 0, printed
        assert "stopped after step" in printed
        assert "the same command resumes" in printed.splitlines()[-2]
        assert not (tmp_path / "stages" / "train").exists()

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_signals_end_other_stages_at_once(self, number, code, tmp_path, script):
        with start("--smoke", "--out", tmp_path, RANK="1", script=script) as process:
            wait_for((tmp_path / "stages").is_dir)
            time.sleep(0.5)
            assert process.poll() is None  # it waits for the split of rank 0
            process.send_signal(number)
            assert process.communicate(timeout=5)[0] == ""
        assert process.returncode == code

    @pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID", "NODE_RANK"])
    def test_of_many_processes_only_one_does_the_other_stages(self, variable, smoke, train):
        lines = train("--smoke", "--out", smoke[0], **{variable: "1"})
        assert lines == ["== train: done before"]

    @pytest.mark.parametrize(
        ("options", "seen", "recipe"),
        [
            ([], False, "source_filter"),
            ([], True, "source_filter_gpu"),
            (["--device", "cpu"], True, "source_filter"),
            (["--device", "cuda"], False, "source_filter_gpu"),
            (["--config", RECIPE / "smoke.yaml"], True, "smoke"),
        ],
    )
    def test_a_gpu_gets_a_recipe_of_its_own(self, options, seen, recipe, tmp_path):
        """Where it ends, there being nothing to train on; the folder of the run tells the rest."""
        corpus = tmp_path / "corpus"
        corpus.mkdir()
        environment = {}
        if seen:
            pretence = tmp_path / "python"
            pretence.write_text(SEES_A_GPU)
            pretence.chmod(0o755)
            (tmp_path / "waveflow").symlink_to(WARM_PROGRAMS / "waveflow")
            path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
            environment = {"CUDA_VISIBLE_DEVICES": "0", "PATH": path}
        script = tmp_path / "repository" / "recipes" / "ljspeech"
        script.parent.mkdir(parents=True)
        for path in ("data", "waveflow"):
            if (ROOT / path).exists():
                (script.parents[1] / path).symlink_to(ROOT / path)
        shutil.copytree(RECIPE, script)
        command = ["--data", corpus, *options]
        lines = lines_of(*command, code=1, script=script / "train.sh", **environment)
        assert lines[-1].startswith("prepare.py: error"), lines
        told = [line for line in lines if line.startswith("recipe: ")]
        assert bool(told) == recipe.endswith("_gpu")
        assert [path.name for path in (script.parents[1] / "runs").iterdir()] == [recipe]

    def test_begins_with_the_weights_of_a_model(self, tmp_path, train):
        options = ["--smoke", "--out", tmp_path / "run", "--max-steps", 1, "--device", "cpu"]
        lines = train(*options, "--init-from", tmp_path / "nobody", code=1)
        assert "nobody" in lines[-1]

    def test_has_help(self, train):
        text = "\n".join(train("--help"))
        options = "data root config out split init-from device devices nodes max-time max-steps"
        for option in [*options.split(), "seed"]:
            assert f"--{option}" in text

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--sing"], "--sing"),
            (["--seed"], "value"),
            (["--seed", "x"], "whole number; got x"),
            (["--max-time", "90"], "HH:MM:SS; got 90"),
            (["--device", "tpu"], "cpu, cuda or auto; got tpu"),
            (["--split", "mine"], "ours or hifigan; got mine"),
            (["--data", "missing"], "missing"),
            (["--config", "missing.yaml"], "missing.yaml"),
            (["--smoke", "--data", "."], "both"),
        ],
    )
    def test_refuses_wrong_options_in_one_line(self, arguments, told, train):
        (line,) = train(*arguments, code=2)
        assert line.startswith("train.sh: error: ")
        assert told in line


def write_corpus(folder, names, *, seconds=0.5):
    """A corpus in LJSpeech's layout, of noise."""
    (folder / "wavs").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in names:
        noise = generator.integers(-3000, 3000, int(22050 * seconds), dtype=np.int16)
        soundfile.write(folder / "wavs" / f"{name}.wav", noise, 22050)
    (folder / "metadata.csv").write_text("".join(f"{name}|Word.|word.\n" for name in names))
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


NAMES = ["LJ001-0001", "LJ001-0021", "LJ001-0031", "LJ002-0011"]


class Test_verify:
    @pytest.fixture
    def corpus(self, tmp_path):
        return write_corpus(tmp_path / "corpus", NAMES)

    def test_counts_clips_hours_and_rates(self, corpus):
        soundfile.write(corpus / "wavs" / "LJ001-0001.wav", np.zeros((48000 * 36, 2)), 48000)
        text = prepare.verify(corpus)
        assert text.startswith("4 clips, 0.01 hours")
        assert "3 at 22050 Hz × 1, 1 at 48000 Hz × 2" in text
        assert "13100 clips" in text  # it is only a part

    def test_takes_a_folder_of_any_recordings(self):
        assert prepare.verify(ROOT / "data" / "smoke").startswith("15 clips, 0.01 hours")

    @pytest.mark.parametrize(
        ("spoil", "what"),
        [
            (lambda path: path.unlink(), "missing"),
            (cut, "cut short"),
            (lambda path: path.write_bytes(path.read_bytes()[:30]), "unreadable"),
            (lambda path: path.write_bytes(b""), "unreadable"),
            (lambda path: soundfile.write(path, np.zeros(0), 22050), "empty"),
        ],
    )
    def test_names_bad_clips_and_their_number(self, spoil, what, corpus):
        for name in NAMES[1:3]:
            spoil(corpus / "wavs" / f"{name}.wav")
        with pytest.raises(ValueError, match=r"got 2 bad clips: LJ001-0021 \(" + what):
            prepare.verify(corpus)

    def test_finds_a_truncated_flac(self, tmp_path):
        clip = ROOT / "data" / "smoke" / "LJ045-0047.flac"
        (tmp_path / "LJ045-0047.flac").write_bytes(clip.read_bytes()[:-200])
        with pytest.raises(ValueError, match="1 bad clips: LJ045-0047"):
            prepare.verify(tmp_path)

    def test_ends_train_sh_with_its_one_line(self, corpus, tmp_path, train):
        cut(corpus / "wavs" / "LJ002-0011.wav")
        lines = train("--data", corpus, "--out", tmp_path / "run", code=1)
        assert lines[-1].startswith(f"prepare.py: error: {corpus}: expected whole recordings")
        assert not (tmp_path / "run" / "stages" / "verify").exists()


class Test_split:
    def parts(self, folder, which, out):
        prepare.split(folder, which, out)
        return [
            (out / f"{part}.txt").read_text().split() for part in ("training", "validation", "test")
        ]

    def ids(self, name):
        return (ROOT / "data" / "splits" / name).read_text().split()

    @pytest.mark.parametrize("which", ["ours", "hifigan"])
    def test_is_disjoint_and_complete(self, which, tmp_path):
        lists = {name: self.ids(name) for name in os.listdir(ROOT / "data" / "splits")}
        names = sorted({"LJ003-0001", "LJ003-0002"}.union(*lists.values()))
        for name in names:
            (tmp_path / f"{name}.wav").touch()
        training, validation, test = self.parts(tmp_path, which, tmp_path / "split")
        assert sorted(training + validation + test) == names
        assert test == lists["ljspeech_test.txt"]
        held_out = "ljspeech_validation" if which == "ours" else "hifigan_validation"
        assert sorted(validation) == sorted(lists[f"{held_out}.txt"])
        assert len(validation) == (20 if which == "ours" else 150)

    def test_holds_only_what_is_there(self, tmp_path):
        corpus = write_corpus(tmp_path / "corpus", NAMES)
        parts = self.parts(corpus, "ours", tmp_path / "split")
        assert parts == [["LJ001-0031", "LJ002-0011"], ["LJ001-0021"], ["LJ001-0001"]]

    def test_refuses_an_empty_part(self, tmp_path):
        corpus = write_corpus(tmp_path / "corpus", NAMES)
        with pytest.raises(ValueError, match="3 training, 0 validation, 1 test"):
            prepare.split(corpus, "hifigan", tmp_path / "split")
        assert not (tmp_path / "split").exists()


@pytest.mark.filterwarnings("ignore:Python 3.14 will, by default, filter:DeprecationWarning")
class Test_download:
    """torchaudio's own download, of a small archive of LJSpeech's layout, by HTTP."""

    @pytest.fixture
    def site(self, tmp_path, monkeypatch):
        """The folder that is served; its archive is the one whose checksum torchaudio knows."""
        ljspeech = pytest.importorskip("torchaudio.datasets.ljspeech")
        site = tmp_path / "site"
        corpus = write_corpus(tmp_path / "made" / "LJSpeech-1.1", NAMES)
        site.mkdir()
        archive = site / "LJSpeech-1.1.tar.bz2"
        with tarfile.open(archive, "w:bz2") as tar:
            tar.add(corpus, "LJSpeech-1.1")
        checksum = sha256(archive.read_bytes()).hexdigest()
        monkeypatch.setitem(ljspeech._RELEASE_CONFIGS["release1"], "checksum", checksum)
        monkeypatch.setattr(prepare, "CLIPS", len(NAMES))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        return site

    @pytest.fixture
    def url(self, site):
        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site))
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/LJSpeech-1.1.tar.bz2"
        server.shutdown()
        server.server_close()
        thread.join()

    def whole(self, root):
        return prepare.verify(root / "LJSpeech-1.1").startswith("4 clips")

    def test_gives_a_whole_corpus(self, url, tmp_path):
        root = tmp_path / "new" / "root"
        assert "whole" in prepare.download(root, url)
        assert self.whole(root)
        assert sorted(p.name for p in root.iterdir()) == ["LJSpeech-1.1", "LJSpeech-1.1.tar.bz2"]

    def test_of_what_is_there_does_nothing(self, url, site, tmp_path):
        prepare.download(tmp_path / "root", url)
        (site / "LJSpeech-1.1.tar.bz2").unlink()
        (tmp_path / "root" / "LJSpeech-1.1.tar.bz2").unlink()
        assert "whole" in prepare.download(tmp_path / "root", url)

    @pytest.mark.parametrize("archive", ["kept", "lost"])
    @pytest.mark.parametrize("interrupted", ["early", "in a clip", "in the list", "late"])
    def test_mends_an_interrupted_extraction(self, interrupted, archive, url, tmp_path):
        root = tmp_path / "root"
        prepare.download(root, url)
        corpus = root / "LJSpeech-1.1"
        if interrupted == "early":
            shutil.rmtree(corpus)
            (corpus / "wavs").mkdir(parents=True)
        elif interrupted == "in a clip":
            cut(corpus / "wavs" / "LJ002-0011.wav")
        elif interrupted == "in the list":
            cut_list = (corpus / "metadata.csv").read_text().splitlines()[:2]
            (corpus / "metadata.csv").write_text("\n".join(cut_list))
        else:
            (corpus / "wavs" / "LJ002-0011.wav").unlink()
        if archive == "lost":
            (root / "LJSpeech-1.1.tar.bz2").unlink()
        prepare.download(root, url)
        assert self.whole(root)
        assert sorted(p.name for p in root.iterdir()) == ["LJSpeech-1.1", "LJSpeech-1.1.tar.bz2"]

    def refused(self, root, url):
        with pytest.raises(ValueError, match="--data LJSpeech-1.1") as caught:
            prepare.download(root, url)
        assert not (root / "LJSpeech-1.1").exists()
        return str(caught.value)

    def test_refuses_a_wrong_checksum(self, url, site, tmp_path):
        with (site / "LJSpeech-1.1.tar.bz2").open("ab") as file:
            file.write(b"!")
        assert "invalid hash value" in self.refused(tmp_path / "root", url)
        assert not list((tmp_path / "root").iterdir())

    def test_tells_of_an_absent_file(self, url, site, tmp_path):
        (site / "LJSpeech-1.1.tar.bz2").unlink()
        assert "404" in self.refused(tmp_path / "root", url)

    def test_tells_of_an_absent_server(self, site, tmp_path):
        url = "http://127.0.0.1:9/LJSpeech-1.1.tar.bz2"
        assert "refused" in self.refused(tmp_path / "root", url)

    def test_tells_of_a_damaged_archive(self, url, tmp_path):
        root = tmp_path / "root"
        prepare.download(root, url)
        cut(root / "LJSpeech-1.1.tar.bz2")
        shutil.rmtree(root / "LJSpeech-1.1")
        assert f"{root / 'LJSpeech-1.1.tar.bz2'}, which may be damaged" in self.refused(root, url)

    def test_keeps_a_part_that_it_cannot_replace(self, url, site, tmp_path):
        part = write_corpus(tmp_path / "root" / "LJSpeech-1.1", NAMES[:2])
        (site / "LJSpeech-1.1.tar.bz2").unlink()
        self.refused(tmp_path / "root", url)
        aside = part.with_name("LJSpeech-1.1.incomplete")
        assert len(list(aside.glob("wavs/*.wav"))) == 2

    def test_names_the_extra_that_is_missing(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torchaudio.datasets", None)
        with pytest.raises(ImportError, match=r"waveflow\[recipe\]"):
            prepare.download(tmp_path)


class Test_results:
    def test_name_the_commit(self):
        git = ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]
        done = subprocess.run(git, capture_output=True, text=True, check=False)
        expected = f"; commit {done.stdout.strip()}" if done.returncode == 0 else ""
        assert re.sub("-dirty$", "", results.commit()) == expected

    def test_do_without_git(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        assert results.commit() == ""


def recipe_of(command):
    """The YAML that a documented command trains."""
    named = re.search(r"(\w+)\.yaml", command)
    return RECIPE / (f"{named[1]}.yaml" if named else "source_filter_gpu.yaml")


def many(command):
    """Devices that a command asks for, all machines together."""
    return math.prod(int(n) for n in re.findall(r"--(?:devices|nodes) (\d+)", command))


DOCUMENTED = [
    line.strip()
    for path in [*RECIPE.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    + [ROOT / "waveflow" / "cli" / "train.py"]
    for line in path.read_text().replace("\\\n", " ").splitlines()
    if re.search(r"train(\.sh)? .*--devices \d", line)
]


@pytest.mark.parametrize("command", DOCUMENTED)
def test_documented_commands_divide_their_batch(command):
    config = TrainingConfig.from_yaml(recipe_of(command))
    Batches(config.data.batch_size, devices=many(command), parts=config.compute.accumulate)


def test_recipes_for_gpus_divide_among_sixteen():
    assert len(DOCUMENTED) >= 6
    recipes = [path for path in RECIPE.glob("*.yaml") if "GPU" in path.read_text()]
    assert len(recipes) >= 4
    for path in recipes:
        assert TrainingConfig.from_yaml(path).data.batch_size % 16 == 0, path.name
