"""The numbers of an evaluation, made from its answers, as they are written and read back."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from gog.transforms.evaluate.answered import Answered
from gog.transforms.evaluate.average import Average, average
from gog.transforms.evaluate.behaviour import Behaviours, Course, behaviours
from gog.transforms.evaluate.paradigms import Paradigm
from gog.transforms.evaluate.protocols.agreement import RulesAndJudge, rules_and_judge
from gog.transforms.evaluate.protocols.scores import Grade, Score, Settled
from gog.transforms.evaluate.spending import Used
from gog.transforms.evaluate.summary import Summary, summarise
from gog.transforms.services.gateway.prices import Price

SHOWN: Final = 500
"""Characters of a prediction that results keep; the journal of answers has all of it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mark(_Part):
    """A score without what its item and its protocol say already."""

    grade: Grade
    value: float | None = None
    method: Settled = "none"
    needs_judge: bool = False
    groups: tuple[str, ...] = ()
    judge: str = ""

    @classmethod
    def of(cls, score: Score) -> Self:
        """The mark of a score."""
        return cls.model_validate(score, from_attributes=True)

    def score(self, item_id: str, protocol: str) -> Score:
        """The score again, without the judge's reply."""
        return Score(item_id, protocol, self.grade, self.value, self.method, self.needs_judge, self.groups, self.judge)


class ItemResult(_Part):
    """What came of one item."""

    item_id: str
    prediction: str = ""
    failure: str = ""
    """Why the outside gave no answer."""
    ruled: Grade = Grade.UNKNOWN
    """What the engine's rules say."""
    opinion: Grade = Grade.UNKNOWN
    """What the judge says, where it was asked."""
    official: Mark
    judged: Mark


@dataclass(frozen=True, slots=True)
class Digest:
    """What is held in memory of an answer while an evaluation runs."""

    asked: str
    settled: bool
    protocols: tuple[str, str]
    """Names of the official protocol and the judge's."""
    item: ItemResult
    course: Course | None

    @classmethod
    def of(cls, row: Answered, *, judge_all: bool = False) -> Self:
        """The digest of an answer."""
        item = ItemResult(
            item_id=row.item_id,
            prediction=row.prediction[:SHOWN],
            failure=row.failure,
            ruled=row.ruled,
            opinion=row.opinion,
            official=Mark.of(row.official),
            judged=Mark.of(row.judged),
        )
        protocols = (row.official.protocol, row.judged.protocol)
        return cls(row.asked, row.settled(judge_all=judge_all), protocols, item, row.course)


class ParadigmResults(_Part):
    """One benchmark under one paradigm."""

    items: int
    unsettled: int
    """Items that a later run asks again: the outside, or the judge, failed."""
    failures: dict[str, int]
    """Items without an answer, by reason."""
    official: Summary
    judged: Summary
    behaviours: Behaviours
    rules_and_judge: RulesAndJudge
    answers: tuple[ItemResult, ...]

    def scores(self, protocol: str) -> list[Score]:
        """The items' scores under the `official` protocol or the `judged` one."""
        if protocol == "official":
            return [item.official.score(item.item_id, self.official.protocol) for item in self.answers]
        return [item.judged.score(item.item_id, self.judged.protocol) for item in self.answers]


class BenchResults(_Part):
    """One benchmark."""

    split: str
    version: str
    dropped: dict[str, int]
    """Questions that were not asked, by reason."""
    left: int
    """Answers that a stop (budget, replay) kept from being given."""
    paradigms: dict[Paradigm, ParadigmResults]

    def on_top_of(self, before: "BenchResults | None") -> "BenchResults":
        """These, and the paradigms that only an earlier session of the same questions answered."""
        if before is None or (before.split, before.version) != (self.split, self.version):
            return self
        both = before.paradigms | self.paradigms
        return self.model_copy(update={"paradigms": {each: both[each] for each in Paradigm if each in both}})


class Results(_Part):
    """An evaluation."""

    schema_version: Literal[1]
    name: str
    policy: str
    judge: str
    benchmarks: dict[str, BenchResults]
    average: dict[Paradigm, Average]
    """Mean judged accuracy over the benchmarks, where there are several; of paradigms that answered all of them."""
    used: tuple[Used, ...]
    """What was asked of the outside, in all sessions."""

    def to_json(self) -> str:
        """As JSON; items leave out what is as usual (`Results.model_validate_json` reads it back)."""
        return self.model_dump_json(exclude_defaults=True, indent=1)


def paradigm_results(
    rows: Iterable[Digest], policy: Price | None, searches: Mapping[str, Price | None]
) -> ParadigmResults:
    """The numbers of a benchmark under a paradigm; there is at least one row."""
    rows = sorted(rows, key=lambda row: row.item.item_id)
    items = [row.item for row in rows]
    ruled = {item.item_id: item.ruled.value for item in items}
    opinions = {item.item_id: item.opinion.value for item in items if item.opinion is not Grade.UNKNOWN}
    official, judged = rows[0].protocols
    return ParadigmResults(
        items=len(rows),
        unsettled=sum(not row.settled for row in rows),
        failures=dict(sorted(Counter(item.failure for item in items if item.failure).items())),
        official=summarise(item.official.score(item.item_id, official) for item in items),
        judged=summarise(item.judged.score(item.item_id, judged) for item in items),
        behaviours=behaviours((row.course for row in rows if row.course is not None), policy, searches),
        rules_and_judge=rules_and_judge(ruled, opinions),
        answers=tuple(items),
    )


def averages(benchmarks: Mapping[str, BenchResults]) -> dict[Paradigm, Average]:
    """The averages over several benchmarks, of the paradigms that all of them were asked under."""
    if len(benchmarks) < 2:
        return {}
    return {
        paradigm: average({name: part.paradigms[paradigm].scores("judged") for name, part in benchmarks.items()})
        for paradigm in Paradigm
        if all(paradigm in part.paradigms for part in benchmarks.values())
    }
