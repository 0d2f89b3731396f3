"""How an extra of ours can be installed from where the person is: the distribution need not be on an index."""

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME: Final = "glance-or-gaze"


def install(extra: str) -> str:
    """The command that brings the extra into this environment, by what `glance-or-gaze` was installed from."""
    return f"pip install {_requirement(extra, _origin())}"


def _origin() -> dict[str, object]:
    """What the installer noted (PEP 610); empty for an index."""
    try:
        noted = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _requirement(extra: str, origin: dict[str, object]) -> str:
    url, git, folder = str(origin.get("url", "")), origin.get("vcs_info"), origin.get("dir_info")
    if not url:
        return shlex.quote(f"{NAME}[{extra}]")
    if isinstance(git, dict):
        commit = f"@{git['commit_id']}" if "commit_id" in git else ""
        return shlex.quote(f"{NAME}[{extra}] @ {git.get('vcs', 'git')}+{url}{commit}")
    if isinstance(folder, dict):
        path = f"{url2pathname(urlsplit(url).path)}[{extra}]"
        return f"{'-e ' if folder.get('editable') else ''}{shlex.quote(path)}"
    return shlex.quote(f"{NAME}[{extra}] @ {url}")
