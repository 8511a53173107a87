"""Vocoders by name: bundled with the package, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from waveflow.pretrained.storage import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config,
    require_files,
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def bundled() -> list[str]:
    """Names of the vocoders that come with the package."""
    return sorted(path.parent.name for path in _pretrained().glob(f"*/{CONFIG_FILE}"))


def find(
    name_or_folder: str | Path,
    *,
    revision: str | None = None,
    force_download: bool = False,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a vocoder, downloaded if need be.

    A string is looked up as a bundled name, a folder, an id in the hub's cache on this machine, and
    an id on the hub, in this order; a ``Path`` is a folder. What the cache has is used as it is:
    the hub is asked for what is new there only by ``force_download``.

    Args:
        name_or_folder: ``"ljspeech"``, ``"runs/source_filter/model"``, ``"user/name"``.
        revision: branch, tag or commit on the hub; by default ``main``.
        force_download: take the hub's files although the cache has them.
        token: of the hub; True or None for the one that ``hf auth login`` stored.
        cache_dir: the hub's cache; by default ``HF_HUB_CACHE``.
        local_files_only: ask no hub. So does ``HF_HUB_OFFLINE=1``.

    Returns:
        A folder with ``config.yaml`` and ``model.safetensors``.

    Raises:
        FileNotFoundError: no such vocoder at any of these places, or no such revision; an empty
            string.
        ValueError: what is there is no vocoder; a revision or cache of an empty string.
        PermissionError: the hub wants a token, or its terms accepted.
        ConnectionError: the hub cannot be reached.
        ImportError: an id, without the extra ``hub``.
    """
    for name, value in (("revision", revision), ("cache_dir", cache_dir)):
        if value == "":
            raise ValueError(f"{name}: expected a name, a path or None; got an empty string")
    if isinstance(name_or_folder, str) and name_or_folder in bundled():
        return require_files(_pretrained() / name_or_folder)
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
            f"{cache_dir}; it is in neither, and the hub was not asked, because of "
            + ("local_files_only" if local_files_only else "HF_HUB_OFFLINE")
        )
    options = {"force_download": force_download, "cache_dir": cache_dir}
    return _download(name_or_folder, revision=revision, token=token, **options)


def upload(
    folder: Path,
    repo_id: str,
    *,
    commit_message: str = "Push waveflow vocoder",
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
    allow_patterns: Sequence[str] | str | None = None,
    ignore_patterns: Sequence[str] | str | None = None,
    delete_patterns: Sequence[str] | str | None = None,
    replace_card: bool = True,
) -> str:
    """Put a folder's files on the hub, in one commit.

    Args:
        folder: the files.
        repo_id: where to, ``"user/name"``; made if missing.
        commit_message: of the commit.
        private: whether a repository that is made is private; None for the account's default.
        token: of the hub; by default the one that ``hf auth login`` stored.
        branch: which must be there; by default ``main``.
        create_pr: propose the commit, instead of making it.
        allow_patterns: files to upload; by default all.
        ignore_patterns: files not to.
        delete_patterns: files to delete on the hub.
        replace_card: whether ``README.md`` may replace one that is there.

    Returns:
        The address of the commit.

    Raises:
        ValueError: no id.
        FileNotFoundError: no such repository or branch.
        PermissionError: the hub wants another token.
        ConnectionError: the hub cannot be reached, or fails.
        ImportError: the extra ``hub`` is not installed.
    """
    if not repo_id:
        raise ValueError("expected an id on the hub (user/name); got an empty string")
    api = _hub(repo_id).HfApi(token=token)
    ignored = [ignore_patterns] if isinstance(ignore_patterns, str) else list(ignore_patterns or ())
    with _told(repo_id):
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if not replace_card and api.file_exists(repo_id, CARD_FILE, revision=branch):
            ignored.append(CARD_FILE)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=commit_message,
            revision=branch,
            create_pr=create_pr,
            allow_patterns=allow_patterns,
            ignore_patterns=ignored or None,
            delete_patterns=delete_patterns,
        )
    return str(commit)


def _pretrained() -> Path:
    return Path(str(files("waveflow.pretrained")))


def _hub(repo_id: str) -> Any:
    """The package huggingface_hub, which is loaded for ids alone."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{repo_id}: there is no such folder, and the Hugging Face hub needs "
            f"pip install 'waveflow[hub]' ({error})"
        ) from None
    return huggingface_hub


def _cached(repo_id: str, *, revision: str | None, cache_dir: str | Path) -> Path | None:
    """The folder in the hub's cache, if both files are there."""
    with _told(repo_id):
        found = [
            _hub(repo_id).try_to_load_from_cache(
                repo_id, name, cache_dir=cache_dir, revision=revision
            )
            for name in (CONFIG_FILE, WEIGHTS_FILE)
        ]
    if not all(isinstance(path, str) for path in found):
        return None
    return Path(found[0]).parent


def _download(
    repo_id: str, *, revision: str | None, token: str | bool | None, **options: Any
) -> Path:
    """The folder of the hub's files: the config first, since much else has weights of that name."""
    hub = _hub(repo_id)
    with _told(repo_id):
        info = hub.HfApi().model_info(repo_id, revision=revision, token=token)
    names = {sibling.rfilename for sibling in info.siblings or ()}
    missing = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if name not in names]
    if missing:
        raise ValueError(
            f"{repo_id}: expected a waveflow vocoder on the hub; got a repository without "
            + " and ".join(missing)
        )

    def fetch(*names: str, revision: str | None) -> Path:
        with _told(repo_id):
            return Path(
                hub.snapshot_download(
                    repo_id, revision=revision, token=token, allow_patterns=list(names), **options
                )
            )

    folder = fetch(CONFIG_FILE, CARD_FILE, revision=revision)
    read_config(folder / CONFIG_FILE)
    return require_files(fetch(WEIGHTS_FILE, revision=folder.name))


@contextmanager
def _told(repo_id: str) -> Iterator[None]:
    """What goes wrong with the hub, as Python's own errors of one line."""
    from huggingface_hub import constants, errors

    address = f"{constants.ENDPOINT}/{repo_id}"
    try:
        yield
    except errors.GatedRepoError:
        raise PermissionError(
            f"{repo_id}: expected access to a gated repository; accept its terms at {address}, "
            "then give a token (token=..., or `hf auth login`)"
        ) from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"{repo_id}: expected a folder, or a repository at {address}; there is neither, or it "
            "is private and wants a token (token=..., or `hf auth login`)"
        ) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{repo_id}: expected a branch, tag or commit of {address}; it has none of that name"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        reason = f"{address}: the hub answered {status}: {_line(error)}"
        raise (PermissionError if status in (401, 403) else ConnectionError)(reason) from None
    except Exception as error:  # of several libraries, which differ with the hub's version
        if isinstance(error, ValueError):  # of an id
            raise ValueError(f"{repo_id}: {_line(error)}") from None
        if isinstance(error, OSError) and type(error).__module__ == "builtins":
            raise
        raise ConnectionError(
            f"{repo_id}: expected to reach {constants.ENDPOINT}; "
            f"got {type(error).__name__}: {_line(error)}"
        ) from None


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
