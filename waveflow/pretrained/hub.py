"""Vocoders by name: bundled with the package, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waveflow.pretrained.storage import (
    CARD_FILE,
    CONFIG_FILE,
    FILES,
    WEIGHTS_FILE,
    read_config,
    require_files,
)

_BUNDLED = Path(__file__).parent
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def bundled() -> list[str]:
    """Names of the bundled vocoders."""
    return sorted(path.parent.name for path in _BUNDLED.glob(f"*/{CONFIG_FILE}"))


def find(
    name_or_folder: str | Path,
    *,
    revision: str | None = None,
    force_download: bool = False,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a vocoder, downloaded if necessary.

    A string is resolved as a bundled name, a folder, an id in the hub's cache on this machine, and
    an id on the hub, in this order; a ``Path`` is a folder. Cached files are used without asking
    the hub for newer ones, unless ``force_download`` is set.

    Args:
        name_or_folder: name, folder or id, such as ``"ljspeech"``, ``"runs/source_filter/model"``
            or ``"user/name"``.
        revision: branch, tag or commit on the hub; None is ``main``.
        force_download: download the files even if the cache has them.
        token: token of the hub; True or None is the one that ``hf auth login`` stored.
        cache_dir: folder of the hub's cache; None is ``HF_HUB_CACHE``.
        local_files_only: make no requests to the hub, like ``HF_HUB_OFFLINE=1``.

    Returns:
        A folder with ``config.yaml`` and ``model.safetensors``.

    Raises:
        FileNotFoundError: the vocoder or its revision does not exist, or the name is empty.
        ValueError: the files are not a vocoder, or ``revision`` or ``cache_dir`` is empty.
        PermissionError: the hub requires a token, or acceptance of its terms.
        ConnectionError: the hub cannot be reached.
        ImportError: the name is an id, and the extra ``hub`` is not installed.
    """
    for name, value in (("revision", revision), ("cache_dir", cache_dir)):
        if value == "":
            raise ValueError(f"{name}: expected a name, a path or None; got an empty string")
    if isinstance(name_or_folder, str) and name_or_folder in bundled():
        return require_files(_BUNDLED / name_or_folder)
    if name_or_folder != "" and Path(name_or_folder).is_dir():
        return require_files(Path(name_or_folder))
    if not isinstance(name_or_folder, str) or not _HUB_ID.fullmatch(name_or_folder):
        raise FileNotFoundError(
            f"expected a bundled name ({', '.join(bundled())}), a folder, or an id on the hub "
            f"(user/name); got {name_or_folder if name_or_folder != '' else 'an empty string'}"
        )
    _hub(name_or_folder)
    from huggingface_hub import constants

    cache_dir = cache_dir or constants.HF_HUB_CACHE
    cached = _cached(name_or_folder, revision=revision, cache_dir=cache_dir)
    if cached is not None and not force_download:
        return cached
    if local_files_only or constants.HF_HUB_OFFLINE:
        raise FileNotFoundError(
            f"{name_or_folder}: expected a folder, or an id in the hub's cache "
            f"{cache_dir}; got neither, and the hub may not be used, because of "
            + ("local_files_only" if local_files_only else "HF_HUB_OFFLINE")
        )
    options = {"force_download": force_download, "cache_dir": cache_dir}
    return _download(name_or_folder, revision=revision, token=token, **options)


