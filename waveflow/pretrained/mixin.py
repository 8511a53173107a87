"""Vocoders saved and loaded: from a folder, by a bundled name, and on the Hugging Face hub.

The methods and their arguments are those of huggingface_hub's ``PyTorchModelHubMixin``, without
that package, which is loaded for ids on the hub alone.
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
from waveflow.io.paths import as_path
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


class Saved(Durable):
    """A module that its config describes and a folder of two files keeps.

    Args:
        config: what the module is; it is all that a subclass's constructor takes.
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
        """Write ``config.yaml`` and ``model.safetensors`` into a folder, made if missing.

        Args:
            folder: where to.
            dtype: precision to store floating-point weights in; by default the one they have.
            repo_id: id on the hub, for ``push_to_hub`` and for the card; by default the folder's
                name.
            push_to_hub: put them on the Hugging Face hub, too.
            model_card_kwargs: write a model card ``README.md``, too, with these arguments of
                :func:`waveflow.pretrained.card.model_card`, of which none is needed.
            **push_to_hub_kwargs: as :meth:`push_to_hub` takes them.

        Returns:
            The address of the commit on the hub, if pushed.

        Raises:
            ValueError: arguments of a push without ``push_to_hub``, an empty string, or a dtype
                that weights are not stored in.
        """
        if push_to_hub_kwargs and not push_to_hub:
            raise ValueError(
                f"expected push_to_hub=True beside {', '.join(push_to_hub_kwargs)}; got False"
            )
        folder = as_path(folder)
        if repo_id == "":
            raise ValueError("expected an id on the hub (user/name) or None; got an empty string")
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, self.config, self.state_dict(), dtype=dtype)
        name = repo_id or folder.resolve().name
        if model_card_kwargs is not None:
            write_atomically(folder / CARD_FILE, self._card(name, model_card_kwargs).encode())
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
        """Put this vocoder on the Hugging Face hub, in one commit, with a model card.

        Needs ``pip install 'waveflow[hub]'``.

        Args:
            repo_id: ``"user/name"``; made if missing.
            dtype: as for :meth:`save_pretrained`.
            commit_message: of the commit.
            private: whether a repository that is made is private; None for the account's default.
            token: of the hub; by default the one that ``hf auth login`` stored.
            branch: which must be there; by default ``main``.
            create_pr: propose the commit, instead of making it.
            allow_patterns: files to upload; by default all.
            ignore_patterns: files not to.
            delete_patterns: files to delete on the hub.
            model_card_kwargs: arguments of :func:`waveflow.pretrained.card.model_card`; without
                them, a card that is there stays.

        Returns:
            The address of the commit.

        Raises:
            ValueError: no id.
            FileNotFoundError: no such repository or branch.
            PermissionError: the hub wants another token.
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
                commit_message=commit_message,
                private=private,
                token=token,
                branch=branch,
                create_pr=create_pr,
                allow_patterns=allow_patterns,
                ignore_patterns=ignore_patterns,
                delete_patterns=delete_patterns,
                replace_card=model_card_kwargs is not None,
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
                What the hub's cache has is used as it is.
            revision: branch, tag or commit on the hub; by default ``main``.
            force_download: take the hub's files although the cache has them.
            token: of the hub; True or None for the one that ``hf auth login`` stored.
            cache_dir: the hub's cache; by default ``HF_HUB_CACHE``.
            local_files_only: ask no hub. So does ``HF_HUB_OFFLINE=1``.

        Raises:
            FileNotFoundError: no such name, folder or id, as an empty string is none, or a file is
                missing there.
            ValueError: the config or the weights cannot be used; says why.
            PermissionError: the hub wants a token, or its terms accepted.
            ConnectionError: the hub cannot be reached.
            ImportError: an id, without the extra ``hub``.
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
                f"{path}: expected the weights of {CONFIG_FILE}, some {most} parameters; "
                f"got a file of {stored} bytes"
            )
        try:
            with torch.device("cpu"):
                vocoder = cls(config).float()
        except ValueError as error:
            raise ValueError(f"{folder / CONFIG_FILE}: {error}") from None
        fill(vocoder, path)
        return vocoder.eval()

    def _card(self, name: str, arguments: Mapping[str, Any]) -> str:
        parameters = sum(weight.numel() for weight in self.parameters())
        return model_card(self.config, name=name, parameters=parameters, **arguments)
