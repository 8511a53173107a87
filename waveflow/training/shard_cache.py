"""Shards where they lie: in a folder, or fetched from an address into a cache of bounded size."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

RETRY_PAUSES = (1.0, 4.0, 15.0)
"""Seconds to wait after a failure of the network, before trying again."""
_WAIT = 0.1
_STALL = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class ShardFile:
    """A shard: its file's ``name``, ``size`` in bytes, and ``sha256`` in hexadecimal."""

    name: str
    size: int
    sha256: str


class ShardFolder:
    """Shards in a folder.

    Args:
        folder: where they are.
        shards: their files.
    """

    def __init__(self, folder: str | Path, shards: Sequence[ShardFile]):
        self.folder = Path(folder)
        self.shards = shards

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """``size`` bytes of a shard from ``offset`` on; fewer where it ends before."""
        with (self.folder / self.shards[shard].name).open("rb") as file:
            return _read(file, offset, size)


class ShardCache:
    """Shards at an address: fetched on first need, verified, and kept while there is room.

    Room is made before fetching, by deleting those not used for longest, so that the folder never
    holds more than its limit. Processes share the folder: one fetches a shard while the others
    that need it wait. Nothing is kept open between reads, so a cache may be pickled and forked.

    Args:
        address: of the folder of shards, as fsspec takes it (``https://…``, ``s3://…``).
        shards: their files.
        limit: bytes that the folder may hold.
        whole: fetch whole shards; otherwise just what is read of those that are not there yet, and
            keep none of it.

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
            OSError: it cannot be fetched.
            ValueError: it is not the shard that the index speaks of.
        """
        wanted = self.shards[shard]
        path = self.folder / f"{wanted.sha256}.tar"
        try:
            os.utime(path)  # used now
            with path.open("rb") as file:
                return _read(file, offset, size)
        except FileNotFoundError:
            pass
        address = f"{self.address}/{wanted.name}"
        if not self.whole:
            piece = fetch(address, lambda fs, path: fs.cat_file(path, offset, offset + size))
            if len(piece) == size:  # or else the server cannot send a piece
                return piece
        with self._fetch(address, wanted, path) as file:
            return _read(file, offset, size)

    def _fetch(self, address: str, wanted: ShardFile, path: Path) -> BinaryIO:
        """Fetch a shard to ``path``; the file is open, lest another process delete it first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock(wanted.sha256):
            try:
                return path.open("rb")  # another process was quicker
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
        """Take the room that a ``part`` tells in its name, unless others are about to fill it."""
        from filelock import Timeout

        with self._lock("folder"):
            taken = _room(part)
            for other in self.folder.glob("*.part"):
                if other != part:
                    try:
                        with self._lock(other.name.split(".")[0], blocking=False):
                            other.unlink(missing_ok=True)  # of a process that died
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
        from filelock import FileLock

        return FileLock(self.folder / f"{name}.lock", blocking=blocking)


def fetch(address: str, work: Callable[[Any, str], T]) -> T:
    """Do ``work(file system, path)`` at an address, again after failures that may pass.

    Raises:
        FileNotFoundError: there is nothing at the address.
        OSError: it cannot be reached.
        ValueError: it is no address, or of a kind that needs a package which is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(address, **_options(address))
    except (ValueError, ImportError) as error:
        text = f"{address}: expected an address that fsspec reads; got: {error}"
        raise ValueError(text) from error
    for pause in (*RETRY_PAUSES, None):
        try:
            return work(fs, path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{address}: expected a file; there is none") from None
        except Exception as error:  # every kind of network has errors of its own
            if pause is None or isinstance(error, PermissionError):
                reason = str(error) or type(error).__name__
                raise OSError(f"{address}: cannot be fetched: {reason}") from error
            time.sleep(pause)
    raise AssertionError


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _room(part: Path) -> int:
    return int(part.name.split(".")[1])


def _options(address: str) -> dict[str, Any]:
    """A large shard may take long, but a server that has gone silent is given up."""
    if not address.startswith(("http://", "https://")):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_STALL, sock_read=_STALL)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
