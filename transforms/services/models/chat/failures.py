"""What a failed call of a chat model means: refused, too long, set up wrongly, or the endpoint's trouble."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from gog.schemas import FailureClass
from gog.transforms.services.http import refusal
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
    r"|api.?key|HTTP (?:3\d\d|405|422)"
    r"|auth(?:entication|orization|_?error)|unauthori[sz]ed|credential|virtual key|permission"
    r"|no connected db|no_db_connection",
    re.IGNORECASE,
)
"""Refusals of the set-up, not of the request: an option that the endpoint has not, or was not started with; a key that
a gateway does not know, which it may tell as HTTP 400 (LiteLLM without a database: "No connected db.")."""
_SPENT = re.compile(
    r"insufficient.{0,3}(?:quota|credit|balance|fund)|billing|credit balance|(?:enough|more|of) credits|over budget"
    r"|exceeded.?budget|budget.{0,20}exceeded|exceeded.{0,20}(?:budget|quota)|quota.{0,3}exceeded|out of quota"
    r"|key limit exceeded|payment required",
    re.IGNORECASE,
)
"""Money or a quota of the account or the gateway is used up: asking again in a moment is of no use."""
_NAMED: Final = {
    **dict.fromkeys(("rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests"), 429),
    **dict.fromkeys(("authentication_error", "auth_error", "invalid_api_key", "unauthenticated"), 401),
    **dict.fromkeys(("insufficient_quota", "budget_exceeded", "insufficient_credits"), 402),
    **dict.fromkeys(("permission_error", "permission_denied"), 403),
    **dict.fromkeys(("model_not_found", "not_found_error"), 404),
    **dict.fromkeys(("overloaded_error", "unavailable"), 503),
}
"""Statuses by the names of errors."""
_DAILY = re.compile(r"per.?day|daily|per.?month|monthly", re.IGNORECASE)


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
    limited = error.failure is FailureClass.RATE_LIMITED
    # A quota of so many calls a minute is told in the same words, but with a time to come again.
    spent = _SPENT.search(detail) and not (limited and error.retry_after is not None)
    if (limited or error.failure is FailureClass.BAD_REQUEST) and (spent or (limited and _DAILY.search(detail))):
        return ServiceError(FailureClass.AUTH, f"the account's or the gateway's budget or quota is used up ({detail})")
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


def inner_failure(answer: Mapping[str, Any], error: Any) -> ServiceError:
    """An error inside an answer of status 200, as gateways send it when the model behind them failed.

    The status that it names, in itself or beside it, is what it says: 401 is a wrong key and 429 is too much at once.
    """
    said = error.get("message") if isinstance(error, dict) else error
    shown = one_line(said if isinstance(said, str) else json.dumps(error))
    inside = error if isinstance(error, dict) else answer
    if _FILTERED.search(shown) or inside.get("code") == "content_filter":
        return ServiceError(FailureClass.REFUSED, shown)
    whole = json.dumps(error)[: 16 * _SHOWN]
    names = [str(inside.get(key)) for key in ("code", "status", "status_code", "statusCode", "type")]
    status = next((int(name) for name in names if re.fullmatch("[45]\\d\\d", name)), None)
    if status is None:
        status = next((_NAMED[name.lower()] for name in names if name.lower() in _NAMED), None)
    if status is None:
        return ServiceError(FailureClass.MALFORMED, f"an error instead of a reply: {shown}")
    failure = refusal(status, {}, whole)
    return read_failure(
        ServiceError(failure.failure, f"{status} in an answer of HTTP 200: {shown}", failure.retry_after)
    )


def malformed(detail: str) -> ServiceError:
    """An answer that is no chat completion."""
    return ServiceError(FailureClass.MALFORMED, f"the answer is no chat completion: {detail}")


def one_line(text: str) -> str:
    """The beginning of the text, in one line."""
    return " ".join(text[: 4 * _SHOWN].split())[:_SHOWN]
