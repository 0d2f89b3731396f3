"""What the stages work with: the door to the outside and the services behind it."""

from dataclasses import dataclass, field

from gog.schemas import FailureClass, reasons
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.image_store import ImageStore
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import Detector, ImageSearch, PageReader, Policy, ServiceError, TextSearch
from gog.transforms.synthesize.judge import Judges, JudgeWatch, judge_call
from gog.transforms.verify.judge import JudgeCall


@dataclass(frozen=True, slots=True)
class Services:
    """One process's services. `labeller` is the policy whose complexity labels are made; `panel` are judges beside the
    judge.
    """

    gateway: Gateway
    images: ImageStore
    cropper: Cropper
    teacher: Policy
    judge: Policy
    detector: Detector | None
    text_search: TextSearch
    image_search: ImageSearch
    labeller: Policy | None = None
    pages: PageReader | None = None
    panel: tuple[Policy, ...] = ()
    watch: JudgeWatch = field(default_factory=JudgeWatch)

    def begin(self) -> None:
        """For a run that begins where another has ended: a judge that was ill is given another chance."""
        self.gateway.budget.go_on()
        self.gateway.breaker.forget()
        self.watch.forget()

    @property
    def judges(self) -> Judges:
        """The judge, or the panel, watched: many replies in a row without a verdict stop the run."""
        return Judges(self.gateway, (self.judge, *self.panel), self.watch)

    def ask_judge(self, purpose: str = "verify") -> JudgeCall:
        """The judge, or the panel, as verification asks it."""
        return judge_call(self.judges, purpose)

    def tools(self, top_k: int, purpose: str) -> EpisodeTools:
        """What the tools of an episode work with; `purpose` is that of their calls."""
        return EpisodeTools(self.gateway, self.text_search, self.image_search, self.cropper, top_k, purpose, self.pages)


STOPS = frozenset(reasons.STOP_REASONS.values())


def reject_reason(error: ServiceError, *, tool: bool = False) -> str:
    """The reject code of a failed call."""
    if error.failure in reasons.STOP_REASONS:
        return reasons.STOP_REASONS[error.failure]
    if tool:
        return "search.failed"
    known = {FailureClass.REFUSED: "teacher.refused", FailureClass.TIMEOUT: "teacher.timeout"}
    return known.get(error.failure, "teacher.failed")
