"""The judge: prompts, asked through the one door; a panel of judges; and who notices that a judge is ill."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final, Generic, TypeVar

from gog.prompts import Prompt, render
from gog.schemas import FailureClass
from gog.schemas.reasons import STOP_REASONS
from gog.transforms.dialect.observations import neutralise, one_line
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import ChatRequest, Policy, ServiceError
from gog.transforms.services.store.keys import chat_request, request_key
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog.transforms.verify.judge import (
    JudgeCall,
    JudgeQuestion,
    JudgeReply,
    Ruling,
    cut_off,
    judge_request,
    parse_reply,
)

T = TypeVar("T")

MOST_UNREAD: Final = 20
"""Replies in a row that a judge may give without a verdict, failures among them, before the run stops."""
_SHOWN: Final = 120
_TRIALS: Final = {"Paris": Ruling.YES, "Berlin": Ruling.NO}


@dataclass(frozen=True, slots=True)
class Heard(Generic[T]):
    """What a judge says, None where that cannot be read; the reply as it came, and the judge's id.

    Of a panel: what most of its readable replies say, None where there is no such majority, and each of them.
    """

    says: T | None
    raw: str
    judge: str
    votes: tuple["Heard[T]", ...] = ()


@dataclass(slots=True)
class JudgeWatch:
    """What a process has bought of its judges: what had no verdict, and how many such replies came in a row."""

    unsettled: set[str] = field(default_factory=set)
    """Keys of replies without a verdict and of failures: the process does not ask again."""
    in_a_row: Counter[str] = field(default_factory=Counter)
    """By judge."""
    ill: str = ""
    """Why the run is to stop; empty while all judges are well."""

    def read(self, judge: str) -> None:
        """A verdict came."""
        self.in_a_row[judge] = 0

    def unread(self, key: str, judge: str, words: str) -> None:
        """A reply without a verdict came, or a failure."""
        if key in self.unsettled:
            return
        self.unsettled.add(key)
        self.in_a_row[judge] += 1
        if self.in_a_row[judge] == MOST_UNREAD:
            shown = one_line(words)[:_SHOWN]
            self.ill = f"the judge {judge} gave {MOST_UNREAD} replies in a row without a verdict: {shown!r}"

    def forget(self) -> None:
        """Begin anew."""
        self.unsettled.clear()
        self.in_a_row.clear()
        self.ill = ""


@dataclass(frozen=True, slots=True)
class Judges:
    """The judges of a process, one or a panel, behind the one door. A judge that is ill stops what goes through it."""

    gateway: Gateway
    judges: Sequence[Policy]
    watch: JudgeWatch = field(default_factory=JudgeWatch)

    async def hear(self, request: ChatRequest, read: Callable[[str], T | None], purpose: str) -> Heard[T]:
        """What the judge says, or the panel, whose members are asked side by side.

        A member that fails, or whose reply cannot be read, abstains. Raises `ServiceError` where all of them fail, and
        where the run has stopped.
        """
        if len(self.judges) == 1:
            return await self._one(self.judges[0], request, read, purpose)
        votes, failures = list[Heard[T]](), list[ServiceError]()
        replies = await asyncio.gather(
            *(self._one(judge, request, read, purpose) for judge in self.judges), return_exceptions=True
        )
        for judge, reply in zip(self.judges, replies, strict=True):
            if isinstance(reply, ServiceError) and reply.failure not in STOP_REASONS:
                failures.append(reply)
                votes.append(Heard(None, f"failed: {reply}", judge.id))
            elif isinstance(reply, BaseException):
                raise reply
            else:
                votes.append(reply)
        if len(failures) == len(self.judges):
            raise failures[0]
        raw = "\n".join(f"{vote.judge}: {vote.raw}" for vote in votes)
        return Heard(majority(vote.says for vote in votes), raw, ", ".join(vote.judge for vote in votes), tuple(votes))

    async def _one(
        self, judge: Policy, request: ChatRequest, read: Callable[[str], T | None], purpose: str
    ) -> Heard[T]:
        """What one judge says.

        What an earlier process got no verdict of, be it a failure that the store keeps or a reply that cannot be read,
        is asked anew, as the next sample of the question.
        """
        store, heard = self.gateway.store, None
        for key, sample in _samples(judge, request):
            kept = await store.find(key) is not None
            if heard is not None and not kept and store.mode is Mode.REPLAY:
                break
            heard = await self._sample(judge, sample, read, purpose)
            if isinstance(heard, Heard) and heard.says is not None:
                if not kept:
                    self.watch.read(judge.id)
                return heard
            stops = isinstance(heard, ServiceError) and heard.failure in STOP_REASONS
            if not kept and not stops:
                self.watch.unread(key, judge.id, heard.raw if isinstance(heard, Heard) else str(heard))
                if self.watch.ill:
                    self.gateway.budget.stop(FailureClass.JUDGE_ILL, self.watch.ill)
            if not kept or key in self.watch.unsettled:
                break
        if not isinstance(heard, Heard):
            raise heard or AssertionError("no sample was asked")
        return heard

    async def _sample(
        self, judge: Policy, request: ChatRequest, read: Callable[[str], T | None], purpose: str
    ) -> Heard[T] | ServiceError:
        try:
            reply = await self.gateway.chat(judge, request, purpose)
        except ServiceError as error:
            return error
        text = reply.message.text
        if cut := cut_off(reply):
            return Heard(None, f"({cut}) {text}".rstrip(), judge.id)
        return Heard(read(text), text, judge.id)


def _samples(judge: Policy, request: ChatRequest) -> Iterator[tuple[str, ChatRequest]]:
    """The question as often as it may be asked, with the key of each request."""
    for index in count():
        sample = replace(request, sample_index=index)
        yield request_key(chat_request(judge.id, sample)), sample


def majority(said: Iterable[T | None]) -> T | None:
    """What more than half of those who say something say; None where there is no such thing."""
    votes = Counter(vote for vote in said if vote is not None)
    return next((vote for vote, number in votes.items() if 2 * number > votes.total()), None)


def judge_call(judges: Judges, purpose: str = "verify") -> JudgeCall:
    """A judge hook for `gog.transforms.verify`: the judge, or the panel, is asked through the one door."""

    async def ask(question: JudgeQuestion) -> JudgeReply:
        def read(text: str) -> Ruling | None:
            ruling = parse_reply(question.kind, text)
            return None if ruling is Ruling.UNKNOWN else ruling

        return _reply(await judges.hear(judge_request(_prompt(question)), read, purpose))

    return ask


def _reply(heard: Heard[Ruling]) -> JudgeReply:
    return JudgeReply(heard.says or Ruling.UNKNOWN, heard.raw, heard.judge, tuple(map(_reply, heard.votes)))


def _prompt(question: JudgeQuestion) -> Prompt:
    if question.kind == "answer":
        return render(
            "verify/answer",
            question=one_line(question.question),
            answers=" | ".join(one_line(answer) for answer in question.answers),
            candidate=one_line(question.candidate),
        )
    if question.kind == "leak":
        return render(
            "verify/leak",
            question=one_line(question.question),
            answers=" | ".join(one_line(answer) for answer in question.answers),
            notes=neutralise(question.evidence),
        )
    return render(
        "verify/grounding",
        question=one_line(question.question),
        candidate=one_line(question.candidate),
        evidence=neutralise(question.evidence),
    )


async def try_judge(judge: JudgeCall) -> str:
    """What is wrong with a judge, or a member of a panel, by a right and a wrong answer that leave no doubt; empty
    where all is well.

    Raises `ServiceError`.
    """
    for candidate, ruling in _TRIALS.items():
        reply = await judge(JudgeQuestion("answer", "What is the capital of France?", ("Paris",), candidate))
        for vote in reply.votes or (reply,):
            if vote.ruling is not ruling:
                words = {Ruling.YES: "right", Ruling.NO: "wrong", Ruling.UNKNOWN: "nothing that can be read"}
                who = vote.judge if reply.votes else "it"
                came = f"{words[vote.ruling]} ({one_line(vote.raw)[:_SHOWN]!r})"
                return f"asked whether {candidate} is the capital of France, {who} says {came}; it is {words[ruling]}"
    return ""


async def try_live(judges: Sequence[Policy], retry: Retry) -> str:
    """`try_judge` past every store: what a judge said before it was mended tells nothing of it now. Keeps nothing."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder), Mode.LIVE) as nowhere:
        return await try_judge(judge_call(Judges(Gateway(nowhere, retry=retry), judges)))
