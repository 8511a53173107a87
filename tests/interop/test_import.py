"""Checkpoints of every family, through ``waveflow import``, against the golden WaveGlow."""

import importlib
import math
import re

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT
from tests.interop import reference_forms as forms
from tests.interop.reference_forms import WEIGHTS
from tests.interop.test_nvidia import CHANNELS, FLOWS, GOLDEN, GROUPS
from waveflow import Vocoder
from waveflow.cli import main
from waveflow.interop import importing
from waveflow.interop.comparing import compare
from waveflow.interop.families import FAMILIES, Family
from waveflow.interop.nvidia import vocoder_from_state_dict
from waveflow.interop.reference import READ_FAMILIES, Reference
from waveflow.nets import WaveNet

SINGLE = {name: value.float() for name, value in WEIGHTS.items()}
SMALL = forms.small_weights()


def saved(weights, **options):
    return lambda path: torch.save(weights(), path, **options)


def training_state(weights):
    """What DeepLearningExamples saves."""
    return {
        "epoch": 7,
        "config": {"n_flows": FLOWS, "WN_config": {"n_channels": CHANNELS}},
        "state_dict": weights,
        "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": []},
        "random_rng_states_all": torch.zeros(2, 16, dtype=torch.uint8),
        "amp": {"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 3}},
    }


def prefixed(weights, prefix):
    return {f"{prefix}{name}": value for name, value in weights.items()}


FILES = {  # file: (family, how it is made)
    "module.pt": ("nvidia", lambda path: forms.save_module(path, SINGLE)),
    "split.pt": ("oldest", lambda path: forms.save_module(path, forms.split(SINGLE), legacy=True)),
    "dle_legacy.pt": (
        "dle",
        saved(
            lambda: training_state(prefixed(forms.unfused(SINGLE), "module.1.")),
            _use_new_zipfile_serialization=False,
        ),
    ),
    "parametrized.pt": (
        "nvidia",
        saved(lambda: {"state_dict": prefixed(forms.parametrized(SINGLE), "module.")}),
    ),
    "unnormed.safetensors": ("nvidia", lambda path: save_file(forms.unnormed(WEIGHTS), path)),
    "packed.nemo": ("nemo", lambda path: forms.save_nemo(path, forms.renamed(SINGLE), "w:gz")),
}


MELODY = Family(
    "a family that nobody has",
    {
        "WN.{flow}.{rest}": "net.{flow}.body.{rest}",
        "net.{flow}.body.cond_layer": "conditions",
        "net.{flow}.body.in_layers.{layer}": "net.{flow}.body.taps.{layer}",
        "net.{flow}.body.end": "net.{flow}.body.shift + net.{flow}.body.scale",
        "convinv.{flow}.conv.weight": "mixing.matrix_{flow}",
        "upsample": "up.stretch",
    },
    modules=("melody",),
    unused=("optimizer.{rest}",),
)


@pytest.fixture
def melody(monkeypatch):
    """One more family, by one row."""
    monkeypatch.setitem(FAMILIES, "melody", MELODY)


@pytest.fixture(scope="module")
def golden():
    return {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}


@pytest.fixture(autouse=True)
def in_range(monkeypatch):
    """The golden mel is a formula, not a spectrogram: let its values pass."""
    monkeypatch.setattr("waveflow.vocoder.check_mel", lambda mel, log_mel: None)


def loaded(folder):
    """The vocoder of a folder, with the weights as they are there."""
    vocoder = Vocoder.from_pretrained(folder).double()
    vocoder.load_state_dict(load_file(folder / "model.safetensors"))
    return vocoder


def imported(path, folder, capsys, *more):
    """The vocoder and what the command told."""
    assert main(["import", str(path), "-o", str(folder), *more]) == 0
    out, err = capsys.readouterr()
    return loaded(folder), yaml.safe_load(out), err


def error_of(path, folder, capsys, *more):
    """The line of an import that fails, and leaves nothing behind."""
    before = sorted(folder.parent.iterdir())
    assert main(["import", str(path), "-o", str(folder), *more]) == 1
    assert sorted(folder.parent.iterdir()) == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("name", FILES)
