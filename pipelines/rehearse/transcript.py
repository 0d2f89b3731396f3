"""An episode in words, on a terminal or without one. All text comes from outside and is shown as it is, in one line."""

import json
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gog.pipelines.lake.one_line import one_line
from gog.schemas import Message, Method, Outcome, Reject, Seed, Trajectory, Verdict
from gog.transforms.dialect.turns import plain_text
from gog.transforms.episode.driver import OnTurn
from gog.transforms.episode.machine import Episode
from gog.transforms.synthesize.propose import Proposed
from gog.transforms.synthesize.screen import Screened

HITS: Final = 3
LONG: Final = 600
_OUTCOMES: Final = {Outcome.CORRECT: "green", Outcome.WRONG: "red", Outcome.UNKNOWN: "yellow"}


class Teller:
    """Prints what happens to seeds; its methods are called in the order of the stages."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def unread(self, reject: Reject) -> None:
        """A row that is no seed."""
        self._line("left", f"{reject.id}: {reject.reason}: {reject.detail}", "yellow")

    def seed(self, seed: Seed, number: int, count: int) -> None:
        """A seed begins."""
        self._console.print()
        self._console.print(Rule(Text(f"Seed {number} of {count}", style="bold"), align="left", characters="─"))
        self._console.print(Text(one_line(seed.question, LONG), style="bold"))
        about = [seed.dataset, seed.category, f"{seed.width} x {seed.height} pixels", seed.seed_id]
        self._line("seed", "  ".join(filter(None, about)), "dim")
        self._line("accepted", " | ".join(seed.answers), "dim")

    def screened(self, found: Screened) -> None:
        """What came of the passes without tools."""
        if found.screening is not None:
            passes = f"right in {found.screening.passes} of {found.screening.k} passes without tools"
            self._line("screen", f"{passes}: {'the easy pool' if found.screening.easy else 'needs search'}")
        if found.reject is not None and found.screening is None:
            self.rejected(found.reject)

    def regions(self, proposed: Proposed, seed: Seed) -> None:
        """Where a gaze may be worth it, in pixels."""
        places = []
        for region in proposed.regions:
            x1, y1, x2, y2 = region.box
            box = (x1 * seed.width, y1 * seed.height, x2 * seed.width, y2 * seed.height)
            places.append(f"[{', '.join(f'{value:.0f}' for value in box)}] {region.label} {region.score:.2f}")
        self._line("regions", f"{len(places)} in pixels: {'; '.join(places)}" if places else "none: the glance alone")
        for source in proposed.failed:
            self._line("", f"{source} could not be asked", "yellow")

    def attempt(self, index: int, attempts: int, how: str) -> OnTurn:
        """An attempt begins; what it returns is told of its turns."""
        self._console.print()
        self._console.print(Text(f"Attempt {index + 1} of {attempts} ({how})", style="bold cyan"))
        shown = 0

        def on_turn(episode: Episode) -> None:
            nonlocal shown
            first = next(n for n, message in enumerate(episode.messages) if message.role == "assistant")
            new = episode.messages[max(first, shown) :]
            shown = len(episode.messages)
            turn = sum(message.role == "assistant" for message in episode.messages[: shown - len(new)])
            for message in new:
                if message.role == "assistant":
                    turn += 1
                    self._turn(turn, message)
                else:
                    self._observation(message)
            if new and new[-1].role == "assistant" and episode.steps[-1].error:
                self._line("error", episode.steps[-1].error, "red")

        return on_turn

    def rejected(self, reject: Reject) -> None:
        """An attempt, or a seed, that left."""
        self._line("left", f"{reject.reason}{f': {reject.detail}' if reject.detail else ''}", "yellow")

    def verdict(self, trajectory: Trajectory, verdict: Verdict) -> None:
        """How an answer was judged."""
        by = "" if verdict.method is Method.NONE else f" by {verdict.method}"
        said = [f"{verdict.outcome}{by}", f"{trajectory.behaviour}"]
        said += ["reflective"] if trajectory.reflective else []
        if verdict.grounded is not None:
            said.append("grounded" if verdict.grounded else "not grounded")
        said += [f"leaves: {', '.join(verdict.reasons)}"] if verdict.reasons else ["verified"]
        self._line("answer", trajectory.answer or "")
        self._line("verdict", ", ".join(said), _OUTCOMES[verdict.outcome])

    def drawn(self, path: Path) -> None:
        """A contact sheet."""
        self._console.print()
        self._line("picture", str(path))

    def _turn(self, turn: int, message: Message) -> None:
        thought = plain_text(message)
        if thought.strip():
            self._line(f"turn {turn}", thought)
        for call in message.tool_calls:
            said = _called(call.function.name, call.function.arguments)
            self._line("" if thought.strip() else f"turn {turn}", said, "cyan")

    def _observation(self, message: Message) -> None:
        lines = message.text.splitlines()
        heads = [line for line in lines if line.startswith("[") and " | score " in line]
        if not heads:
            self._line("", lines[0] if lines else "", "dim")
        for head in heads[:HITS]:
            title, score, *_ = head.split(" | ")
            self._line("", f"{score.removeprefix('score '):>5}  {title.partition('] ')[2]}", "dim")
        if len(heads) > HITS:
            self._line("", f"       and {len(heads) - HITS} more", "dim")

    def _line(self, name: str, text: str, style: str = "") -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=9, style="dim")
        grid.add_column(overflow="fold")
        lead = len(text) - len(text.lstrip())
        grid.add_row(name, Text(" " * lead + one_line(text, LONG), style=style))
        self._console.print(grid)


def _called(name: str, arguments: str) -> str:
    """A call as one writes it in Python."""
    try:
        loaded = json.loads(arguments or "{}")
        if not isinstance(loaded, dict):
            raise ValueError
    except (ValueError, RecursionError):
        return f"{name}({arguments})"
    return f"{name}({', '.join(f'{key}={json.dumps(value, ensure_ascii=False)}' for key, value in loaded.items())})"
