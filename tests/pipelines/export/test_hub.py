"""`--push` against a stand-in of the hub: what is uploaded, where to, and what is said when it cannot be."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from gog.pipelines.export.hub import push_export
from gog.pipelines.lake.lake import LakeError


class Hub:
    """Notes what it is asked for; fails where it is told to."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.uploaded: dict[str, Any] = {}
        self.failure: Exception | None = None

    def create_repo(self, repo: str, **said: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        self.made = {"repo": repo} | said
        return huggingface_hub.RepoUrl(f"https://huggingface.co/datasets/{repo}")

    def upload_folder(self, **said: Any) -> None:
        self.uploaded = said


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports" / "trl-qwen3-vl" / "sft"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({}))
    return folder


def test_the_whole_folder_goes_to_a_private_dataset(hub: Hub, folder: Path) -> None:
    assert push_export(folder, "me/fvqa") == "https://huggingface.co/datasets/me/fvqa"
    assert hub.made == {"repo": "me/fvqa", "repo_type": "dataset", "private": True, "exist_ok": True}
    assert hub.uploaded["folder_path"] == folder
    assert (hub.uploaded["repo_id"], hub.uploaded["repo_type"]) == ("me/fvqa", "dataset")
    assert hub.uploaded["delete_patterns"] == ["*"]
    assert "trl-qwen3-vl/sft" in hub.uploaded["commit_message"]


def refused(status: int) -> Exception:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=SimpleNamespace(method="POST", url="x"))
    return errors.HfHubHTTPError("no", response=response)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (errors.LocalTokenNotFoundError("no token"), "hf auth login"),
        (errors.HFValidationError("bad"), "write OWNER/NAME"),
        (refused(403), "may not write there"),
        (refused(500), "the hub answered 500"),
        (OSError("no route"), "cannot be reached"),
        (errors.HTTPError("no route"), "cannot be reached"),  # type: ignore[attr-defined]
    ],
)
def test_what_goes_wrong_is_one_line(hub: Hub, folder: Path, failure: Exception, told: str) -> None:
    hub.failure = failure
    with pytest.raises(LakeError, match=told) as caught:
        push_export(folder, "me/fvqa")
    assert "\n" not in str(caught.value)
    assert hub.uploaded == {}
