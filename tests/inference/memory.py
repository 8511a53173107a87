"""What tensors hold in this process, to see whether streams hold more and more."""

import gc

import torch


def bytes_of_tensors():
    """Bytes of all dense tensors, each storage once."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
    storages = [each.untyped_storage() for each in tensors if each.layout == torch.strided]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())
