"""The golden WaveGlow in every family's form: names, cuts, files."""

import contextlib
import io
import re
import sys
import tarfile
import types
import warnings

import torch
from torch import nn

from tests.interop.test_nvidia import CHANNELS, GROUPS, formula_weights

WEIGHTS = formula_weights()
"""The golden WaveGlow's, float64."""

NEMO_CONFIG = """
preprocessor:
  cls: nemo.collections.asr.parts.features.FilterbankFeatures
  params: {sample_rate: 22050, n_fft: 1024, n_window_size: 1024, n_window_stride: 256, nfilt: 80,
           lowfreq: 0, highfreq: null, log: true, log_zero_guard_value: 1.0e-05, mag_power: 1.0,
           normalize: null, preemph: null, window: hann}
sigma: 1.0
"""


def small_weights(flows=5):
    """Some of the golden weights, in the master's form: ``flows`` flows of two layers, float32."""
    found = {}
    for name, value in WEIGHTS.items():
        flow = int((re.findall(r"^\w+\.(\d+)\.", name) or [0])[0])
        layer = re.search(r"layers\.(\d+)\.", name)
        if flow >= flows or (layer and int(layer[1]) > 1):
            continue
        if ".cond_layer." in name:
            value = value[: 4 * CHANNELS]
        elif ".res_skip_layers.1." in name:
            value = value[:CHANNELS]
        elif name == "upsample.weight":
            value = value[..., :256]
        found[name] = value.float().contiguous()
    return found


def layers_of(weights):
    """How many layers a network has."""
    return sum(name.startswith("WN.0.in_layers.") and name.endswith(".bias") for name in weights)


def unfused(weights):
    """A ``cond_layers.{i}`` for each layer, as in DeepLearningExamples."""
    result = {}
    for name, value in weights.items():
        if ".cond_layer." not in name:
            result[name] = value
            continue
        for i, rows in enumerate(value.chunk(layers_of(weights))):
            result[name.replace(".cond_layer.", f".cond_layers.{i}.")] = rows.clone()
    return result


def split(weights):
    """``res_layers`` and ``skip_layers``, as in the first version."""
    result = {}
    last = f".res_skip_layers.{layers_of(weights) - 1}."
    for name, value in unfused(weights).items():
        if ".res_skip_layers." not in name:
            result[name] = value
        elif last in name:
            result[name.replace("res_skip", "skip")] = value
        else:
            result[name.replace("res_skip", "res")] = value[:CHANNELS].clone()
            result[name.replace("res_skip", "skip")] = value[CHANNELS:].clone()
    return result


def renamed(weights):
    """NeMo's names, with what it saves besides."""
    named = {f"waveglow.{name.replace('WN.', 'wavenet.')}": x for name, x in weights.items()}
    for name, matrix in weights.items():
        if name.startswith("convinv."):
            inverse = matrix[..., 0].inverse()[..., None]
            named[f"waveglow.{name.replace('.conv.', '.inv_conv.')}"] = inverse
    named["audio_to_melspec_precessor.featurizer.window"] = torch.hann_window(1024)
    return named


def melody(weights):
    """A family that nobody has: other names, one condition for all flows, ends in two."""
    flows = sum(name.startswith("convinv.") for name in weights)
    result = {}
    for name, value in weights.items():
        name = name.replace("upsample.", "up.stretch.")
        name = re.sub(r"^convinv\.(\d+)\.conv\.weight$", r"mixing.matrix_\1", name)
        name = re.sub(r"^WN\.(\d+)\.", r"net.\1.body.", name).replace("in_layers", "taps")
        if ".end." in name:
            for half, rows in zip(("shift", "scale"), value.chunk(2), strict=True):
                result[name.replace(".end.", f".{half}.")] = rows.clone()
        elif ".cond_layer." not in name:
            result[name] = value
    for tensor in ("weight_g", "weight_v", "bias"):
        names = [f"WN.{flow}.cond_layer.{tensor}" for flow in range(flows)]
        if names[0] in weights:
            result[f"conditions.{tensor}"] = torch.cat([weights[name] for name in names])
    return result


def parametrized(weights):
    """The names that torch 2 gives to weight norm."""
    new = {"weight_g": "original0", "weight_v": "original1"}
    result = {}
    for name, value in weights.items():
        layer, _, tensor = name.rpartition(".")
        spelled = f"parametrizations.weight.{new[tensor]}" if tensor in new else tensor
        result[f"{layer}.{spelled}"] = value
    return result


