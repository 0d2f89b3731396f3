"""An episode in words, on a terminal or without one. All text comes from outside and is shown as it is, in one line."""

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.judgement import behaviour_words, judgement_of
from gog.pipelines.show.trajectory import Turn, turns_of
from gog.schemas import Outcome, Reject, Seed, Trajectory, Verdict
from gog.transforms.episode.driver import Driven, OnTurn
from gog.transforms.episode.trajectory import images_of
from gog.transforms.synthesize.propose import Proposed
from gog.transforms.synthesize.screen import Screened

HITS: Final = 3
COMPOSED: Final = "composed"
"""How an attempt is made that is no rollout."""
LONG: Final = 600
_OUTCOMES: Final = {Outcome.CORRECT: "green", Outcome.WRONG: "red", Outcome.UNKNOWN: "yellow"}


class Teller:
    """Prints what happens to seeds; its methods are called in the order of the stages."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._judging = self._silent = self._composed = self._off_plan = 0
        """Turns after a result, those silent on its worth; composed attempts that had a plan, those that left it."""

    def unread(self, reject: Reject) -> None:
        """A row that is no seed."""
        self._line("left", f"{reject.id}: {reject.reason}: {reject.detail}", "yellow")

    def seed(self, seed: Seed, number: int, count: int) -> None:
        """A seed begins."""
        self._console.print()
        self._console.print(Rule(Text(f"Seed {number} of {count}", style="bold"), align="left", characters="─"))
        self._console.print(Text(one_line(seed.question, LONG), style="bold"))
        sizes = " and ".join(f"{image.width} x {image.height}" for image in images_of(seed))
        about = [seed.dataset, seed.category, f"{sizes} pixels", seed.seed_id]
        self._line("seed", "  ".join(filter(None, about)), "dim")
        self._line("accepted", " | ".join(seed.answers), "dim")

    def screened(self, screened: Screened) -> None:
        """What came of the passes without tools."""
        if screened.screening is not None:
            passes = f"right in {screened.screening.passes} of {screened.screening.k} passes without tools"
            self._line("screen", f"{passes}: {'the easy pool' if screened.screening.easy else 'needs search'}")
        elif screened.reject is not None:
            self.rejected(screened.reject)

    def regions(self, proposed: Proposed, seed: Seed) -> None:
        """Where a gaze may be worth it, in pixels of the picture that it is on."""
        images, places = images_of(seed), []
        for region in proposed.regions:
            x1, y1, x2, y2 = region.box
            image = images[region.on_image]
            box = (x1 * image.width, y1 * image.height, x2 * image.width, y2 * image.height)
            on = f"image {region.on_image} " if len(images) > 1 else ""
            places.append(f"{on}[{', '.join(f'{value:.0f}' for value in box)}] {region.label} {region.score:.2f}")
        self._line("regions", f"{len(places)} in pixels: {'; '.join(places)}" if places else "none: the glance alone")
        for source in proposed.failed:
            self._line("", f"{source} could not be asked", "yellow")

    def attempt(self, index: int, attempts: int, how: str) -> OnTurn:
        """An attempt begins; what it returns shows its turns and their results."""
        self._console.print()
        self._console.print(Text(f"Attempt {index + 1} of {attempts} ({how})", style="bold cyan"))
        begun = ended = 0
        self._composed += how == COMPOSED

        def on_turn(driven: Driven) -> None:
            nonlocal begun, ended
            episode, evidence = driven.episode, {item.evidence_id: item for item in driven.evidence}
            turns = turns_of(episode.steps, episode.messages, episode.images, evidence)
            done = len(turns) - (episode.pending is not None)
            to_come = len(episode.left) + len(episode.ignored) if episode.left else 0
            for place, turn in enumerate(turns):
                if place >= begun:
                    self._turn(turn, to_come if place + 1 == len(turns) else 0)
                    if not turn.call and any(step.evidence_ids for step in episode.steps[:place]):
                        self._judging += 1
                        self._silent += episode.steps[place].reflection is None
                if ended <= place < done:
                    self._result(turn)
            begun, ended = len(turns), done

        return on_turn

    def easy(self, trajectory: Trajectory) -> None:
        """The pass without tools that stands for a seed of the easy pool."""
        self.attempt(0, 1, "easy pool")
        for turn in turns_of(trajectory.steps, trajectory.messages, trajectory.images, {}):
            self._turn(turn)
            self._result(turn)

    def rejected(self, reject: Reject) -> None:
        """An attempt, or a seed, that left."""
        self._off_plan += reject.reason == "compose.off_plan"
        self._composed -= reject.reason == "compose.no_plan"
        self._line("left", f"{reject.reason}{f': {reject.detail}' if reject.detail else ''}", "yellow")

    def verdict(self, trajectory: Trajectory, verdict: Verdict) -> None:
        """How an answer was judged."""
        state = [] if verdict.reasons else ["verified"]
        phrases = [f"{verdict.outcome}, {behaviour_words(trajectory)}", judgement_of(verdict), *state]
        self._line("verdict", "; ".join(filter(None, phrases)), _OUTCOMES[verdict.outcome])

    def form(self) -> None:
        """What the teacher did not keep to, and what to do.

        Told from a fifth of its turns on: an attempt has two or three of them, and a composed one needs each.
        """
        advice = "name a teacher that follows its system prompt, or set synthesize.composed to 0; `gog doctor` tries it"
        if 5 * self._silent > self._judging:
            words = "turns after a result do not say what it is worth (no `Evidence:` line)"
            self._line("form", f"{self._silent} of {self._judging} {words}: {advice}", "yellow")
        if 2 * self._off_plan > self._composed:
            words = "composed attempts left their plan (compose.off_plan)"
            self._line("form", f"{self._off_plan} of {self._composed} {words}: {advice}", "yellow")

    def drawn(self, path: Path) -> None:
        """A contact sheet."""
        self._console.print()
        self._line("picture", str(path))

    def _turn(self, turn: Turn, left: int = 0) -> None:
        """What a turn says and calls, but for the calls that are left for later."""
        name = f"turn {turn.number}.{turn.call + 1}" if left or turn.call else f"turn {turn.number}"
        for text, style in [(turn.words, ""), *((call, "cyan") for call in turn.calls[: len(turn.calls) - left])]:
            if text:
                self._line(name, text, style)
                name = ""

    def _result(self, turn: Turn) -> None:
        for hit in turn.hits[:HITS]:
            score = "-" if hit.score is None else f"{hit.score:.2f}"
            self._line("", f"{score:>5}  {hit.title}", "dim")
        if len(turn.hits) > HITS:
            self._line("", f"       and {len(turn.hits) - HITS} more", "dim")
        if turn.action == "answer":
            self._line("answer", turn.detail)
        if turn.trouble:
            self._line("", turn.trouble, "dim")
        if turn.error:
            self._line("error", turn.note or turn.error, "red")
        elif turn.note:
            self._line("", turn.note, "dim")

    def _line(self, name: str, text: str, style: str = "") -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=9, style="dim")
        grid.add_column(overflow="fold")
        lead = len(text) - len(text.lstrip())
        grid.add_row(name, Text(" " * lead + one_line(text, LONG), style=style))
        self._console.print(grid)
