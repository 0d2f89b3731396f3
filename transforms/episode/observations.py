"""What a model is shown of a tool's result: text within a token budget, with web text made harmless.

A result is one line per hit and an indented snippet under it:

    text_search found 2 results.
    [1] Kenya | score 0.91 | atlas://country/KEN
        The capital of Kenya is Nairobi.
"""

import math
import re
from collections.abc import Sequence

from gog.schemas import FailureClass, Hit, Tool

HIT_LINE = re.compile(r"^\[(\d+)\] (.*) \| score ([0-9.]+|-) \| (\S*)$", re.MULTILINE)

_CONTROL = re.compile(
    r"<(?=\s*(?:\||[|/]?\s*(?:think|answer|tool_call|tool_response|tools|gaze|text_search|image_search|search|img|"
    r"information|grounding|observation|reason|thinking|code|start_of_turn|end_of_turn|im_start|im_end|s>|bos|eos|"
    r"vision_start|vision_end|image_pad|image)\b))"
    r"|\[(?=/?INST\])",
    re.IGNORECASE,
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def neutralise(text: str) -> str:
    """Foreign text with chat-template control tokens and tool tags broken, and invisible characters removed.

    The `<` of a token or tag becomes `‹`, so that the text stays readable and no template or parser can act on it.
    """
    text = _UNPRINTABLE.sub("", text)
    return _CONTROL.sub(lambda found: "‹" if found[0] == "<" else "(", text)


def estimate_tokens(text: str) -> int:
    """Rough token count without a tokenizer: four bytes of UTF-8 a token."""
    return math.ceil(len(text.encode("utf-8", "replace")) / 4)


def clip_tokens(text: str, tokens: int) -> str:
    """The start of the text that fits the budget, cut at a word where there is one."""
    if estimate_tokens(text) <= tokens:
        return text
    raw = text.encode("utf-8", "replace")[: max(0, tokens * 4 - 4)].decode("utf-8", "ignore")
    head, _, _ = raw.rpartition(" ")
    return (head or raw) + " …"


def render_hits(tool: Tool, hits: Sequence[Hit], budget: int) -> str:
    """The observation's text; snippets share what the budget leaves, hits at the end give way first."""
    if not hits:
        return f"{tool} found nothing."
    lines = [f"{tool} found {len(hits)} result{'s' if len(hits) != 1 else ''}."]
    left = budget - estimate_tokens(lines[0])
    for index, hit in enumerate(hits):
        score = "-" if hit.score is None else f"{hit.score:.2f}"
        title = clip_tokens(_one_line(hit.title), 40)
        head = f"[{hit.rank}] {title} | score {score} | {_one_line(hit.url).replace(' ', '%20')[:200]}"
        left -= estimate_tokens(head) + 1
        if left < 0:
            break
        lines.append(head)
        share = max(24, left // (len(hits) - index))
        snippet = clip_tokens(_one_line(hit.snippet), min(left, share))
        if snippet:
            lines.append(f"    {snippet}")
            left -= estimate_tokens(snippet) + 1
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(neutralise(text).replace("|", "/").split())


def render_failure(tool: Tool, failure: FailureClass) -> str:
    """What a model is told when a tool failed: not its fault."""
    return f"{tool} failed ({failure}); this is not your mistake. Try something else or answer with what you know."
