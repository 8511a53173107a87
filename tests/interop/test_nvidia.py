"""Against the public reference WaveGlow: every intermediate it can tell, in float64."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from waveflow.bijections import Coupling, InvertibleConv1x1
from waveflow.interop.nvidia import vocoder_from_state_dict

GOLDEN = Path(__file__).parents[1] / "golden" / "nvidia_waveglow.npz"
FLOWS, LAYERS, CHANNELS, MELS, GROUPS = 12, 8, 16, 80, 8


def shapes():
    """The reference state dict's shapes."""
    result = {"upsample.weight": (MELS, MELS, 1024), "upsample.bias": (MELS,)}

    def normed(name, out_channels, in_channels, kernel):
        result[f"{name}.weight_g"] = (out_channels, 1, 1)
        result[f"{name}.weight_v"] = (out_channels, in_channels, kernel)
        result[f"{name}.bias"] = (out_channels,)

    for k in range(FLOWS):
        size = GROUPS - 2 * (k // 4)
        result[f"convinv.{k}.conv.weight"] = (size, size, 1)
        normed(f"WN.{k}.start", CHANNELS, size // 2, 1)
        normed(f"WN.{k}.cond_layer", 2 * CHANNELS * LAYERS, MELS * GROUPS, 1)
        for i in range(LAYERS):
            normed(f"WN.{k}.in_layers.{i}", 2 * CHANNELS, CHANNELS, 3)
            out_channels = 2 * CHANNELS if i < LAYERS - 1 else CHANNELS
            normed(f"WN.{k}.res_skip_layers.{i}", out_channels, CHANNELS, 1)
        result[f"WN.{k}.end.weight"] = (size, CHANNELS, 1)
        result[f"WN.{k}.end.bias"] = (size,)
    return result


def formula_weights():
    """The weights that the golden outputs were made with: sines, rounded to float32."""
    return dict(_formula_weights())


@cache
def _formula_weights():
    weights = {}
    for j, (key, shape) in enumerate(sorted(shapes().items())):
        i = np.arange(math.prod(shape), dtype=np.float64)
        w = np.sin(0.37 * j + 0.7310585 * (i + 1) * (1 + 0.01 * (j % 7)))
        if "convinv" in key:
            w = np.eye(shape[0]).ravel() + 0.1 * w
        elif key.endswith("weight_g"):
            w = 0.8 + 0.1 * w
        elif key.endswith(".bias") or (key.startswith("WN") and ".end." in key):
            w = 0.05 * w
        elif key == "upsample.weight":
            w = 0.02 * w
        weights[key] = torch.from_numpy(w.reshape(shape)).float().double()
    return weights


@pytest.fixture(scope="module")
def golden():
    return {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}


@pytest.fixture(scope="module")
def vocoder():
    return vocoder_from_state_dict(formula_weights())


@pytest.fixture(autouse=True)
def in_range(monkeypatch):
    """The golden mel is a formula, not a spectrogram: let its values pass."""
    monkeypatch.setattr("waveflow.vocoder.check_mel", lambda mel, log_mel: None)


def test_sizes_come_from_the_shapes(vocoder):
    model = vocoder.config.model
    assert (model.groups, model.flows, model.early_every, model.early_size) == (8, 12, 4, 2)
    assert (model.channels, model.layers, model.kernel_size) == (CHANNELS, LAYERS, 3)
    assert model.upsampler_kernel_size == 1024


def test_latent(vocoder, golden):
    z = vocoder.encode(golden["audio"], golden["mel"])
    assert (z - golden["z"]).abs().max() < 1e-6


def test_log_determinants_of_every_flow(vocoder, golden):
    scales, volumes = [], []

    def record_scale(module, inputs, outputs):
        scales.append(outputs[1])

    def record_volume(module, inputs, outputs):
        volumes.append(outputs[1].sum())

    hooks = [
        module.register_forward_hook(
            record_scale if isinstance(module, Coupling) else record_volume
        )
        for module in vocoder.modules()
        if isinstance(module, Coupling | InvertibleConv1x1)
    ]
    vocoder.encode(golden["audio"], golden["mel"])
    for hook in hooks:
        hook.remove()
    assert (torch.stack(scales) - golden["log_s_sum"]).abs().max() < 1e-6
    assert (torch.stack(volumes)[1:] - golden["log_det_W"][1:]).abs().max() < 1e-6

    # Entry 0 of the file's log_det_W contradicts the file's own z and loss, which imply this one.
    energy = golden["z"].square().sum() / 2 - golden["loss"] * golden["z"].numel()
    first = energy - golden["log_s_sum"].sum() - golden["log_det_W"][1:].sum()
    assert abs(volumes[0] - first) < 1e-6
    assert abs(golden["log_det_W"][0] - first) > 100


def test_log_prob_is_the_printed_loss_with_its_constant(vocoder, golden):
    nats = vocoder.log_prob(golden["audio"], golden["mel"]).sum() / golden["audio"].numel()
    assert abs(nats - (-golden["loss"] - 0.5 * math.log(2 * math.pi))) < 1e-6


def test_synthesis_from_the_same_noise(vocoder, golden):
    audio = vocoder.decode(0.6 * golden["noise"], golden["mel"])
    assert (audio - golden["infer_sigma06"]).abs().max() < 1e-6


def test_a_foreign_name_is_named():
    weights = formula_weights()
    weights["WN.0.cond_layers.0.bias"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"WN\.0\.cond_layers\.0\.bias"):
        vocoder_from_state_dict(weights)


def test_a_missing_name_is_named():
    weights = formula_weights()
    del weights["WN.3.start.bias"]
    with pytest.raises(ValueError, match=r"WN\.3\.start\.bias; it is missing"):
        vocoder_from_state_dict(weights)
    with pytest.raises(ValueError, match="expected the state dict of a WaveGlow"):
        vocoder_from_state_dict({})


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_torchs_defaults_do_not_matter(device):
    expected = vocoder_from_state_dict(formula_weights()).state_dict()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            found = vocoder_from_state_dict(formula_weights()).state_dict()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {name: (value.device, value.dtype) for name, value in found.items()} == {
        name: (value.device, value.dtype) for name, value in expected.items()
    }
    assert all(torch.equal(found[name], value) for name, value in expected.items())
