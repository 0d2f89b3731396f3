"""What a failed call of a chat model means: refused, too long, set up wrongly, or the endpoint's trouble."""

import json
import re
from typing import Any, Final

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError

_SHOWN: Final = 300

_FILTERED = re.compile(
    r"content.?(?:filter|management|policy)|responsible.?ai|safety|data_inspection_failed|moderation|usage polic",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|maximum.{0,20} (?:tokens|length)|too many (?:input )?tokens"
    r"|(?:prompt|input) is too long|exceeds? .{0,40}(?:tokens|context)|model_len",
    re.IGNORECASE,
)
_SETUP = re.compile(
    r"tool.?(?:choice|call.?parser|use)|(?:not|does.?n.t|un).{0,3}support|unrecogni[sz]ed"
    r"|unknown (?:parameter|field|name)|extra (?:inputs|fields)|not permitted|chat.?template|multi.?modal"
    r"|at most \d+ image|may be provided|invalid model|no such model|pinned to|model.{0,60}(?:not found|not exist)"
    r"|api.?key|billing|quota|HTTP (?:3\d\d|405|422)",
    re.IGNORECASE,
)
"""Refusals of the set-up, not of the request: an option that the endpoint has not, or was not started with."""


def read_failure(error: ServiceError) -> ServiceError:
    """A failed call's error in the client's words.

    What the configuration is to blame for becomes `auth`: such a failure is neither tried again nor kept, so that
    the same request is made anew when the endpoint or its settings have been put right.
    """
    detail = error.detail
    if error.failure is FailureClass.NOT_FOUND:
        return ServiceError(FailureClass.AUTH, f"no such model or path at the endpoint ({detail})")
    if error.failure is FailureClass.AUTH and _FILTERED.search(detail):
        return ServiceError(FailureClass.REFUSED, detail)
    if error.failure is not FailureClass.BAD_REQUEST:
        return error
    if _FILTERED.search(detail):
        return ServiceError(FailureClass.REFUSED, f"the endpoint's content filter refused the request ({detail})")
    if _TOO_LONG.search(detail) or detail.startswith("HTTP 413"):
        return ServiceError(FailureClass.BAD_REQUEST, f"the conversation is too long for the endpoint ({detail})")
    if _SETUP.search(detail):
        return ServiceError(
            FailureClass.AUTH, f"the endpoint does not take the request as set up: see models in the config ({detail})"
        )
    return error


def inner_failure(error: Any) -> ServiceError:
    """An error inside an answer of status 200, as gateways send it when the model behind them failed."""
    said = error.get("message") if isinstance(error, dict) else error
    shown = one_line(said if isinstance(said, str) else json.dumps(error)[:_SHOWN])
    code = error.get("code") if isinstance(error, dict) else None
    if _FILTERED.search(shown) or code == "content_filter":
        return ServiceError(FailureClass.REFUSED, shown)
    known = {429: FailureClass.RATE_LIMITED, 503: FailureClass.OVERLOADED, 529: FailureClass.OVERLOADED}
    failure = known.get(code, FailureClass.MALFORMED) if isinstance(code, int) else FailureClass.MALFORMED
    return ServiceError(failure, f"an error instead of a reply: {shown}")


def malformed(detail: str) -> ServiceError:
    """An answer that is no chat completion."""
    return ServiceError(FailureClass.MALFORMED, f"the answer is no chat completion: {detail}")


def one_line(text: str) -> str:
    """The beginning of the text, in one line."""
    return " ".join(text[: 4 * _SHOWN].split())[:_SHOWN]