def upload(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None,
    token: str | None,
    branch: str | None,
    ignore_patterns: Sequence[str] | str | None,
    replace_card: bool,
    **options: Any,
) -> str:
    """Upload the files of a folder to the hub in one commit.

    Args:
        folder: folder of the files.
        repo_id: id of the repository, ``"user/name"``; created if missing.
        private: whether a new repository is private; None is the account's default.
        token: token of the hub; None is the one that ``hf auth login`` stored.
        branch: existing branch to commit to; None is ``main``.
        ignore_patterns: patterns of files to leave out.
        replace_card: whether ``README.md`` may replace an existing one.
        options: options of ``huggingface_hub.HfApi.upload_folder``.

    Returns:
        The URL of the commit.

    Raises:
        ValueError, FileNotFoundError, PermissionError, ConnectionError, ImportError: as for
            ``Vocoder.push_to_hub``.
    """
    if not repo_id:
        raise ValueError("expected an id on the hub (user/name); got an empty string")
    api = _hub(repo_id).HfApi(token=token)
    ignored = [ignore_patterns] if isinstance(ignore_patterns, str) else list(ignore_patterns or ())
    with _errors_of_python(repo_id):
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if not replace_card and api.file_exists(repo_id, CARD_FILE, revision=branch):
            ignored.append(CARD_FILE)
        options |= {"revision": branch, "ignore_patterns": ignored or None}
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **options))


def _hub(repo_id: str) -> Any:
    """The package huggingface_hub, imported only for ids."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{repo_id}: there is no such folder, and the Hugging Face hub needs "
            f"pip install 'waveflow[hub]' ({error})"
        ) from None
    return huggingface_hub


def _cached(repo_id: str, *, revision: str | None, cache_dir: str | Path) -> Path | None:
    """The folder in the hub's cache; None unless both files are there."""
    with _errors_of_python(repo_id):
        paths = [
            _hub(repo_id).try_to_load_from_cache(
                repo_id, name, cache_dir=cache_dir, revision=revision
            )
            for name in FILES
        ]
    if not all(isinstance(path, str) for path in paths):
        return None
    return Path(paths[0]).parent


def _download(
    repo_id: str, *, revision: str | None, token: str | bool | None, **options: Any
) -> Path:
    """Download a vocoder: first the config, because other projects use this name of weights."""
    hub = _hub(repo_id)
    with _errors_of_python(repo_id):
        info = hub.HfApi().model_info(repo_id, revision=revision, token=token)
    names = {sibling.rfilename for sibling in info.siblings or ()}
    missing = [name for name in FILES if name not in names]
    if missing:
        raise ValueError(
            f"{repo_id}: expected a waveflow vocoder on the hub; got a repository without "
            + " and ".join(missing)
        )

    def fetch(*names: str, revision: str | None) -> Path:
        with _errors_of_python(repo_id):
            return Path(
                hub.snapshot_download(
                    repo_id, revision=revision, token=token, allow_patterns=list(names), **options
                )
            )

    folder = fetch(CONFIG_FILE, CARD_FILE, revision=revision)
    read_config(folder / CONFIG_FILE)
    return require_files(fetch(WEIGHTS_FILE, revision=folder.name))


@contextmanager
def _errors_of_python(repo_id: str) -> Iterator[None]:
    """Turn errors of the hub into Python's own errors, with one line of text."""
    from huggingface_hub import constants, errors

    address = f"{constants.ENDPOINT}/{repo_id}"
    try:
        yield
    except errors.GatedRepoError:
        raise PermissionError(
            f"{repo_id}: expected access to a gated repository; accept its terms at {address}, "
            "then pass a token (token=..., or `hf auth login`)"
        ) from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"{repo_id}: expected a folder, or a repository at {address}; neither exists, or it "
            "is private and needs a token (token=..., or `hf auth login`)"
        ) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{repo_id}: expected an existing branch, tag or commit of {address}"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        reason = f"{address}: the hub answered {status}: {_line(error)}"
        raise (PermissionError if status in (401, 403) else ConnectionError)(reason) from None
    except Exception as error:  # from several libraries, which depend on the hub's version
        if isinstance(error, ValueError):  # about the id
            raise ValueError(f"{repo_id}: {_line(error)}") from None
        if isinstance(error, OSError) and type(error).__module__ == "builtins":
            raise
        raise ConnectionError(
            f"{repo_id}: expected to reach {constants.ENDPOINT}; "
            f"got {type(error).__name__}: {_line(error)}"
        ) from None


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
