"""What ``torch.save`` has written, read without running anything that is in the file.

No pickle is ever loaded by Python's own ``pickle``, which calls whatever a file names. A machine
of our own (``waveflow.io.torch_files.machine``) builds numbers, texts, lists, dicts and sets;
tensors it makes of the file's storages (``waveflow.io.torch_files.tensors``); classes of modules
become inert :class:`Record`. Every other name is refused (``waveflow.io.torch_files.names``).
What torch itself would load or refuse, and in which version, does not matter.
"""

from waveflow.io.torch_files.files import read_tensors
from waveflow.io.torch_files.names import Record

__all__ = ["Record", "read_tensors"]
