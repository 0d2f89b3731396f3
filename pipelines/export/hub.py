"""Uploads an export to the Hugging Face hub, as a dataset."""

from pathlib import Path
from typing import Final

from gog.pipelines.lake.lake import LakeError

IGNORED: Final = (".*", "**/.*")


def push_export(folder: Path, repo: str) -> str:
    """Upload a whole export, card included, to the dataset `repo` (made, and private, where there is none).

    Returns its address. Files of an earlier upload that this one does not have are removed in the same commit. The
    token is the one of `hf auth login`, or in HF_TOKEN. Raises `LakeError`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever HTTP library it uses
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalTokenNotFoundError,
    )

    api = HfApi()
    try:
        created = api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(
            repo_id=created.repo_id,
            repo_type="dataset",
            folder_path=folder,
            ignore_patterns=list(IGNORED),
            delete_patterns=["*"],
            commit_message=f"Glance-or-Gaze export {folder.parent.name}/{folder.name}",
        )
    except LocalTokenNotFoundError as error:
        raise LakeError("no token for the hub: run `hf auth login`, or set HF_TOKEN") from error
    except HFValidationError as error:
        raise LakeError(f"{repo!r} is no name of a dataset: write OWNER/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        why = "the token may not write there" if status in (401, 403) else f"the hub answered {status}"
        raise LakeError(f"{repo}: {why}; the export itself is in {folder}") from error
    except (HTTPError, OSError) as error:
        raise LakeError(
            f"{repo}: the hub cannot be reached ({type(error).__name__}); the export is in {folder}"
        ) from error
    return str(created)
