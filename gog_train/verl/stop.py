"""How a worker of verl ends the training: verl logs what a rollout raises, drops it, and goes on.

The reason is written where `gog_train.verl.start` looks, in the folder GOG_CALLS, which all workers share.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

FILE: Final = "stopped.txt"


def ask_to_stop(why: str, environment: Mapping[str, str] = os.environ) -> None:
    """Have the training end for this reason; the first one counts. Outside of a training nothing is done."""
    folder = environment.get("GOG_CALLS")
    if not folder:
        return
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    own = place / f"{FILE}.{uuid4().hex}"
    own.write_text(why, "utf-8")
    try:
        os.link(own, place / FILE)  # whole at once, and never over an earlier reason
    except FileExistsError:
        pass
    finally:
        own.unlink(missing_ok=True)


def reason_to_stop(folder: Path) -> str | None:
    """Why the training has to end, or None."""
    try:
        return (folder / FILE).read_text("utf-8")
    except FileNotFoundError:
        return None
