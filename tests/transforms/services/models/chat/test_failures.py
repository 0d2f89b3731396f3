"""What endpoints say when they refuse, and what is made of it."""

import pytest

from gog.schemas import FailureClass
from gog.transforms.services.models.chat.failures import read_failure
from gog.transforms.services.protocols import ServiceError

BAD, AUTH = FailureClass.BAD_REQUEST, FailureClass.AUTH


@pytest.mark.parametrize(
    ("came", "detail", "read"),
    [
        (BAD, "HTTP 400: This model's maximum context length is 8192 tokens. However, you requested 9000", BAD),
        (BAD, "HTTP 400: prompt is too long: 210000 tokens > 200000 maximum", BAD),
        (BAD, "HTTP 413: ", BAD),
        (BAD, "HTTP 400: image could not be decoded", BAD),
        (BAD, 'HTTP 400: "auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser', AUTH),
        (BAD, "HTTP 400: Unsupported parameter: 'max_tokens' is not supported with this model", AUTH),
        (BAD, "HTTP 422: body.seed: Extra inputs are not permitted", AUTH),
        (BAD, "HTTP 400: At most 1 image(s) may be provided in one prompt.", AUTH),
        (BAD, "HTTP 400: the model `gpt-9` does not exist", AUTH),
        (BAD, """HTTP 422: {"detail":"Unexpected fields in the request: {'top_k'}"}""", AUTH),
        (BAD, """HTTP 400: {"detail":"Server is pinned to 'a'; requested 'b'."}""", AUTH),
        (BAD, "HTTP 302: ", AUTH),
        (BAD, "HTTP 400: The response was filtered due to Azure's content management policy", FailureClass.REFUSED),
        (BAD, "HTTP 400: data_inspection_failed", FailureClass.REFUSED),
        (AUTH, "HTTP 403: flagged for moderation", FailureClass.REFUSED),
        (AUTH, "HTTP 401: Incorrect API key provided", AUTH),
        (FailureClass.NOT_FOUND, "HTTP 404: The model `x` does not exist.", AUTH),
        (FailureClass.SERVER, "HTTP 500: content filter crashed", FailureClass.SERVER),
        (FailureClass.RATE_LIMITED, "HTTP 429: quota", FailureClass.RATE_LIMITED),
        (FailureClass.RATE_LIMITED, "HTTP 429: You exceeded your quota", FailureClass.RATE_LIMITED),
        (BAD, 'HTTP 400: {"error":{"message":"No connected db.","type":"no_db_connection","code":"400"}}', AUTH),
        (BAD, "HTTP 400: Budget has been exceeded! Current cost: 26.0, Max budget: 0.25", AUTH),
        (BAD, "HTTP 400: ExceededBudget: End User=me over budget. Spend=0.1, Budget=0.01", AUTH),
        (BAD, "HTTP 400: Your credit balance is too low to access the Anthropic API.", AUTH),
        (BAD, "HTTP 400: Authentication Error, LiteLLM Virtual Key expected.", AUTH),
        (BAD, "HTTP 400: the caption of a credit card in the picture", BAD),
    ],
)
def test_the_class_of_a_failure(came: FailureClass, detail: str, read: FailureClass) -> None:
    error = read_failure(ServiceError(came, detail, 3.0))
    assert error.failure is read
    assert detail in error.detail
    if read is came and not read.permanent and came is not AUTH:
        assert error.retry_after == 3.0


@pytest.mark.parametrize(
    "detail",
    [
        'HTTP 429: {"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}',
        'HTTP 429: {"error":{"message":"Key over budget","type":"budget_exceeded","code":"429"}}',
        "HTTP 429: Rate limit exceeded: free-models-per-day",
    ],
)
def test_a_quota_that_is_used_up_is_the_set_up(detail: str) -> None:
    error = read_failure(ServiceError(FailureClass.RATE_LIMITED, detail))
    assert error.failure is AUTH
    assert "used up" in error.detail


def test_only_what_would_be_refused_again_is_kept() -> None:
    """A wrong set-up is put right by the user: nothing of it may stay in the store."""
    assert not AUTH.permanent
    assert not AUTH.passing
    assert BAD.permanent
