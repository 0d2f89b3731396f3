"""The judge: two prompts, asked through the one door."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from gog.prompts import render
from gog.transforms.dialect.observations import neutralise, one_line
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import Policy
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, Ruling, cut_off, judge_request, parse_reply


class WithJudge(Protocol):
    """Whatever holds a judge and the door to it, as `Services` does."""

    @property
    def gateway(self) -> Gateway:
        """The door."""

    @property
    def judge(self) -> Policy:
        """Who is asked."""


def judge_call(services: WithJudge, purpose: str = "verify") -> Callable[[JudgeQuestion], Awaitable[JudgeReply]]:
    """A judge hook for `gog.transforms.verify` over the configured judge. Raises `ServiceError` when it fails."""

    async def judge(question: JudgeQuestion) -> JudgeReply:
        if question.kind == "answer":
            prompt = render(
                "verify/answer",
                question=one_line(question.question),
                answers=" | ".join(one_line(answer) for answer in question.answers),
                candidate=one_line(question.candidate),
            )
        else:
            prompt = render(
                "verify/grounding",
                question=one_line(question.question),
                candidate=one_line(question.candidate),
                evidence=neutralise(question.evidence),
            )
        reply = await services.gateway.chat(services.judge, judge_request(prompt), purpose)
        text = reply.message.text
        if cut := cut_off(reply):
            return JudgeReply(Ruling.UNKNOWN, f"({cut}) {text}".rstrip(), services.judge.id)
        return JudgeReply(parse_reply(question.kind, text), text, services.judge.id)

    return judge
