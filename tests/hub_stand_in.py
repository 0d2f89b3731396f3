"""A stand-in of the Hugging Face hub, for what is pushed to it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete


class Hub:
    """A dataset as files of a folder; fails where it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.made: dict[str, Any] = {}
        self.commits: list[dict[str, Any]] = []
        self.failure: Exception | None = None

    def create_repo(self, repo: str, **said: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        self.made = {"repo": repo} | said
        return huggingface_hub.RepoUrl(f"https://huggingface.co/datasets/{repo}")

    def repo_info(self, repo: str, repo_type: str) -> Any:
        return SimpleNamespace(sha=f"{repo}@{len(self.commits)}")

    def list_repo_files(self, repo: str, repo_type: str, revision: str) -> list[str]:
        return sorted(self.files())

    def hf_hub_download(self, repo: str, path: str, repo_type: str, revision: str) -> str:
        return str(self.folder / path)

    def create_commit(self, repo: str, operations: list[Any], **said: Any) -> None:
        self.commits.append({"repo": repo} | said)
        for one in operations:
            path = self.folder / one.path_in_repo
            if isinstance(one, CommitOperationDelete):
                path.unlink()
            else:
                assert isinstance(one, CommitOperationAdd)
                path.parent.mkdir(parents=True, exist_ok=True)
                with one.as_file() as file:
                    path.write_bytes(file.read())

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def put(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)
