"""Files that unpack to more than their budget are refused where each kind is read."""

import io
import tarfile
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from waveflow.interop.nemo_archive import read_archive
from waveflow.io import budget
from waveflow.io.npz import require_bounded
from waveflow.io.torch_files.tensors import Storages


def test_a_budget_grows_with_what_is_stored():
    assert budget.Budget(10, 3).of(0) == 10
    assert budget.Budget(10, 3).of(5) == 25


@pytest.mark.parametrize("over", [0, 1])
def test_archives_of_numpy(over, tmp_path, monkeypatch):
    file = tmp_path / "a.npz"
    np.savez_compressed(file, mel=np.zeros(5000, np.float32))
    with zipfile.ZipFile(file) as archive:
        (member,) = archive.infolist()
    room = member.file_size - 2 * member.compress_size - over
    monkeypatch.setattr("waveflow.io.npz.NUMPY_ARCHIVE", budget.Budget(room, 2))
    refused = pytest.raises(ValueError, match="bytes that unpack to") if over else nullcontext()
    with refused:
        require_bounded(file)


def test_archives_of_nemo(tmp_path):
    file = tmp_path / "a.nemo"
    zeros = budget.NEMO_ARCHIVE.of(2**12)
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo("model_weights.ckpt")
        member.size = 2 * zeros
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    assert file.stat().st_size < 2**12
    with pytest.raises(ValueError, match=r"expected a \.nemo archive"):
        read_archive(file)


def test_tensors_that_share_a_storage():
    storages = Storages(100)
    storages.get(torch.float32, "0", 25)
    storages.spend(budget.TENSORS.of(100))
    with pytest.raises(ValueError, match="much larger than the file"):
        storages.spend(1)
