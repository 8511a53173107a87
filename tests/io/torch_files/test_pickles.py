"""Files of ``torch.save`` are read as torch reads them."""

import argparse
import io
import struct
import sys
import warnings

import pytest
import torch

from tests.io.torch_files.by_hand import archive, program, row, saved, tensor
from waveflow.io.torch_files import Record, read_tensors
from waveflow.io.torch_files.tensors import STORAGES


def read(content):
    return read_tensors(io.BytesIO(content))


def same(found, expected):
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and torch.equal(found, expected)
    if isinstance(expected, dict):
        return {*found} == {*expected} and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=True)
        return type(found) is type(expected) and all(same(a, b) for a, b in pairs)
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("legacy", [False, True])
class Test_reads:
    @pytest.mark.parametrize("dtype", STORAGES.values(), ids=str)
    def test_every_type(self, dtype, legacy):
        value = (torch.arange(12).reshape(3, 4) % 7).to(dtype)
        assert same(read(saved(value, legacy=legacy)), value)

    def test_views_of_one_storage(self, legacy):
        base = torch.arange(24.0)
        views = [base, base[3:9], base.reshape(4, 6).T, base.reshape(2, 3, 4)[:, 1:, ::2]]
        views += [base[5], base[:0], torch.zeros(0, 3), torch.tensor(3.0)]
        assert same(read(saved(views, legacy=legacy)), views)

    def test_plain_data(self, legacy):
        value = {
            "numbers": [0, 255, 256, -1, 2**31, -(2**40), 1.5, float("inf"), True, None],
            "texts": ("", "ä", "x" * 300, b"\x00\xff"),
            1: {2, 3},
            2.5: [[], {}, ()],
        }
        assert same(read(saved(value, legacy=legacy)), value)

    def test_a_training_state(self, legacy):
        model = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 1), torch.nn.BatchNorm1d(3))
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.randn(2, 2, 5)).sum().backward()
        optimizer.step()
        state = {
            "model": dict(model.state_dict()),
            "optimizer": optimizer.state_dict(),
            "half": torch.float16,
            "rng": torch.get_rng_state(),
        }
        assert same(read(saved(state, legacy=legacy)), state)

    def test_a_parameter(self, legacy):
        value = torch.nn.Parameter(torch.arange(3.0))
        assert same(read(saved(value, legacy=legacy)), value.detach())

    def test_modules_are_inert(self, legacy):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            module = torch.nn.Sequential(torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 1)))
        found = read(saved({"module": module, "args": argparse.Namespace(x=3)}, legacy=legacy))
        assert found["args"] == Record("argparse.Namespace", {"x": 3})
        sequential = found["module"]
        assert sequential.name == "torch.nn.modules.container.Sequential"
        convolution = sequential.state["_modules"]["0"]
        assert convolution.name == "torch.nn.modules.conv.Conv1d"
        assert same(convolution.state["_parameters"]["weight_v"], module[0].weight_v.detach())
        (hook,) = convolution.state["_forward_pre_hooks"].values()
        assert hook == Record("torch.nn.utils.weight_norm.WeightNorm", {"name": "weight", "dim": 0})
        assert not callable(hook)


def test_what_is_shared_stays_shared():
    found = read(saved([torch.zeros(4)] * 2))
    found[0][1] = 5
    assert found[1][1] == 5


def test_the_other_order_of_bytes():
    other = "big" if sys.byteorder == "little" else "little"
    swapped = struct.pack(">4f" if other == "big" else "<4f", 1.0, -2.5, 3e9, 0.0)
    found = read(archive(program(tensor((2, 2), (2, 1))), {"0": swapped}, order=other))
    assert same(found, torch.tensor([[1.0, -2.5], [3e9, 0.0]]))


def old_id(*view):
    """A storage as torch 0.4 on Python 2 wrote it, with a view on it."""
    parts = [b"U\x07storage", b"ctorch\nFloatStorage\n", b"U\x01a", b"U\x06cuda:0", b"K\x04"]
    described = b"(" + view[0] + b"K\x01K\x03t" if view else b"N"
    return b"(" + b"".join(parts) + described + b"tQ"


def test_a_file_of_torch_04_on_python_2():
    made = b"ctorch._utils\n_rebuild_tensor\n(" + old_id(b"U\x01v") + b"K\x01K\x02\x85K\x01\x85tR"
    parameter = b"ctorch.nn.parameter\nParameter\n" + made + b"\x88\x86R"
    pairs = b"ccollections\nOrderedDict\n]]U\x01wa" + parameter + b"aa\x85R"
    set_ = b"c__builtin__\nset\n](K\x01K\x02e\x85R"
    backend = b"ctorch.nn.backends.thnn\n_get_thnn_function_backend\n)R"
    content = struct.pack("<q4f", 4, 1.0, 2.0, 3.0, 4.0)
    found = read(row(b"\x80\x02(" + pairs + set_ + backend + b"t.", ["a"], content))
    assert same(found[:2], ({"w": torch.tensor([3.0, 4.0])}, {1, 2}))
    assert found[2].name.startswith("torch.nn.backends")


def test_a_path_is_named_and_a_missing_one_is_the_systems(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"no")
    with pytest.raises(ValueError, match="x.pt: expected tensors saved by torch; got"):
        read_tensors(tmp_path / "x.pt")
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "y.pt")
