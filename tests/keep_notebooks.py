"""Run the notebooks over a lake of `gog demo`, and keep what they show in them, pictures made small.

    gog demo --lake LAKE
    python tests/keep_notebooks.py LAKE [NOTEBOOK ...]

The lake is copied: the last notebook makes a second run. Run it again when what the notebooks show has changed.
"""

import base64
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS: Final = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
WIDEST: Final = 1000
"""Pixels of a picture."""


def executed(path: Path, folder: Path, timeout: int) -> Any:
    """The notebook, run in a kernel of its own in a folder."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=dict(os.environ))
    return notebook


def small(picture: str) -> str:
    """A PNG in base64 with 128 colours and at most `WIDEST` pixels across."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def keep(path: Path, folder: Path) -> None:
    """Write the notebook with its outputs, and nothing of when and where it ran."""
    notebook = executed(path, folder, 900)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = small(data["image/png"])
                output["metadata"] = {}
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    print(path.name, path.stat().st_size, "bytes")


def main(lake: Path, paths: list[Path]) -> None:
    """Keep what these show."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(lake, Path(folder) / "lake")
        (Path(folder) / "notebooks").mkdir()
        os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "TMPDIR": folder}
        for path in paths:
            keep(path, Path(folder) / "notebooks")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]] or NOTEBOOKS)
