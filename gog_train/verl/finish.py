"""Makes a merged checkpoint of verl a model folder like those of `gog train`.

    python -m gog_train.verl.finish EXPORT FOLDER

`merge.sh` of an export calls it, after verl's own merger has written weights and processor.
"""

import shlex
import sys
from pathlib import Path

from gog.transforms.dialect.backbones import BACKBONES
from gog_train.checkpoints import write_notes
from gog_train.data import ExportError, read_manifest


def finish(export: Path, folder: Path) -> list[str]:
    """Write `gog.json` and the chat template into a merged model; returns the command that serves it.

    Raises `ExportError` where the export is none, or the folder holds no model.
    """
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ExportError(f"{folder} holds no merged model: config.json or *.safetensors is missing")
    manifest = read_manifest(export, "rl", "verl")
    backbone = BACKBONES[manifest["backbone"]["name"]]
    template = backbone.template(thinking=manifest["backbone"]["thinking"])
    return write_notes(folder.resolve(), template, backbone)


def main() -> int:
    """The command line: 0, or 2 where a folder is not what it should be."""
    try:
        export, folder = map(Path, sys.argv[1:])
        print("serve it: " + shlex.join(finish(export, folder)))
        return 0
    except ValueError:
        why = "usage: python -m gog_train.verl.finish EXPORT FOLDER"
    except ExportError as error:
        why = str(error)
    print(f"error: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
