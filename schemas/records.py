"""What flows through the engine, from seed to verdict and complexity: frozen, typed, versioned records.

Images travel as their sha256 (lower-case hex); boxes as fractions of the original image (`gog.schemas.boxes`).
Ids are content hashes (`content_id`), so a rerun makes the same ids. What varies from run to run, times above
all, is kept apart in `Event`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from gog.schemas.base import BoxField, Record, Row, Sha256
from gog.schemas.messages import Message
from gog.schemas.reasons import FailureClass


class AnswerType(StrEnum):
    """How an answer is compared."""

    STRING = "string"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"


class FurtherImage(Record):
    """A picture of a question behind its first."""

    sha256: Sha256
    width: int = Field(ge=1)
    """Pixels, EXIF-corrected."""
    height: int = Field(ge=1)
    phash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Seed(Row):
    """A question about an image, or about several, with every accepted form of its answer."""

    seed_id: str
    dataset: str
    dataset_version: str = ""
    question: str
    answers: tuple[str, ...] = Field(min_length=1)
    answer_type: AnswerType = AnswerType.STRING
    answer_unit: str = ""
    answer_low: float | None = None
    """Least accepted number, where the source gives a range."""
    answer_high: float | None = None
    image_sha256: Sha256
    width: int = Field(ge=1)
    """Pixels, EXIF-corrected."""
    height: int = Field(ge=1)
    image_phash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    further_images: tuple[FurtherImage, ...] = ()
    """Where the question is about several pictures: those behind the first, whose number is 0."""
    image_like: tuple[Sha256, ...] = ()
    """Earlier pictures of the run that this one copies, shows a part of or holds as a part: of each group of alike ones
    the first."""
    entity: str | None = None
    """What the question is about, where the source names it. Never shown to a model."""
    gold_page: str | None = None
    category: str = ""
    language: str = "en"
    licence: str = ""
    source_url: str = ""
    split_hint: str = ""
    extra: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def image_hashes(self) -> tuple[str, ...]:
        """The hashes of all its pictures, in order."""
        return (self.image_sha256, *(image.sha256 for image in self.further_images))


class Region(Row):
    """A place in a seed's image that may be worth a gaze."""

    region_id: str
    seed_id: str
    box: BoxField
    on_image: int = 0
    """Number of the picture of the question that the box lies on."""
    label: str = ""
    score: float
    source: str
    """Detector or teacher, with its model id."""
    note: str = ""


class Hit(Record):
    """One search result."""

    rank: int
    title: str
    url: str
    snippet: str = ""
    score: float | None = None
    thumbnail_sha256: Sha256 | None = None


ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$")]
"""Name of a tool of the agent, ours or somebody's (`gog.transforms.episode.tools`)."""


class EpisodeImage(Record):
    """A numbered image of an episode: first those of the question, of which 0 is the original, then each crop, and each
    picture that a tool found.
    """

    sha256: Sha256
    width: int
    height: int
    box: BoxField
    """Where it lies on the picture that it is a crop of; the whole image where it is none."""
    on_image: int = 0
    """Number of the picture of the question which it is, or is a crop of."""
    origin: Sha256 | None = None
    """The picture that was found which it is, or is a crop of; None: it is of the question."""


class Evidence(Row):
    """What one tool call returned."""

    evidence_id: str
    tool: ToolName
    query: str | None = None
    image_sha256: Sha256 | None = None
    """The image that was searched with: one of the question for the glance, the crop for a gaze; or a crop that was
    shown.
    """
    box: BoxField | None = None
    """Where the crop lies on the picture of the question, padding included."""
    on_image: int = 0
    """Number of that picture, or of the one that a glance searched with."""
    hits: tuple[Hit, ...] = ()
    pictures: tuple[EpisodeImage, ...] = ()
    """Pictures that were found, or crops of such: what of them an episode has room for become images of it."""
    provider: str
    """Who was asked; empty where nobody was, as for a crop alone: no answer is grounded in that."""
    failure: FailureClass | None = None


class Reflection(StrEnum):
    """What a turn says of the evidence before it."""

    USEFUL = "useful"
    OFF_TARGET = "off_target"
    AMBIGUOUS = "ambiguous"


class Step(Record):
    """What a turn of the model did, in order: its answer, or its call. Of several calls each is a step."""

    turn: int
    """Number of the turn, from 0 on."""
    action: ToolName
    """Name of the tool that was called; `answer` or `none`."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """As the model wrote them."""
    box: BoxField | None = None
    """The box of a gaze, or of another look at a region, on a picture of the question and before padding."""
    on_image: int = 0
    """Number of that picture, or of the one that a glance searches with."""
    evidence_ids: tuple[str, ...] = ()
    reflection: Reflection | None = None
    """Of the turn: its first step has it."""
    train: bool = True
    """Whether the loss may see this turn."""
    error: str = ""
    """Code of the model's mistake in this turn, or in this call of it; empty when there is none."""


