"""Fetch a checkpoint from the Hugging Face hub, or find the copy that an earlier download left.

A download is of one commit: whoever changes the repository meanwhile, no two files are of different
versions. Files that are complete stay in the cache when a download breaks off.
"""

import errno
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

PATIENCE = 10.0  # seconds that the hub may take to say what a repository holds
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INSTEAD = "give a local folder or checkpoint='embedded'"


def fetched(name: str, patterns: list[str]) -> Path:
    """The folder with a repository's files, those whose paths match one of the patterns.

    Its newest commit, fetched if it is not there yet; if the hub cannot be asked, the commit that
    was fetched last. Raises `ValueError` that says why there is neither, and what to do.
    """
    try:
        # snapshot_download would ask, too, and wait for the answer without end
        repository = HfApi().model_info(name, timeout=PATIENCE)
    except Exception as error:
        return _from_cache(name, patterns, error)
    files = [file.rfilename for file in repository.siblings or []]
    wanted = [file for file in files if any(fnmatch(file, pattern) for pattern in patterns)]
    if not wanted:
        raise ValueError(
            f"checkpoint: {name!r} on the hub holds no checkpoint: none of its {len(files)} files "
            "has a name that is read here"
        )
    there = [try_to_load_from_cache(name, file, revision=repository.sha) for file in wanted]
    if all(isinstance(path, str) for path in there):  # no bars for what is not to be fetched
        return Path(there[0]).parents[wanted[0].count("/")]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:
        raise _refusal(name, error, "its download broke off") from error


def _from_cache(name: str, patterns: list[str], reason: Exception) -> Path:
    """What an earlier download left; a `ValueError` with the reason if it left nothing whole."""
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
    except Exception:
        raise _refusal(name, reason, "the hub cannot be reached") from reason


def _refusal(name: str, error: Exception, broken: str) -> ValueError:
    """What went wrong, and what to do. broken: what a fault of the connection amounts to."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    said = f"({type(error).__name__}{': ' if said else ''}{said[:120]})"
    if isinstance(error, HFValidationError):
        text = "the hub has no such names: they are owner/name"
    elif isinstance(error, OfflineModeIsEnabled):
        text = f"the network must not be used (HF_HUB_OFFLINE is set): unset that, or {INSTEAD}"
    elif isinstance(error, GatedRepoError):
        text = "it is gated: accept its terms on its page at the hub, then log in (hf auth login)"
    elif isinstance(error, RepositoryNotFoundError):
        text = (
            "the hub shows none of this name: check it, or log in (hf auth login) if it is private"
        )
    elif isinstance(error, RevisionNotFoundError):
        text = "it changed on the hub meanwhile: load it again"
    elif status in (401, 403):
        text = f"the hub refuses it to you: log in (hf auth login) {said}"
    elif status == 429:
        text = "the hub has had too many requests from here: try again in some minutes"
    elif status:
        text = f"the hub answers with an error: try again later, or {INSTEAD} {said}"
    elif isinstance(error, OSError) and error.errno in NO_ROOM:
        text = (
            f"no room for it in {constants.HF_HUB_CACHE!r}: free some, or set HF_HOME to a folder "
            f"with more {said}"
        )
    elif isinstance(error, PermissionError):
        text = f"it cannot be written to {constants.HF_HUB_CACHE!r}: set HF_HOME to your own folder"
    else:
        text = f"{broken}: check the connection and load it again, or {INSTEAD} {said}"
    return ValueError(f"checkpoint: {name!r} is no folder here, and {text}")
