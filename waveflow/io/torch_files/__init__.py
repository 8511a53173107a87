"""Read files of ``torch.save`` without running anything in them.

Python's own ``pickle`` calls every function that a file names. A restricted form of its machine
(``waveflow.io.torch_files.machine``) builds numbers, strings, lists, dicts and sets, makes
tensors from the file's storages (``waveflow.io.torch_files.tensors``), and turns classes of modules
into inert :class:`Record` objects. Every other name is refused
(``waveflow.io.torch_files.names``). The result does not depend on what a version of torch would
load or refuse.
"""

from waveflow.io.torch_files.formats import read_tensors
from waveflow.io.torch_files.names import Record

__all__ = ["Record", "read_tensors"]
