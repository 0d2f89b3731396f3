"""The judge: two prompts, asked through the one door."""

from gog.prompts import render
from gog.transforms.dialect.observations import neutralise, one_line
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import Policy
from gog.transforms.verify.judge import (
    JudgeCall,
    JudgeQuestion,
    JudgeReply,
    Ruling,
    cut_off,
    judge_request,
    parse_reply,
)


def judge_call(gateway: Gateway, judge: Policy, purpose: str = "verify") -> JudgeCall:
    """A judge hook for `gog.transforms.verify`: the judge is asked through the one door."""

    async def ask(question: JudgeQuestion) -> JudgeReply:
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
        reply = await gateway.chat(judge, judge_request(prompt), purpose)
        text = reply.message.text
        if cut := cut_off(reply):
            return JudgeReply(Ruling.UNKNOWN, f"({cut}) {text}".rstrip(), judge.id)
        return JudgeReply(parse_reply(question.kind, text), text, judge.id)

    return ask
