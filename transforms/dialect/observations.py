"""What a model is shown of a tool's result: text within a token budget, with web text made harmless.

A result is one line per hit and an indented snippet under it:

    text_search found 2 results.
    [1] Kenya | score 0.91 | atlas://country/KEN
        The capital of Kenya is Nairobi.
"""

import math
import re
from collections.abc import Sequence

from gog.schemas import FailureClass, Hit
from gog.transforms.dialect.control_tokens import TOKENS

HIT_LINE = re.compile(r"^\[(\d+)\] (.*) \| score ([0-9.]+|-) \| (\S*)$", re.MULTILINE)

_WORDS = (
    "think|thinking|reason|answer|tool|tools|tool_call|tool_calls|tool_response|tool_result|tool_results|function|"
    "function_call|function_calls|function_results|invoke|parameter|parameters|gaze|text_search|image_search|search|"
    "img|img_context|image|video|audio|image_pad|video_pad|image_soft_token|start_of_image|end_of_image|vision_start|"
    "vision_end|information|grounding|observation|code|start_of_turn|end_of_turn|im_start|im_end|bos|eos|pad|unk|mask|"
    "sys|ref|box|quad|arg_key|arg_value"
)
_FAMILIES = sorted({token for tokens in TOKENS.values() for token in tokens})
_TAGS = "|".join(re.escape(token[1:]) for token in _FAMILIES if token[0] == "<")
_BRACKETS = "|".join(re.escape(token) for token in _FAMILIES if token[0] != "<")
_CONTROL = re.compile(
    rf"<(?=\s{{0,4}}(?:/?\s{{0,4}}(?:(?:\w{{1,20}}:)?(?:{_WORDS})(?![\w-])|s>)|/?[|｜]|\w{{1,30}}[|｜]>"
    rf"|(?:special|unused|extra_id)_?\d{{1,5}}>|{_TAGS}))"
    r"|\[(?=/?(?:INST|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS|SYSTEM_PROMPT|THINK|IMG|IMG_END|IMG_BREAK|ARGS|"
    r"CALL_ID|PREFIX|SUFFIX|MIDDLE)\])"
    rf"|(?-i:(?={_BRACKETS})[\[\]◁/])",
    re.IGNORECASE,
)
_BROKEN = {"<": "‹", "◁": "‹", "[": "(", "]": ")", "/": "∕"}
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def neutralise(text: str) -> str:
    """Foreign text with chat-template control tokens and tool tags broken, and invisible characters removed.

    Those are of the families in `gog.transforms.dialect.control_tokens`, and others of their kinds. The `<` of a token
    or tag becomes `‹`, the bracket of one `(` or `)` and its slash `∕`, so that the text stays readable and no template
    or parser can act on it.
    """
    text = _UNPRINTABLE.sub("", text)
    return _CONTROL.sub(lambda found: _BROKEN[found[0]], text)


def one_line(text: str) -> str:
    """Foreign text as one line, neutralised: lines of its own could pass for something else in a prompt."""
    return " ".join(neutralise(text).split())


def estimate_tokens(text: str) -> int:
    """Rough token count without a tokenizer: four bytes of UTF-8 a token."""
    return math.ceil(len(text.encode("utf-8", "replace")) / 4)


_LONG_WORD = 24
"""Characters. Beyond it the text has no spaces to cut at: an address, or Chinese."""


def clip_tokens(text: str, tokens: int) -> str:
    """The start of the text that fits the budget (at least one token), cut at a word where there is one."""
    if estimate_tokens(text) <= tokens:
        return text
    raw = text.encode("utf-8", "replace")[: max(0, tokens * 4 - 4)].decode("utf-8", "ignore")
    head, _, tail = raw.rpartition(" ")
    return (head if head and len(tail) <= _LONG_WORD else raw) + " …"


_INDENT = 2
"""Tokens of the line break and the indent before a snippet."""


def render_hits(tool: str, hits: Sequence[Hit], budget: int) -> str:
    """The observation's text; snippets share what the budget leaves, hits at the end give way first."""
    if not hits:
        return f"{tool} found nothing."
    lines = [f"{tool} found {len(hits)} result{'s' if len(hits) != 1 else ''}."]
    left = budget - estimate_tokens(lines[0])
    for index, hit in enumerate(hits):
        score = "-" if hit.score is None else f"{hit.score:.2f}"
        title = clip_tokens(_cell(hit.title), 40)
        head = f"[{hit.rank}] {title} | score {score} | {_cell(hit.url).replace(' ', '%20')[:200]}"
        left -= estimate_tokens(head) + 1
        if left < 0:
            break
        lines.append(head)
        share = min(left, max(24, left // (len(hits) - index))) - _INDENT
        snippet = _cell(hit.snippet)
        if snippet and share > 0:
            lines.append(f"    {clip_tokens(snippet, share)}")
            left -= estimate_tokens(lines[-1]) + 1
    return "\n".join(lines)


def _cell(text: str) -> str:
    return one_line(" ".join(text.split())).replace("|", "/")


def render_failure(tool: str, failure: FailureClass) -> str:
    """What a model is told when a tool failed: not its fault."""
    return f"{tool} failed ({failure}); this is not your mistake. Try something else or answer with what you know."
