"""The judge: two prompts, asked through the one door; and who notices that a judge is ill."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from gog.prompts import render
from gog.schemas import FailureClass
from gog.transforms.dialect.observations import neutralise, one_line
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import ChatRequest, Policy, ServiceError
from gog.transforms.services.store.keys import chat_request, request_key
from gog.transforms.services.store.records import Mode
from gog.transforms.verify.judge import (
    JudgeCall,
    JudgeQuestion,
    JudgeReply,
    Kind,
    Ruling,
    cut_off,
    judge_request,
    parse_reply,
)

MOST_UNREAD: Final = 20
"""Replies in a row that a judge may give without a verdict before the run stops."""
_SHOWN: Final = 120
_TRIALS: Final = {"Paris": Ruling.YES, "Berlin": Ruling.NO}


@dataclass(slots=True)
class JudgeWatch:
    """What a process has bought of its judge: what had no verdict, and how many such replies came in a row."""

    unsettled: set[str] = field(default_factory=set)
    """Keys of replies without a verdict and of failures: the process does not ask again."""
    in_a_row: int = 0
    ill: str = ""
    """Why the run is to stop; empty while the judge is well."""

    def add(self, key: str, reply: JudgeReply) -> None:
        """Count a reply that was bought."""
        if reply.ruling is not Ruling.UNKNOWN:
            self.in_a_row = 0
        elif key not in self.unsettled:
            self.unsettled.add(key)
            self.in_a_row += 1
            if self.in_a_row == MOST_UNREAD:
                words = one_line(reply.raw)[:_SHOWN]
                self.ill = f"the judge {reply.judge} gave {self.in_a_row} replies in a row without a verdict: {words!r}"

    def forget(self) -> None:
        """Begin anew."""
        self.unsettled.clear()
        self.in_a_row, self.ill = 0, ""


def judge_call(gateway: Gateway, judge: Policy, purpose: str = "verify", watch: JudgeWatch | None = None) -> JudgeCall:
    """A judge hook for `gog.transforms.verify`: the judge is asked through the one door.

    What an earlier process got no verdict of, be it a failure that the store keeps or a reply that cannot be read, is
    asked anew, as the next sample of the question. A judge that is ill stops what goes through the door.
    """
    watch = watch or JudgeWatch()

    async def ask(question: JudgeQuestion) -> JudgeReply:
        reply: JudgeReply | ServiceError | None = None
        for key, request in _samples(judge, question):
            kept = gateway.store.get(key) is not None
            if reply is not None and not kept and gateway.store.mode is Mode.REPLAY:
                break
            try:
                reply = await _reply(gateway, judge, request, purpose, question.kind)
            except ServiceError as error:
                reply = error
            else:
                if not kept:
                    watch.add(key, reply)
                    if watch.ill:
                        gateway.budget.stop(FailureClass.JUDGE_ILL, watch.ill)
                if reply.ruling is not Ruling.UNKNOWN:
                    break
            if not kept or key in watch.unsettled:
                watch.unsettled.add(key)
                break
        if not isinstance(reply, JudgeReply):
            raise reply or AssertionError("no sample was asked")
        return reply

    return ask


def _samples(judge: Policy, question: JudgeQuestion) -> Iterator[tuple[str, ChatRequest]]:
    """The question as often as it may be asked, with the key of each request."""
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
    request = judge_request(prompt)
    for index in count():
        request = replace(request, sample_index=index)
        yield request_key(chat_request(judge.id, request)), request


async def _reply(gateway: Gateway, judge: Policy, request: ChatRequest, purpose: str, kind: Kind) -> JudgeReply:
    reply = await gateway.chat(judge, request, purpose)
    text = reply.message.text
    if cut := cut_off(reply):
        return JudgeReply(Ruling.UNKNOWN, f"({cut}) {text}".rstrip(), judge.id)
    return JudgeReply(parse_reply(kind, text), text, judge.id)


async def try_judge(judge: JudgeCall) -> str:
    """What is wrong with a judge, by a right and a wrong answer that leave no doubt; empty where it is well.

    Raises `ServiceError`.
    """
    for candidate, ruling in _TRIALS.items():
        reply = await judge(JudgeQuestion("answer", "What is the capital of France?", ("Paris",), candidate))
        if reply.ruling is not ruling:
            words = {Ruling.YES: "right", Ruling.NO: "wrong", Ruling.UNKNOWN: "nothing that can be read"}
            came = f"{words[reply.ruling]} ({one_line(reply.raw)[:_SHOWN]!r})"
            return f"asked whether {candidate} is the capital of France, it says {came}; it is {words[ruling]}"
    return ""