class StopReason(StrEnum):
    """How an episode ended."""

    ANSWERED = "answered"
    OUT_OF_TURNS = "out_of_turns"
    STRIKES = "strikes"
    CUT = "cut"
    """By a training, before it could end: `Training.ending` says why."""


class Fold(Record):
    """A place of an episode from which on the model saw the messages before it shortened."""

    turn: int
    """The first turn that was taken after it."""
    messages: tuple[Message, ...]
    """What stood in the place of the messages before that turn."""


class Behaviour(StrEnum):
    """Which kinds of search an answered episode used."""

    DIRECT = "direct"
    TEXT = "text"
    GLANCE = "glance"
    GAZE = "gaze"
    MIXED = "mixed"


class Origin(StrEnum):
    """How a trajectory was made: acted out, written along a plan, or kept from a screening pass."""

    ROLLOUT = "rollout"
    COMPOSE = "compose"
    SCREEN = "screen"


class Training(Record):
    """Where in a training a rollout was made, and what it was paid."""

    step: int = Field(ge=1)
    """The step that it was made for."""
    draw: int = Field(default=0, ge=0)
    """0: for a question of the step's own; n: of the n-th batch that was drawn for questions without signal."""
    ending: str
    """How it ended: as an episode does, or `overlong`, `tool_failed` or `broken`."""
    masked: str = ""
    """Why it is out of the loss; empty where it was paid."""
    reward: float | None = None
    """None where it is masked."""
    terms: dict[str, float | None] = Field(default_factory=dict)
    """The parts of the reward by name, before their weights."""
    advantage: float | None = None


class Trajectory(Row):
    """One attempt at a seed, whole."""

    trajectory_id: str
    seed_id: str
    sample_index: int
    origin: Origin
    behaviour: Behaviour
    reflective: bool
    """A wrong focus was noticed and changed."""
    messages: tuple[Message, ...]
    """All that was said and told; where there are folds, the model saw these in the place of what stood before them."""
    tools: tuple[dict[str, JsonValue], ...]
    images: tuple[EpisodeImage, ...]
    steps: tuple[Step, ...]
    folds: tuple[Fold, ...] = ()
    answer: str | None
    stop: StopReason
    teacher: str
    frame: str = "per_mille"
    """Frame in which `messages` write boxes."""
    prompt_hashes: dict[str, str] = Field(default_factory=dict)
    plan: str = ""
    """Name of the plan of a composed trajectory."""
    plan_used_gold: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    training: Training | None = None
    """Of a training's rollouts: at which step, and what it was paid. None of all others."""


class Outcome(StrEnum):
    """Whether an answer is right; `unknown` when nobody could tell, which is never the same as wrong."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class Method(StrEnum):
    """What settled the outcome."""

    EXACT = "exact"
    ALIAS = "alias"
    NUMBER = "number"
    DATE = "date"
    JUDGE = "judge"
    NONE = "none"


class Vote(Record):
    """What one judge of a panel said to a question."""

    judge: str
    about: Literal["answer", "grounding", "leak"]
    says: Literal["yes", "no", "unknown"]
    """`unknown` abstains: the reply could not be read, or the judge failed."""
    reply: str
    """As it came, its first 2,000 characters; or what failed."""


class Verdict(Row):
    """What verification says of a trajectory."""

    trajectory_id: str
    seed_id: str
    outcome: Outcome
    method: Method
    score: float
    judge: str = ""
    """Id of the judge; of a panel, those of its members with commas."""
    judge_reply: str = ""
    votes: tuple[Vote, ...] = ()
    """Who of a panel said what, question by question; a judge alone has none."""
    grounded: bool | None = None
    """None: exempt (no search) or not judged."""
    literal: bool = False
    """The answer stands word for word in the evidence."""
    leaked: bool | None = False
    """None where no rule can tell, and no judge could say or was asked, since the trajectory leaves anyway."""
    gaze_useful: bool | None = None
    """The evidence of a gaze names the target entity; None without a gaze or without a known entity."""
    reasons: tuple[str, ...] = ()
    """Codes for which the trajectory leaves; empty when it is verified."""


class Complexity(Row):
    """How hard a seed is for one policy."""

    seed_id: str
    policy: str
    k: int
    """Tries that were settled."""
    passes: int
    unknown: int
    """Tries that nobody could judge; they are not in k."""
    pass_rate: float
    low: float
    """95% Wilson interval of the pass rate."""
    high: float
    level: Literal[0, 1, 2]


class Screening(Row):
    """How the teacher did on a seed without tools."""

    seed_id: str
    teacher: str
    k: int
    """Passes that were settled."""
    passes: int
    unknown: int
    """Passes that nobody could judge, or that failed; they are not in k."""
    pass_rate: float
    easy: bool
    """Right in every pass: the seed is in the easy pool."""
