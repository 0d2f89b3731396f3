"""Tool calls as XML, which some models write into their content: name and arguments as JSON text.

    <function=gaze><parameter=label>flag</parameter></function>                          Qwen3-Coder, Llama
    <invoke name="gaze"><parameter name="label">flag</parameter></invoke>                Claude, MiniMax
    gaze<arg_key>label</arg_key><arg_value>flag</arg_value>                              GLM, in a `<tool_call>`

Nothing is evaluated: a value that is JSON is that value, any other is text.
"""

import json
import re
from typing import Any, Final

_BODY: Final = r"[^<]*(?:<(?!/?{0}\b)[^<]*)*"
XML_CALL: Final = (
    rf"<function=[\w.:/-]{{1,64}}>{_BODY.format('function')}(?:</function>|\Z)"
    rf"|<invoke\s+name=[\"'][\w.:/-]{{1,64}}[\"']\s*>{_BODY.format('invoke')}(?:</invoke>|\Z)"
)
"""The calls that stand by themselves. No part may run across the next tag of its kind."""
XML_AROUND: Final = re.compile(r"</?(?:\w{1,20}:)?(?:function_calls|tool_calls)>", re.IGNORECASE)
"""What stands around such calls."""
_HEAD: Final = re.compile(r"\s*<(?:function=|invoke\s+name=[\"'])([\w.:/-]{1,64})[\"']?\s*>", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    r"<parameter(?:=|\s+name=[\"'])([\w.-]{1,64})[\"']?[^<>]{0,40}>([^<]*(?:<(?!/?parameter\b|/(?:function|invoke)>)[^<]*)*)"
    r"(?:</parameter>)?",
    re.IGNORECASE,
)
_NAME_ALONE: Final = re.compile(r"\s*([\w.:/-]{1,64})\s*(?=<arg_key>|\Z)")
_PAIR: Final = re.compile(
    r"<arg_key>\s*([\w.-]{1,64})\s*</arg_key>\s*<arg_value>([^<]*(?:<(?!/?arg_)[^<]*)*)(?:</arg_value>)?", re.IGNORECASE
)


def read_xml(text: str) -> tuple[str, str] | None:
    """Name and arguments of a call; None where it is none."""
    if head := _HEAD.match(text):
        pairs = _PARAMETER.findall(text, head.end())
    elif (head := _NAME_ALONE.match(text)) and "<arg_key>" in text:
        pairs = _PAIR.findall(text, head.end())
    else:
        return None
    return head[1], json.dumps({name: _value(written.strip()) for name, written in pairs}, ensure_ascii=False)


def _value(written: str) -> Any:
    try:
        return json.loads(written) if len(written) < 10_000 and written[:1] in "[{-0123456789" else written
    except (ValueError, RecursionError):
        return written
