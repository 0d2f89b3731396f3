"""The canonical form of a request and its key: what makes two requests the same.

A request's identity holds everything that its answer depends on and nothing else: no keys, no timeouts, no retry
settings. Defaults are left out of messages, so that a field added later leaves old keys as they are.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from gog.schemas import FailureClass, Message, canonical_json
from gog.transforms.services.protocols import ChatRequest, ServiceError

_MESSAGES = TypeAdapter(tuple[Message, ...])


def chat_request(policy: str, request: ChatRequest) -> str:
    """Canonical JSON of a chat call of the policy with that id."""
    sampling = request.sampling
    return _canonical(
        {
            "kind": "chat",
            "policy": policy,
            "messages": _MESSAGES.dump_python(request.messages, mode="json", exclude_defaults=True),
            "tools": request.tools,
            "sampling": [float(sampling.temperature), float(sampling.top_p), int(sampling.max_tokens)],
            "sample_index": request.sample_index,
            "prompt_hash": request.prompt_hash,
            "response_schema": request.response_schema,
        }
    )


def search_request(kind: str, provider: str, query: str, top_k: int) -> str:
    """Canonical JSON of a search: `text_search` by query, `image_search` by image hash. All samples share it."""
    return _canonical({"kind": kind, "provider": provider, "query": query, "top_k": top_k})


def detect_request(detector: str, image_sha256: str, phrases: Sequence[str]) -> str:
    """Canonical JSON of a detection; the order of the phrases counts, as detectors see it."""
    return _canonical({"kind": "detect", "provider": detector, "image": image_sha256, "phrases": list(phrases)})


def page_request(reader: str, url: str) -> str:
    """Canonical JSON of reading a page."""
    return _canonical({"kind": "page", "provider": reader, "url": url})


def tool_request(tool: str, arguments: Mapping[str, Any]) -> str:
    """Canonical JSON of a call of somebody else's tool, of that id."""
    return _canonical({"kind": "tool", "provider": tool, "arguments": arguments})


def request_key(request: str) -> str:
    """Key of a canonical request: its sha256 in hex."""
    return hashlib.sha256(request.encode()).hexdigest()


def _canonical(value: Any) -> str:
    text = canonical_json(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ServiceError(FailureClass.BAD_REQUEST, "the request has text that is not Unicode") from error
    return text
