"""Save and load vocoders: from a folder, by a bundled name, and on the Hugging Face hub.

The methods and their arguments are those of huggingface_hub's ``PyTorchModelHubMixin``. That
package is imported only for ids on the hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from waveflow.config import VocoderConfig
from waveflow.io.atomic import write_atomically
from waveflow.io.budget import PARAMETERS
from waveflow.io.paths import as_path, errors_begin_with
from waveflow.precision import Durable
from waveflow.pretrained import hub
from waveflow.pretrained.card import model_card
from waveflow.pretrained.limits import most_weights
from waveflow.pretrained.storage import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    fill,
    read_config,
    write_files,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class PretrainedMixin(Durable):
    """A module that is built from its config and saved as a folder of two files.

    Args:
        config: config of the module; the only argument of a subclass's constructor.
    """

    def __init__(self, config: VocoderConfig):
        super().__init__()
        self.config = config

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype | None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: Mapping[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write ``config.yaml`` and ``model.safetensors`` to a folder.

        Args:
            folder: folder for the files; created if missing.
            dtype: dtype to store floating-point weights in; None keeps their dtype.
            repo_id: id on the hub, for ``push_to_hub`` and for the card; None is the folder's
                name.
            push_to_hub: also upload the files to the Hugging Face hub.
            model_card_kwargs: also write a model card ``README.md`` with these arguments of
                :func:`waveflow.pretrained.card.model_card`, which are all optional.
            **push_to_hub_kwargs: arguments of :meth:`push_to_hub`.

        Returns:
            The URL of the commit on the hub; None without ``push_to_hub``.

        Raises:
            ValueError: arguments of a push without ``push_to_hub``, an empty string, or a dtype
                that weights are not stored in.
        """
        if push_to_hub_kwargs and not push_to_hub:
            raise ValueError(
                f"expected push_to_hub=True with {', '.join(push_to_hub_kwargs)}; got False"
            )
        folder = as_path(folder)
        if repo_id == "":
            raise ValueError("expected an id on the hub (user/name) or None; got an empty string")
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, self.config, self.state_dict(), dtype=dtype)
        name = repo_id or folder.resolve().name
        if model_card_kwargs is not None:
            parameters = sum(weight.numel() for weight in self.parameters())
            card = model_card(self.config, name=name, parameters=parameters, **model_card_kwargs)
            write_atomically(folder / CARD_FILE, card.encode())
        if not push_to_hub:
            return None
        return self.push_to_hub(
            name, dtype=dtype, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        dtype: torch.dtype | None = None,
        commit_message: str = "Push waveflow vocoder",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        allow_patterns: Sequence[str] | str | None = None,
        ignore_patterns: Sequence[str] | str | None = None,
        delete_patterns: Sequence[str] | str | None = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        """Upload this vocoder to the Hugging Face hub in one commit, with a model card.

        Needs ``pip install 'waveflow[hub]'``.

        Args:
            repo_id: id of the repository, ``"user/name"``; created if missing.
            dtype: dtype to store floating-point weights in; None keeps their dtype.
            commit_message: message of the commit.
            private: whether a new repository is private; None is the account's default.
            token: token of the hub; None is the one that ``hf auth login`` stored.
            branch: existing branch to commit to; None is ``main``.
            create_pr: open a pull request instead of committing.
            allow_patterns: patterns of files to upload; None is all.
            ignore_patterns: patterns of files to leave out.
            delete_patterns: patterns of files to delete on the hub.
            model_card_kwargs: arguments of :func:`waveflow.pretrained.card.model_card`; None keeps
                an existing card.

        Returns:
            The URL of the commit.

        Raises:
            ValueError: ``repo_id`` is empty.
            FileNotFoundError: the repository or the branch does not exist.
            PermissionError: the hub requires another token.
            ConnectionError: the hub cannot be reached, or fails.
            ImportError: the extra ``hub`` is not installed.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(
                folder, dtype=dtype, repo_id=repo_id, model_card_kwargs=model_card_kwargs or {}
            )
            return hub.upload(
                Path(folder),
                repo_id,
                private=private,
                token=token,
                branch=branch,
                ignore_patterns=ignore_patterns,
                replace_card=model_card_kwargs is not None,
                commit_message=commit_message,
                create_pr=create_pr,
                allow_patterns=allow_patterns,
                delete_patterns=delete_patterns,
            )

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        *,
        revision: str | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a vocoder, ready for synthesis: in evaluation mode, float32, on the CPU.

        Args:
            name_or_folder: a bundled name (``"ljspeech"``), a folder that :meth:`save_pretrained`
                wrote, or an id on the Hugging Face hub (``"user/name"``); a ``Path`` is a folder.
                Cached files of the hub are used without asking for newer ones.
            revision: branch, tag or commit on the hub; None is ``main``.
            force_download: download the files even if the cache has them.
            token: token of the hub; True or None is the one that ``hf auth login`` stored.
            cache_dir: folder of the hub's cache; None is ``HF_HUB_CACHE``.
            local_files_only: make no requests to the hub, like ``HF_HUB_OFFLINE=1``.

        Raises:
            FileNotFoundError: the name, folder or id does not exist or is empty, or a file is
                missing.
            ValueError: the config or the weights are not valid.
            PermissionError: the hub requires a token, or acceptance of its terms.
            ConnectionError: the hub cannot be reached.
            ImportError: the name is an id, and the extra ``hub`` is not installed.
        """
        folder = hub.find(
            name_or_folder,
            revision=revision,
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        config, path = read_config(folder / CONFIG_FILE), folder / WEIGHTS_FILE
        stored, most = path.stat().st_size, most_weights(config)
        if most > PARAMETERS.of(stored):
            raise ValueError(
                f"{path}: expected the weights of {CONFIG_FILE}, at most {most} parameters; "
                f"got a file of {stored} bytes, which is too small"
            )
        with errors_begin_with(folder / CONFIG_FILE), torch.device("cpu"):
            vocoder = cls(config).float()
        fill(vocoder, path)
        return vocoder.eval()