def test_is_the_golden_waveglow(name, golden, tmp_path, capsys):
    family, make = FILES[name]
    make(tmp_path / name)
    is_golden(tmp_path / name, family, golden, capsys)


def is_golden(path, family, golden, capsys):
    """The import of a file is the golden WaveGlow, and runs no project's code."""
    for module in ("glow", "glow_old", "melody"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(module)
    vocoder, told, err = imported(path, path.parent / "out", capsys)
    assert err == ""
    assert told["family"].startswith(f"{family} (")
    assert told["parameters"] == sum(p.numel() for p in vocoder.parameters())
    assert all(float(value) < 1e-9 for value in told["difference"].values())
    model = vocoder.config.model
    assert (model.groups, model.flows, model.early_every, model.early_size) == (8, 12, 4, 2)
    assert (model.channels, model.layers, model.kernel_size) == (CHANNELS, 8, 3)
    assert vocoder.config.synthesis.temperature == 0.6
    assert vocoder.config.mel.f_max == (11025 if path.suffix == ".nemo" else 8000)

    audio, mel = golden["audio"], golden["mel"]
    with torch.no_grad():
        context = vocoder.context_net(mel)
        z, log_det = vocoder.flow.bijection(audio, context)
        made = vocoder.flow.bijection.inverse(0.6 * golden["noise"], context)
    assert (z - golden["z"]).abs().max() < 1e-6
    assert (made - golden["infer_sigma06"]).abs().max() < 1e-6
    nats = (vocoder.flow.base.log_prob(z) + log_det).sum() / audio.numel()
    assert abs(nats - (-golden["loss"] - 0.5 * math.log(2 * math.pi))) < 1e-6


def test_a_wrapped_module_without_weight_norm(tmp_path, capsys):
    weights = forms.unnormed(SMALL)
    forms.save_module(tmp_path / "x.pt", weights, legacy=True, wrap=torch.nn.DataParallel)
    vocoder, told, _ = imported(tmp_path / "x.pt", tmp_path / "out", capsys)
    assert told["family"].startswith("nvidia")
    assert max(compare(SMALL, tmp_path / "out").values()) < 1e-5


NAMED = {
    "nemo": lambda: forms.renamed(SMALL),
    "dle": lambda: training_state(prefixed(forms.unfused(SMALL), "module.")),
    "oldest": lambda: {"model": prefixed(forms.split(forms.parametrized(SMALL)), "model.")},
}


@pytest.mark.parametrize("family", NAMED)
@pytest.mark.filterwarnings("default:imported as")
def test_prefixes_and_places(family, tmp_path, capsys):
    torch.save(NAMED[family](), tmp_path / "x.pt")
    _, told, _ = imported(tmp_path / "x.pt", tmp_path / "out", capsys)
    assert told["family"].startswith(f"{family} (")
    assert max(compare(SMALL, tmp_path / "out").values()) < 1e-9


def test_a_new_family_is_one_row(melody, golden, tmp_path, capsys):
    forms.save_tree(tmp_path / "x.pt", forms.melody(SINGLE), project="melody")
    is_golden(tmp_path / "x.pt", "melody", golden, capsys)


def test_a_state_dict_of_a_new_family(melody, tmp_path, capsys):
    weights = prefixed(forms.melody(SMALL), "module.") | {"optimizer.step": torch.ones(1)}
    torch.save({"state_dict": weights}, tmp_path / "x.pt")
    _, told, err = imported(tmp_path / "x.pt", tmp_path / "out", capsys, "--family", "melody")
    assert (told["family"], err) == ("melody (a family that nobody has)", "")
    assert max(compare(SMALL, tmp_path / "out").values()) < 1e-9


def test_without_its_row_a_family_is_refused(tmp_path, capsys):
    forms.save_tree(tmp_path / "x.pt", forms.melody(SMALL), project="melody")
    assert "melody.Model" in error_of(tmp_path / "x.pt", tmp_path / "out", capsys)
    torch.save(forms.melody(SMALL), tmp_path / "y.pt")
    assert "expected" in error_of(tmp_path / "y.pt", tmp_path / "out", capsys)


def test_the_hop_of_a_new_family(melody, tmp_path, capsys):
    forms.save_tree(tmp_path / "x.pt", forms.melody(SMALL), project="melody", stride=200)
    assert "hop_length 200" in error_of(tmp_path / "x.pt", tmp_path / "out", capsys)


def test_every_family_is_in_the_docs():
    text = (ROOT / "docs/importing.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(FAMILIES)
    assert {family for family, _ in FILES.values()} == FAMILIES.keys() - {"glow_old"}


LITTLE = forms.small_weights(flows=2)
FORMS = {
    "nvidia": lambda weights: weights,
    "dle": forms.unfused,
    "oldest": forms.split,
    "oldest of early 2019": lambda weights: (
        {name: x for name, x in forms.split(weights).items() if ".cond_" not in name}
        | {name: x for name, x in weights.items() if ".cond_" in name}
    ),
    "nemo": lambda weights: {
        name.removeprefix("waveglow."): x
        for name, x in forms.renamed(weights).items()
        if name.startswith("waveglow.")
    },
    "nemo by layers": lambda weights: {
        name.replace("WN.", "wavenet."): x for name, x in forms.split(weights).items()
    },
    "melody": forms.melody,
}


@pytest.mark.parametrize("form", FORMS)
def test_errors_have_the_names_of_the_file(form, melody):
    weights = FORMS[form](LITTLE)
    ours = [name for name in weights if re.match(r"(WN|wavenet|net)\.1\.|up|cond", name)]
    assert len(ours) > 20
    for name in ours:
        without = {key: value for key, value in weights.items() if key != name}
        with pytest.raises(ValueError, match=re.escape(f"with {name}; it is missing")):
            vocoder_from_state_dict(without)
        longer = torch.cat([weights[name], weights[name]])
        with pytest.raises(ValueError, match=re.escape(f"{name}: expected ")):
            vocoder_from_state_dict({**weights, name: longer})
        with pytest.raises(ValueError, match=re.escape(f"{name}: expected finite")):
            vocoder_from_state_dict({**weights, name: weights[name] / 0})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spelled", [forms.parametrized, forms.unnormed])
def test_every_form_is_the_same_vocoder(form, spelled, melody):
    expected = vocoder_from_state_dict(spelled(LITTLE)).state_dict()
    found = vocoder_from_state_dict(spelled(FORMS[form](LITTLE))).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("form", FORMS)
def test_the_reference_reads_names_by_itself(form, golden):
    weights, mel = FORMS[form](LITTLE), golden["mel"][..., :4]
    expected, _ = Reference(LITTLE, hop_length=256).encode(golden["audio"][:, :1024], mel)
    assert (form.split()[0] in READ_FAMILIES) == (form != "melody")
    if form != "melody":
        found, _ = Reference(weights, hop_length=256).encode(golden["audio"][:, :1024], mel)
        assert torch.allclose(found, expected, atol=1e-12)


def old_encode(weights, audio, mel):
    """NVIDIA's ``glow_old`` in numpy: latent and log-likelihood of one example."""
    layers = forms.layers_of(weights)
    weights = {name: value.double().numpy() for name, value in weights.items()}

    def convolved(name, x, dilation=1):
        if f"{name}.weight" in weights:
            weight = weights[f"{name}.weight"]
        else:
            v = weights[f"{name}.weight_v"]
            lengths = np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
            weight = weights[f"{name}.weight_g"] * v / lengths
        taps, steps = weight.shape[2], x.shape[1]
        edge = dilation * (taps // 2)
        padded = np.pad(x, ((0, 0), (edge, edge)))
        starts = range(0, taps * dilation, dilation)
        parts = [weight[..., t] @ padded[:, at : at + steps] for t, at in enumerate(starts)]
        return sum(parts) + weights[f"{name}.bias"][:, None]

    frames, reach = mel.shape[1], weights["upsample.weight"].shape[2]
    samples = np.zeros((len(mel), frames * 256 + reach))
    for frame in range(frames):
        heard = np.tensordot(mel[:, frame], weights["upsample.weight"], axes=(0, 0))
        samples[:, frame * 256 : frame * 256 + reach] += heard
    samples = samples[:, : frames * 256] + weights["upsample.bias"][:, None]
    context = samples.reshape(len(mel), -1, GROUPS).transpose(0, 2, 1)
    context = context.reshape(len(mel) * GROUPS, -1)

    x, early, log_det = audio.reshape(-1, GROUPS).T, [], 0.0
    for k in range(sum(name.startswith("convinv.") for name in weights)):
        if k % 4 == 0 and k > 0:
            early.append(x[:2])
            x = x[2:]
        matrix = weights[f"convinv.{k}.conv.weight"][:, :, 0]
        x = matrix @ x
        log_det += x.shape[1] * np.log(abs(np.linalg.det(matrix)))
        half = len(x) // 2
        first, second = x[:half], x[half:]
        seen, changed = (first, second) if k % 2 == 0 else (second, first)
        hidden, total = convolved(f"WN.{k}.start", seen), 0
        for i in range(layers):
            both = convolved(f"WN.{k}.in_layers.{i}", hidden, 2**i)
            both = both + convolved(f"WN.{k}.cond_layers.{i}", context)
            gate = np.tanh(both[:CHANNELS]) / (1 + np.exp(-both[CHANNELS:]))
            if i < layers - 1:
                hidden = hidden + convolved(f"WN.{k}.res_layers.{i}", gate)
            total = total + convolved(f"WN.{k}.skip_layers.{i}", gate)
        end = convolved(f"WN.{k}.end", total)
        changed = np.exp(end[half:]) * changed + end[:half]
        log_det += end[half:].sum()
        x = np.concatenate([first, changed] if k % 2 == 0 else [changed, second])
    z = np.concatenate([*early, x])
    return z, log_det - (z**2 + np.log(2 * np.pi)).sum() / 2


def test_glow_old_swaps_halves(golden, tmp_path, capsys):
    weights = forms.split(SMALL)
    forms.save_module(tmp_path / "old.pt", weights, old=True)
    vocoder, told, err = imported(tmp_path / "old.pt", tmp_path / "out", capsys)
    assert err == ""
    assert told["family"].startswith("glow_old (")
    assert told["config"]["model"]["swap_odd"] is True
    audio, mel = golden["audio"], golden["mel"]
    z = vocoder.encode(audio, mel)
    log_prob = vocoder.log_prob(audio, mel)
    for example in range(2):
        expected, nats = old_encode(weights, audio[example].numpy(), mel[example].numpy())
        assert np.abs(z[example].numpy(force=True) - expected).max() < 1e-6
        assert abs(log_prob[example].item() - nats) < 1e-6
    assert (vocoder.decode(z, mel) - audio).abs().max() < 1e-6


@pytest.mark.filterwarnings("default:imported as")
def test_a_state_dict_does_not_tell_glow_old(golden, tmp_path, capsys):
    weights = forms.split(SMALL)
    torch.save(weights, tmp_path / "x.pt")
    new, _, err = imported(tmp_path / "x.pt", tmp_path / "new", capsys)
    assert "--family glow_old" in err
    old, _, err = imported(tmp_path / "x.pt", tmp_path / "old", capsys, "--family", "glow_old")
    assert err == ""
    assert (old.config.model.swap_odd, new.config.model.swap_odd) == (True, False)
    audio, mel = golden["audio"], golden["mel"]
    expected, _ = old_encode(weights, audio[0].numpy(), mel[0].numpy())
    assert np.abs(old.encode(audio, mel)[0].numpy(force=True) - expected).max() < 1e-6


def test_a_family_that_the_file_contradicts_is_refused(tmp_path, capsys):
    torch.save(SMALL, tmp_path / "x.pt")
    line = error_of(tmp_path / "x.pt", tmp_path / "out", capsys, "--family", "nemo")
    assert "expected the family nvidia" in line
    forms.save_module(tmp_path / "glow.pt", SMALL)
    line = error_of(tmp_path / "glow.pt", tmp_path / "out", capsys, "--family", "glow_old")
    assert "expected the family nvidia" in line


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_becomes_float32(dtype, tmp_path, capsys):
    rounded = {name: value.to(dtype) for name, value in forms.unnormed(SMALL).items()}
    torch.save(rounded, tmp_path / "x.pt")
    _, told, _ = imported(tmp_path / "x.pt", tmp_path / "out", capsys)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float32}
    assert all(float(value) < 1e-5 for value in told["difference"].values())


def test_a_row_of_zeros_without_weight_norm():
    weights = forms.unnormed(SMALL)
    weights["WN.0.start.weight"][3] = 0
    vocoder = vocoder_from_state_dict(weights)
    start = next(x for x in vocoder.modules() if isinstance(x, WaveNet)).start
    assert torch.equal(start.weight[3], torch.zeros_like(start.weight[3]))
    assert torch.allclose(start.weight, weights["WN.0.start.weight"], atol=1e-6)


def replaced(name, value):
    return lambda weights: weights.update({name: value})


WRONG = {  # what is done to the weights: the name that is told
    "shape": (replaced("WN.3.start.weight_v", torch.ones(16, 3, 1)), "WN.3.start.weight_v"),
    "missing": (lambda w: w.pop("WN.2.in_layers.1.weight_g"), "WN.2.in_layers.1.weight_g"),
    "nan": (lambda w: w["WN.2.end.bias"].fill_(float("nan")), "WN.2.end.bias"),
    "integers": (replaced("upsample.bias", torch.arange(80)), "upsample.bias"),
    "no tensor": (replaced("upsample.bias", [0.0]), "upsample.bias"),
    "zeros": (lambda w: w["WN.1.start.weight_v"][2].zero_(), "WN.1.start.weight_v"),
    "foreign": (replaced("WN.0.fold.bias", torch.ones(1)), "WN.0.fold.bias"),
    "both": (replaced("WN.0.cond_layers.0.bias", torch.ones(1)), "WN.0.cond_layers.0.bias"),
    "a matrix too few": (lambda w: w.pop("convinv.4.conv.weight"), "WN.4."),
    "odd": (replaced("convinv.4.conv.weight", torch.ones(5, 5, 1)), "convinv.4.conv.weight"),
    "grows": (replaced("convinv.2.conv.weight", torch.ones(9, 9, 1)), "convinv.2.conv.weight"),
    "even kernel": (
        replaced("WN.0.in_layers.0.weight_v", torch.ones(32, 16, 2)),
        "WN.0.in_layers.0",
    ),
    "mels": (replaced("upsample.weight", torch.ones(64, 64, 256)), "upsample.weight"),
    "reach": (replaced("WN.0.in_layers.0.weight_v", torch.ones(32, 16, 9001)), "WN.0.in_layers"),
    "width": (
        replaced("WN.0.in_layers.0.weight_v", torch.ones(1, 1, 1).expand(2**20, 2**19, 1)),
        "WN.0.cond_layer.bias",
    ),
    "scalar": (replaced("convinv.0.conv.weight", torch.ones(())), "convinv.0.conv.weight"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_named(what):
    change, name = WRONG[what]
    weights = {key: value.clone() for key, value in SMALL.items()}
    change(weights)
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        vocoder_from_state_dict(weights)
    assert "\n" not in str(caught.value)


def test_another_hop_is_refused(tmp_path, capsys):
    def wrap(module):
        module.upsample.stride = (200,)
        return {"model": module}

    forms.save_module(tmp_path / "x.pt", SMALL, wrap=wrap)
    assert "hop_length 200" in error_of(tmp_path / "x.pt", tmp_path / "out", capsys)


def test_other_files_are_told(tmp_path, capsys):
    torch.save({"state_dict": {"encoder.weight": torch.ones(2)}}, tmp_path / "other.pt")
    assert "WaveGlow" in error_of(tmp_path / "other.pt", tmp_path / "out", capsys)
    torch.save({**SMALL, "WN.0.fold.bias": torch.ones(1)}, tmp_path / "fold.pt")
    line = error_of(tmp_path / "fold.pt", tmp_path / "out", capsys)
    assert line.startswith(f"waveflow: error: {tmp_path / 'fold.pt'}: expected")
    assert "WN.0.fold.bias" in line
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    assert "got Tensor" in error_of(tmp_path / "tensor.pt", tmp_path / "out", capsys)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert "damaged" in error_of(tmp_path / "x.safetensors", tmp_path / "out", capsys)
    assert "No such file" in error_of(tmp_path / "missing.pt", tmp_path / "out", capsys)
    assert "convention" in error_of(tmp_path / "x.pt", tmp_path / "out", capsys, "--mel", "odd")


@pytest.mark.filterwarnings("default:.*(preemph|numbers)")
def test_mels_that_nemo_tells_and_waveflow_has_not(tmp_path, capsys):
    config = forms.NEMO_CONFIG.replace("preemph: null", "preemph: 0.97")
    forms.save_nemo(tmp_path / "x.nemo", forms.renamed(SMALL), config=config)
    _, told, err = imported(tmp_path / "x.nemo", tmp_path / "out", capsys)
    assert "preemph 0.97" in err
    assert told["config"]["mel"]["f_max"] == 11025
    _, told, err = imported(tmp_path / "x.nemo", tmp_path / "mine", capsys, "--mel", "nvidia-22k")
    assert (told["config"]["mel"]["f_max"], err) == (8000, "")
    forms.save_nemo(tmp_path / "y.nemo", forms.renamed(SMALL), config="preprocessor: {n_fft: 512}")
    _, told, err = imported(tmp_path / "y.nemo", tmp_path / "other", capsys)
    assert "assuming nvidia-22k" in err
    pairs = zip("abcdefgh", "bcdefghi", strict=True)
    lines = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairs]
    laughs = "a: &a [x, x]\n" + "".join(lines)
    many = laughs + forms.NEMO_CONFIG.replace("preemph: null", "preemph: *i")
    forms.save_nemo(tmp_path / "z.nemo", forms.renamed(SMALL), config=many)
    assert "preemph of another kind" in imported(tmp_path / "z.nemo", tmp_path / "z", capsys)[2]
    huge = forms.NEMO_CONFIG.replace("n_fft: 1024", "n_fft: 1099511627776")
    forms.save_nemo(tmp_path / "h.nemo", forms.renamed(SMALL), config=huge)
    assert "usual sizes" in error_of(tmp_path / "h.nemo", tmp_path / "h", capsys)


def test_an_import_that_differs_does_not_appear(monkeypatch, tmp_path, capsys):
    torch.save(SMALL, tmp_path / "x.pt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")

    def swapped(weights, *, mel, swap_odd):
        return vocoder_from_state_dict(weights, mel=mel, swap_odd=True)

    with monkeypatch.context() as patch:
        patch.setattr(importing, "vocoder_from_state_dict", swapped)
        line = error_of(tmp_path / "x.pt", tmp_path / "out", capsys)
    assert "latent" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]
    imported(tmp_path / "x.pt", tmp_path / "out", capsys)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert "got one with " in error_of(tmp_path / "x.pt", tmp_path / "out", capsys)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights


def test_the_check_sees_every_tensor(tmp_path):
    torch.save(SMALL, tmp_path / "x.pt")
    importing.import_checkpoint(tmp_path / "x.pt", tmp_path / "out")
    for name in ("upsample.weight", "WN.4.in_layers.1.weight_v", "WN.3.cond_layer.bias"):
        weights = {**SMALL, name: SMALL[name].clone()}
        weights[name].flatten()[-1] += 1
        differences = compare(weights, tmp_path / "out")
        assert max(differences.values()) > importing.TOLERANCE, name
