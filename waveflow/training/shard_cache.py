"""Read shards from a folder, or from a URL through a cache of bounded size."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from filelock import FileLock, Timeout

from waveflow.io.yaml import shortened

RETRY_PAUSES = (1.0, 4.0, 15.0)
"""Seconds to wait after each failure of the network before the next try."""
_WAIT = 0.1
_STALL = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class ShardFile:
    """The file of a shard: its ``name``, ``size`` in bytes, and ``sha256`` in hexadecimal."""

    name: str
    size: int
    sha256: str


class ShardFolder:
    """Shards in a folder.

    Args:
        folder: folder of the shards.
        shards: files of the shards.
    """

    def __init__(self, folder: str | Path, shards: Sequence[ShardFile]):
        self.folder = Path(folder)
        self.shards = shards

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """``size`` bytes of a shard from ``offset`` on; fewer at its end."""
        with (self.folder / self.shards[shard].name).open("rb") as file:
            return _read(file, offset, size)


class ShardCache:
    """Shards at a URL: fetched when first needed, verified, and cached while there is room.

    The least recently used shards are deleted before a fetch, so the folder never holds more than
    its limit. Processes share the folder: one fetches a shard while the others that need it wait.
    No file stays open between reads, so a cache may be pickled and forked.

    Args:
        address: URL of the folder of shards, for fsspec (``https://…``, ``s3://…``).
        shards: files of the shards.
        limit: largest size of the folder in bytes.
        whole: fetch whole shards; otherwise fetch only the bytes that are read from shards outside
            the cache, and do not cache them.

    Raises:
        ValueError: the largest shard is above the limit.
    """

    def __init__(
        self, address: str, shards: Sequence[ShardFile], *, limit: int, whole: bool = True
    ):
        largest = max(shard.size for shard in shards)
        if limit < largest:
            raise ValueError(
                f"{address}: expected a cache (data.cache_gigabytes) that holds the largest "
                f"shard, {largest / 1e9:.6g} GB; got {limit / 1e9:.6g} GB"
            )
        self.address = address.rstrip("/")
        self.shards = shards
        self.limit = limit
        self.whole = whole
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        key = hashlib.sha256(self.address.encode()).hexdigest()[:32]
        self.folder = caches / "waveflow" / "shards" / key

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """``size`` bytes of a shard from ``offset`` on.

        Raises:
            OSError: the shard cannot be fetched.
            ValueError: the shard is not the one in the index.
        """
        wanted = self.shards[shard]
        path = self.folder / f"{wanted.sha256}.tar"
        try:
            os.utime(path)  # marks the shard as used
            with path.open("rb") as file:
                return _read(file, offset, size)
        except FileNotFoundError:
            pass
        address = f"{self.address}/{wanted.name}"
        if not self.whole:
            piece = fetch(address, lambda fs, path: fs.cat_file(path, offset, offset + size))
            if len(piece) == size:  # otherwise the server cannot send a part
                return piece
        with self._fetch(address, wanted, path) as file:
            return _read(file, offset, size)

    def _fetch(self, address: str, wanted: ShardFile, path: Path) -> BinaryIO:
        """Fetch a shard to ``path`` and open it, before another process can delete it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock(wanted.sha256):
            try:
                return path.open("rb")  # another process has fetched it
            except FileNotFoundError:
                pass
            part = self.folder / f"{wanted.sha256}.{wanted.size}.part"
            while not self._reserve(part):
                time.sleep(_WAIT)
            try:
                self._download(address, wanted, part)
                with self._lock("folder"):
                    file = part.open("rb")
                    os.replace(part, path)
                    return file
            finally:
                part.unlink(missing_ok=True)

    def _reserve(self, part: Path) -> bool:
        """Reserve the room that the name of ``part`` gives, unless other fetches need it."""
        with self._lock("folder"):
            taken = _room(part)
            for other in self.folder.glob("*.part"):
                if other != part:
                    try:
                        with self._lock(other.name.split(".")[0], blocking=False):
                            other.unlink(missing_ok=True)  # its process has died
                    except Timeout:
                        taken += _room(other)
            if taken > self.limit:
                return False
            shards = [(path, path.stat()) for path in self.folder.glob("*.tar")]
            shards.sort(key=lambda shard: shard[1].st_mtime_ns)
            taken += sum(stat.st_size for _, stat in shards)
            for path, stat in shards:
                if taken > self.limit:
                    path.unlink()
                    taken -= stat.st_size
            part.touch()
            return True

    def _download(self, address: str, wanted: ShardFile, part: Path) -> None:
        for _ in range(2):
            fetch(address, lambda fs, path: fs.get_file(path, str(part)))
            got = sha256(part)
            if got == wanted.sha256:
                return
        raise ValueError(
            f"{address}: expected the shard of the index, {wanted.size} bytes with sha256 "
            f"{wanted.sha256}; got {part.stat().st_size} bytes with {got}"
        )

    def _lock(self, name: str, *, blocking: bool = True) -> Any:
        return FileLock(self.folder / f"{name}.lock", blocking=blocking)


def fetch(address: str, work: Callable[[Any, str], T]) -> T:
    """Call ``work(file system, path)`` for a URL, and retry after temporary failures.

    Raises:
        FileNotFoundError: there is no file at the URL.
        OSError: the URL cannot be reached.
        ValueError: ``address`` is not a URL, or needs a package that is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(address, **_options(address))
    except (ValueError, ImportError) as error:
        text = f"{address}: expected a URL that fsspec reads; got: {error}"
        raise ValueError(text) from error
    for pause in (*RETRY_PAUSES, None):
        try:
            return work(fs, path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{address}: expected a file; it does not exist") from None
        except Exception as error:  # every kind of network has its own errors
            if pause is None or isinstance(error, PermissionError):
                raise OSError(f"{address}: cannot be fetched: {shortened(error)}") from error
            time.sleep(pause)
    raise AssertionError


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _room(part: Path) -> int:
    return int(part.name.split(".")[1])


def _options(address: str) -> dict[str, Any]:
    """Options for a URL: no limit on the whole transfer, but a silent server times out."""
    if not address.startswith(("http://", "https://")):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_STALL, sock_read=_STALL)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
