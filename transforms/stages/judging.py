"""The judge: two prompts, asked through the one door."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from gog.prompts import render
from gog.schemas import Message
from gog.transforms.episode.observations import neutralise
from gog.transforms.services.outside import Outside
from gog.transforms.services.protocols import ChatRequest, Policy, Sampling
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, parse_reply

JUDGE_TOKENS = 512


class WithJudge(Protocol):
    """Whatever holds a judge and the door to it, as `Services` does."""

    @property
    def outside(self) -> Outside:
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
                question=_one_line(question.question),
                answers=" | ".join(_one_line(answer) for answer in question.answers),
                candidate=_one_line(question.candidate),
            )
        else:
            prompt = render(
                "verify/grounding",
                question=_one_line(question.question),
                candidate=_one_line(question.candidate),
                evidence=neutralise(question.evidence),
            )
        request = ChatRequest(
            messages=(Message(role="user", content=prompt.text),),
            sampling=Sampling(temperature=0.0, max_tokens=JUDGE_TOKENS),
            prompt_hash=prompt.hash,
        )
        reply = await services.outside.chat(services.judge, request, purpose)
        text = reply.message.text
        return JudgeReply(parse_reply(question.kind, text), text, services.judge.id)

    return judge


def _one_line(text: str) -> str:
    """Material as one line: lines of its own could pass for accepted answers or evidence."""
    return " ".join(neutralise(text).split())
