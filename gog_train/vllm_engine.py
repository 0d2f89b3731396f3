"""vLLM under TRL's trainer: the export's budget of pixels, one token an image in prompts, and weights without drift.

TRL 1.16 hands a colocated vLLM prompts in which every image is as many tokens as it has features, and vLLM puts an
image's tokens in the place of each of them again (TRL #6294). It merges an adapter into a bf16 base at every sync and
takes it out again, which moves the base (TRL #6688). And vLLM sizes pictures by the checkpoint's own processor.

torch, TRL and vLLM are imported inside of the functions.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from PIL import Image

from gog.transforms.dialect.backbones import Backbone
from gog_train.settings import TrainingError

TRIED: Final = ((64, 48), (1000, 700), (4000, 3000))
"""Pictures, in pixels, by which a budget is told: too small, neither, too large."""
ROOM: Final = "if it lacks memory, change `vllm_memory` or lower `context`"


@contextmanager
def fitted(backbone: Backbone, max_images: int, dtype: str) -> Iterator[None]:
    """A colocated vLLM that TRL makes within sizes pictures by the export's budget, so many a prompt at most.

    It computes in `dtype`, as the trainer does: by itself vLLM makes half precision of single precision.

    One that does not start, and a server that is not there or not as TRL needs it, is a `TrainingError`.
    """
    from trl.generation import vllm_generation as there

    plain = {name: getattr(there, name) for name in ("LLM", "VLLMClient") if hasattr(there, name)}
    images = {"image": max_images, "video": 0}
    budget = {"mm_processor_kwargs": backbone.image_settings, "limit_mm_per_prompt": images, "dtype": dtype}

    def engine(**arguments: Any) -> Any:
        try:
            return plain["LLM"](**arguments, **budget)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(f"the colocated vLLM does not start: {_line(error)}; {ROOM}") from error

    def client(**arguments: Any) -> Any:
        try:
            return plain["VLLMClient"](**arguments)
        except ConnectionError as error:
            raise TrainingError(f"{_line(error)}; start it with `trl vllm-serve`") from error

    for name, made in {"LLM": engine, "VLLMClient": client}.items():
        if name in plain:
            setattr(there, name, made)
    try:
        yield
    finally:
        for name, made in plain.items():
            setattr(there, name, made)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


class Span(NamedTuple):
    """An image in the ids of a prompt: what stands around its features, and the token that vLLM puts them for."""

    before: tuple[int, ...]
    feature: int
    after: tuple[int, ...]
    place: int


def span_of(tokenizer: Any, backbone: Backbone) -> Span:
    """The span of a family's images."""
    place, written = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in backbone.span)
    feature = tokenizer.convert_tokens_to_ids(backbone.placeholders[0])
    at = written.index(feature)
    return Span(tuple(written[:at]), feature, tuple(written[at + 1 :]), *place)


def one_token_each(ids: Sequence[int], sizes: Sequence[int], span: Span) -> list[int]:
    """A prompt in which each image is one token, of one in which the images are `sizes` tokens, in their order.

    Raises `TrainingError` where something else stands around an image than its span has.
    """
    collapsed: list[int] = []
    place, left, before, after = 0, iter(sizes), len(span.before), len(span.after)
    while place < len(ids):
        if ids[place] != span.feature:
            collapsed.append(ids[place])
            place += 1
            continue
        end = place + next(left)
        if (*ids[place - before : place], *ids[end : end + after]) != (*span.before, *span.after):
            raise TrainingError("an image of a prompt is not as its processor writes it: report it, with the model")
        collapsed[len(collapsed) - before :] = [span.place]
        place = end + after
    return collapsed


def check_budget(tokens_of: Callable[[Image.Image], int], backbone: Backbone) -> None:
    """Raise `TrainingError` unless vLLM makes as many tokens of a picture as the trainer does."""
    for width, height in TRIED:
        found = tokens_of(Image.new("RGB", (width, height), (90, 120, 150)))
        wanted = backbone.visual_tokens(width, height)
        if found != wanted:
            settings = json.dumps(backbone.image_settings)
            raise TrainingError(
                f"vLLM makes {found} tokens of a picture of {width}x{height}, the trainer {wanted}: "
                f"start the server with --mm-processor-kwargs '{settings}'"
            )


def tokens_by_engine(engine: Any, span: Span, image: Image.Image) -> int:
    """Tokens that a vLLM in this process makes of a picture."""
    from trl.generation import vllm_generation as there

    prompt = {"prompt_token_ids": [span.place], "multi_modal_data": {"image": image}}
    (reply,) = engine.generate([prompt], there.SamplingParams(max_tokens=1, temperature=0), use_tqdm=False)
    return sum(token == span.feature for token in reply.prompt_token_ids)


def tokens_by_server(client: Any, span: Span, image: Image.Image) -> int:
    """Tokens that a vLLM behind `trl vllm-serve` makes of a picture, without those around its features."""
    (features,) = client.image_features([[image]])
    return int(features["mm_placeholders"]["image"][0]["length"]) - len(span.before) - len(span.after)


def merged_weights(model: Any, named: Callable[[str], str] = str) -> Iterator[tuple[str, Any]]:
    """Name and tensor of every weight of a PEFT model with its LoRA adapter merged, one at a time.

    A sum is made in single precision and rounded once; the model stays as it is. `named` gives vLLM's name.
    """
    deltas: dict[int, list[Any]] = {}
    for module in model.modules():
        if adapters := [name for name in getattr(module, "lora_A", ()) if name in module.active_adapters]:
            target = module.get_param() if hasattr(module, "get_param") else module.get_base_layer().weight
            deltas.setdefault(id(target), []).extend(partial(module.get_delta_weight, name) for name in adapters)
    for name, weight in model.named_parameters():
        name = name.removeprefix("base_model.model.").replace(".base_layer", "")
        if model.prefix not in name and "original_module" not in name:
            yield named(name), _sum(weight, deltas.get(id(weight), ()))


def _sum(weight: Any, deltas: Sequence[Callable[[], Any]]) -> Any:
    import torch

    if not deltas:
        return weight.data
    with torch.no_grad():
        total = weight.float()
        for delta in deltas:
            total = total + delta().float()
        return total.to(weight.dtype)


def effective_share(ratio: Any, mask: Any, accelerator: Any) -> float:
    """Kish's effective share of the tokens of `mask` under their weights, over all processes; 1 where there are none.

    `ratio` is (rollouts, tokens), or (rollouts, 1) of whole sequences: what the loss is multiplied with.
    """
    import torch

    weights = ratio.expand_as(mask)[mask.bool()].double()
    sums = torch.stack([weights.sum(), weights.square().sum(), torch.ones_like(weights).sum()])
    total, squares, count = accelerator.gather(sums).view(-1, 3).sum(0).tolist()
    if not count:
        return 1.0
    return float(total * total / (squares * count)) if squares else 0.0
