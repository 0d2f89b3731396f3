"""What an answer is paid as, for TRL and verl alike: what the verifier that filters the data says of it."""

from typing import NamedTuple

from gog.schemas import Method, Outcome
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion
from gog.transforms.verify.verdict import settle
from gog_train.rewards.terms import Unsettled


class PaidAs(NamedTuple):
    """`unsettled`: there is no judge, and no rule settles the answer. `why` a judge that there is settled nothing."""

    outcome: Outcome
    unsettled: bool
    why: str
    method: Method


async def paid_as(answer: str | None, gold: JudgeQuestion, judge: JudgeCall | None, unsettled: Unsettled) -> PaidAs:
    """The outcome that is paid: the rules', else the judge's; without a judge what `unsettled` makes of it.

    A judge that fails leaves it unknown whatever `unsettled` is.
    """
    outcome, method, why = await settle(answer, gold, judge)
    alone = judge is None and outcome is Outcome.UNKNOWN
    return PaidAs(Outcome.WRONG if alone and unsettled == "zero" else outcome, alone, why, method)
