"""Replies of a trained checkpoint by transformers' own generation: prompts as in training, parsed by the same template.

For a CPU and for small jobs; vLLM is many times faster on a GPU. torch and transformers are imported inside of the
functions.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from gog.schemas import Function, Message, ToolCall
from gog.transforms.dialect.backbones import BACKBONES, Backbone, Template
from gog.transforms.export.rows import chat_message
from gog.transforms.images import ImageError, decode_image
from gog.transforms.services.models.checkpoint import NOTES
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling
from gog_train.checkpoints import read_notes
from gog_train.collator import SEQUENCES, padded, with_pixels
from gog_train.processors import backbone_of, check_tokens, fit, load_model, load_processor
from gog_train.settings import TrainingError

Device = Literal["auto", "cpu", "cuda"]


class PromptError(ValueError):
    """A request that the model cannot take; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request as the model takes it."""

    inputs: Mapping[str, Any]
    """Tensors of a batch of one."""
    text: str
    """What the reply goes on from."""
    turns: int
    """Replies of the model in the conversation so far."""
    sampling: Sampling
    seed: int
    """Of this prompt and sample, and of no other."""

    @property
    def tokens(self) -> int:
        """Length, images included."""
        return int(self.inputs["input_ids"].shape[1])


class Generator:
    """A checkpoint that replies. Not thread-safe."""

    def __init__(self, model: Any, processor: Any, form: Template, backbone: Backbone) -> None:
        """The processor has to be fitted; the model stays on its device."""
        from transformers import GenerationConfig

        self._model, self._processor, self._form, self._backbone = model.eval(), processor, form, backbone
        tokenizer = processor.tokenizer
        self._ends = sorted({*tokenizer.convert_tokens_to_ids(list(backbone.ends)), tokenizer.eos_token_id})
        self._visual = [tokenizer.convert_tokens_to_ids(token) for token in backbone.placeholders]
        self.context: int = model.config.get_text_config().max_position_embeddings
        """Tokens of prompt and reply together."""
        # The checkpoint's own penalties and defaults of sampling are left out: sampling is the request's alone.
        model.generation_config = GenerationConfig(eos_token_id=self._ends, pad_token_id=tokenizer.pad_token_id)

    def prompt(self, request: ChatRequest, images: Mapping[str, bytes]) -> Prompt:
        """The request with its images, by hash. Raises `PromptError`."""
        if request.response_schema is not None:
            raise PromptError("response_format: a policy is not supported as a judge; set judge to another model")
        try:
            messages = [
                with_pixels(chat_message(message), (decode_image(images[name]) for name in message.images))
                for message in request.messages
            ]
        except ImageError as error:
            raise PromptError(f"an image cannot be read: {error}") from error
        tools = [dict(tool) for tool in request.tools] or None
        try:
            text = self._processor.tokenizer.apply_chat_template(
                messages, tools=tools, tokenize=False, add_generation_prompt=True
            )
            pixels = [part["image"] for m in messages if not isinstance(m["content"], str) for part in m["content"]
                      if part["type"] == "image"]  # fmt: skip
            inputs = dict(
                self._processor(text=[text], images=pixels or None, return_tensors="pt", add_special_tokens=False)
            )
        except Exception as error:  # whatever a template or a processor says of input that is none
            raise PromptError(" ".join(str(error).split())[:300]) from error
        self._check(inputs, pixels)
        spoken = sum(message.role == "assistant" for message in request.messages)
        return Prompt(inputs, text, spoken, request.sampling, _seed_of(request.sample_index, inputs))

    def replies(self, prompts: Sequence[Prompt]) -> list[ChatReply]:
        """A reply to each, in one batch.

        Each is drawn with random numbers of its own: the same prompt with the same sample index gets the same reply,
        whatever it stands beside, but for the rounding that a batch's padding makes.
        """
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        room = [min(prompt.sampling.max_tokens, self.context - prompt.tokens) for prompt in prompts]
        inputs = {key: value.to(self._model.device) for key, value in self._batch(prompts).items()}
        longest = int(inputs["input_ids"].shape[1])
        with torch.inference_mode():
            out = self._model.generate(
                **inputs,
                max_new_tokens=max(room),
                do_sample=False,
                logits_processor=LogitsProcessorList([_drawn(prompts, self._visual, self._model.device)]),
                stopping_criteria=StoppingCriteriaList([_within(room, longest)]),
            )
        written = out[:, longest:].tolist()
        return [self._reply(*each) for each in zip(prompts, written, room, strict=True)]

    def _check(self, inputs: Mapping[str, Any], pixels: Sequence[Any]) -> None:
        tokens = inputs["input_ids"].shape[1]
        if tokens >= self.context:
            raise PromptError(f"this model's maximum context length is {self.context} tokens, the prompt has {tokens}")
        wanted = sum(self._backbone.visual_tokens(*image.size) for image in pixels)
        count = sum(int((inputs["input_ids"] == token).sum()) for token in self._visual)
        if wanted != count:
            raise PromptError(f"the messages hold {count} image tokens where their {len(pixels)} images make {wanted}")

    def _batch(self, prompts: Sequence[Prompt]) -> dict[str, Any]:
        """The prompts padded on the left; images one after the other."""
        padding = {"input_ids": self._processor.tokenizer.pad_token_id, **SEQUENCES}
        return padded([prompt.inputs for prompt in prompts], padding, "left")

    def _reply(self, prompt: Prompt, tokens: list[int], room: int) -> ChatReply:
        tokens = tokens[:room]
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        tokens = tokens if end is None else tokens[: end + 1]
        message = self.read(self._processor.tokenizer.decode(tokens), prompt.text, prompt.turns)
        finish: Literal["stop", "tool_calls", "length"]
        finish = "length" if end is None else "tool_calls" if message.tool_calls else "stop"
        return ChatReply(message, finish, prompt.tokens, len(tokens))

    def read(self, text: str, before: str, turns: int) -> Message:
        """A reply's text, control tokens included, as a message; what is no call of a tool stays text."""
        tokenizer = self._processor.tokenizer
        plain = text.removesuffix(tokenizer.pad_token)
        for end in self._backbone.ends:
            plain = plain.removesuffix(end)
        try:
            parsed = tokenizer.parse_response(text, prefix=before)
            calls = tuple(
                ToolCall(id=f"call_{turns}_{number}", function=_function(call["function"]))
                for number, call in enumerate(parsed.get("tool_calls") or ())
            )
            return Message(
                role="assistant",
                content=(parsed.get("content") or "").strip(),
                reasoning_content=(parsed.get("reasoning_content") or "").strip() or None,
                tool_calls=calls,
            )
        except (ValueError, TypeError, KeyError, AttributeError, ValidationError):
            # The episode's parser is the more tolerant one, and knows what is the model's mistake.
            return Message(role="assistant", content=f"<think>\n{plain}" if self._form.opened else plain)


