"""Where the pre-training is, kept so that it goes on after a kill as if there had been none."""

from pathlib import Path
from typing import Any, Final

_FILE: Final = "progress.safetensors"
_MOMENTS: Final = ("exp_avg", "exp_avg_sq")
"""What Adam has of each weight, beside the number of its steps."""


def keep(folder: Path, model: Any, adam: Any, step: int) -> None:
    """Write weights and moments after that many steps."""
    from safetensors.torch import save_file

    weights = dict(model.named_parameters())
    tensors = {f"weight {name}": weight.detach() for name, weight in weights.items()}
    for name, weight in weights.items():
        tensors |= {f"{moment} {name}": adam.state[weight][moment] for moment in _MOMENTS if adam.state[weight]}
    fresh = folder / f"{_FILE}.new"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh, {"step": str(step)})
    fresh.replace(folder / _FILE)


def take_up(folder: Path, model: Any, adam: Any) -> int:
    """Set weights and moments as they were kept; the number of steps, 0 where nothing was kept."""
    import torch
    from safetensors import safe_open

    if not (folder / _FILE).exists():
        return 0
    with safe_open(folder / _FILE, "pt") as file, torch.no_grad():
        names, step = set(file.keys()), int(file.metadata()["step"])
        for name, weight in model.named_parameters():
            weight.copy_(file.get_tensor(f"weight {name}"))
            if f"{_MOMENTS[0]} {name}" in names:
                moments = {moment: file.get_tensor(f"{moment} {name}") for moment in _MOMENTS}
                adam.state[weight] = {"step": torch.tensor(float(step)), **moments}
    return step


def forget(folder: Path) -> None:
    """Remove what was kept."""
    (folder / _FILE).unlink(missing_ok=True)