def unnormed(weights):
    """Weight norm removed, as NVIDIA's ``remove_weightnorm`` does."""
    result = {name: x for name, x in weights.items() if not name.endswith(("_g", "_v"))}
    for name, g in weights.items():
        if name.endswith("weight_g"):
            v = weights[name.replace("weight_g", "weight_v")]
            result[name.removesuffix("_g")] = g * v / v.flatten(1).norm(dim=1)[:, None, None]
    return result


@contextlib.contextmanager
def project(old=False):
    """NVIDIA's modules, importable for as long as something of theirs is being saved.

    Yields a function that makes a ``WaveGlow`` with given weights: of ``glow_old`` if ``old``.
    """
    glow, glow_old = types.ModuleType("glow"), types.ModuleType("glow_old")
    for module in (glow, glow_old):
        for name in ("WaveGlow", "WN", "Invertible1x1Conv"):
            setattr(module, name, type(name, (nn.Module,), {"__module__": module.__name__}))
    sys.modules |= {"glow": glow, "glow_old": glow_old}
    try:
        yield lambda weights: _module(glow_old if old else glow, glow, weights)
    finally:
        del sys.modules["glow"], sys.modules["glow_old"]


def _module(project, glow, weights):
    """A module of a project, with hooks of weight norm, that holds these weights."""
    model = project.WaveGlow()
    model.n_flows = sum(name.startswith("convinv.") for name in weights)
    bands, _, kernel = weights["upsample.weight"].shape
    model.upsample = nn.ConvTranspose1d(bands, bands, kernel, stride=256)
    model.WN, model.convinv = nn.ModuleList(), nn.ModuleList()
    for k in range(model.n_flows):
        size = GROUPS - 2 * (k // 4)
        mixing = glow.Invertible1x1Conv()
        mixing.conv = nn.Conv1d(size, size, 1, bias=False)
        mixing.W_inverse = torch.zeros(size, size, 1)  # left there by synthesis
        model.convinv.append(mixing)
        model.WN.append(_network(project.WN(), f"WN.{k}.", weights))
    model.to(weights["upsample.bias"].dtype).load_state_dict(weights)
    return model


def _network(network, prefix, weights):
    for name in weights:
        if not (name.startswith(prefix) and name.endswith(".bias")):
            continue
        layer, _, index = name.removeprefix(prefix).removesuffix(".bias").partition(".")
        stem = name.removesuffix("bias")
        shape = (weights.get(f"{stem}weight_v", weights.get(f"{stem}weight"))).shape
        convolution = nn.Conv1d(shape[1], shape[0], shape[2], padding=shape[2] // 2)
        if f"{stem}weight_v" in weights:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                convolution = nn.utils.weight_norm(convolution)
        if not index:
            setattr(network, layer, convolution)
        else:
            if not hasattr(network, layer):
                setattr(network, layer, nn.ModuleList())
            getattr(network, layer).append(convolution)
    return network


def save_module(path, weights, *, old=False, legacy=False, wrap=lambda module: {"model": module}):
    """Save a pickled module as NVIDIA's ``train.py`` does."""
    with project(old) as make, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the source of a class made here cannot be saved with it
        torch.save(wrap(make(weights)), path, _use_new_zipfile_serialization=not legacy)


def save_tree(path, weights, *, project, stride=256):
    """Save a module of a project's class, with children that hold these weights."""
    module = types.ModuleType(project)
    module.Model = type("Model", (nn.Module,), {"__module__": project})
    root = module.Model()
    for name, value in weights.items():
        *places, leaf = name.split(".")
        node = root
        for place in places:
            if place not in node._modules:
                node.add_module(place, module.Model())
            node = node._modules[place]
            node.stride = (stride,)
        node.register_parameter(leaf, nn.Parameter(value))
    sys.modules[project] = module
    try:
        torch.save(root, path)
    finally:
        del sys.modules[project]


def save_nemo(path, weights, mode="w", config=NEMO_CONFIG):
    """Save a ``.nemo`` archive."""
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    with tarfile.open(path, mode, **({"compresslevel": 1} if "gz" in mode else {})) as tar:
        for name, content in (
            ("./model_config.yaml", config.encode()),
            ("./model_weights.ckpt", buffer.getvalue()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