def open_generator(folder: Path, device: Device = "auto") -> Generator:
    """The generator of a folder that a training saved. Raises `TrainingError`."""
    import torch

    notes = read_notes(str(folder))
    if notes is None:
        raise TrainingError(f"{folder} has no {NOTES}: name the folder `adapter` or `merged` that gog_train saved")
    try:
        backbone, thinking = BACKBONES[str(notes["backbone"])], bool(notes["thinking"])
        backbone = replace(backbone, min_pixels=int(notes["min_pixels"]), max_pixels=int(notes["max_pixels"]))
    except (KeyError, TypeError, ValueError):
        raise TrainingError(f"{folder / NOTES} is not what a training writes: save the model again") from None
    if backbone_of(str(folder)).name != backbone.name:
        raise TrainingError(f"{folder / NOTES} says {backbone.name}, the model beside it is of another family")
    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    form, processor = backbone.template(thinking=thinking), load_processor(str(folder))
    fit(processor, form, backbone)
    check_tokens(processor.tokenizer, backbone)
    model = load_model(str(folder), dtype="bfloat16" if cuda else "float32")
    try:
        model = model.to("cuda" if cuda else "cpu")
    except RuntimeError as error:
        raise TrainingError(f"the model does not fit on the device: {' '.join(str(error).split())[:200]}") from error
    return Generator(model, processor, form, backbone)


def _function(call: Mapping[str, Any]) -> Function:
    """A call as it was parsed: the arguments are an object, or text that is none."""
    arguments = call.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Function(name=call["name"], arguments=written)


def _seed_of(index: int, inputs: Mapping[str, Any]) -> int:
    """A seed of its own for every prompt and sample: equal ones would draw the same numbers everywhere."""
    digest = hashlib.sha256(str(index).encode())
    digest.update(inputs["input_ids"].numpy().tobytes())
    if "pixel_values" in inputs:
        digest.update(inputs["pixel_values"].numpy().tobytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _drawn(prompts: Sequence[Prompt], never: Sequence[int], device: Any) -> Any:
    """Draws by adding Gumbel noise to the logits, of which the largest is taken: a generator a row, and no other.

    Source: Gumbel 1954; the largest of logits with Gumbel noise is a draw from their softmax.
    """
    import torch
    from transformers import LogitsProcessor

    generators = [torch.Generator(device).manual_seed(prompt.seed) for prompt in prompts]

    class Draw(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            scores = scores.float()
            scores[:, never] = -torch.inf
            return torch.stack([self._row(*each) for each in zip(scores, prompts, generators, strict=True)])

        def _row(self, logits: Any, prompt: Prompt, generator: Any) -> Any:
            sampling = prompt.sampling
            if sampling.temperature <= 0:
                return logits
            logits = logits / sampling.temperature
            if sampling.top_p < 1:
                ordered, places = logits.sort(descending=True)
                shares = ordered.softmax(-1)
                dropped = shares.cumsum(-1) - shares >= sampling.top_p
                dropped[0] = False
                logits = logits.index_fill(-1, places[dropped], -torch.inf)
            noise = torch.empty_like(logits).exponential_(generator=generator)
            return logits - noise.log()

    return Draw()


def _within(room: Sequence[int], prompt_tokens: int) -> Any:
    """Ends each row at its own number of tokens."""
    import torch
    from transformers import StoppingCriteria

    class Within(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
            written = input_ids.shape[1] - prompt_tokens
            return torch.tensor([written >= most for most in room], device=input_ids.device)

    return Within()
