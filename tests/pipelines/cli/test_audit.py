"""`gog audit`: a scripted auditor who knows the truth, and what is kept when it stops."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from calling import Done, Gog, Place

from gog.pipelines.lake.lake import Lake, write_part
from gog.pipelines.lake.review_files import read_audits
from gog.schemas import Method, Outcome, Verdict

ASKED = re.compile(r"(\d+) of (\d+)  (trajectory-\w+)")


class Auditor:
    """Standard input: says of what was asked last whether it deserves to be accepted; then the rest of the script."""

    def __init__(self, capsys: pytest.CaptureFixture[str], deserves: Mapping[str, bool], most: int = 10_000) -> None:
        self._capsys, self._deserves, self._most = capsys, deserves, most
        self.seen = ""
        self.asked: list[str] = []

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        self.seen += self._capsys.readouterr().out
        if len(self.asked) == self._most:
            return ""
        *_, (_, _, name) = ASKED.findall(self.seen)
        self.asked.append(name)
        return "right\n" if self._deserves[name] else "w\n"


def verdicts(place: Place) -> dict[str, Verdict]:
    return {v.trajectory_id: v for v in Lake(place.lake).read_table("tiny", "verdicts", Verdict)}


def plant(place: Place) -> tuple[dict[str, bool], set[str]]:
    """Turn every third verdict around: what deserves to be accepted, in truth, and which verdicts are mistaken now."""
    lake, deserves, mistaken = Lake(place.lake), dict[str, bool](), set[str]()
    for part in lake.parts("tiny", "verdicts"):
        step, shard = re.fullmatch(r"part-(\w+)-(\d+)\.parquet", part.name).groups()  # type: ignore[union-attr]
        rows = []
        for number, verdict in enumerate(lake.read_table("tiny", "verdicts", Verdict, step, int(shard))):
            deserves[verdict.trajectory_id] = not verdict.reasons
            change: dict[str, Any] = {}
            if number % 3 == 0:
                mistaken.add(verdict.trajectory_id)
                change = {"outcome": Outcome.CORRECT, "reasons": (), "method": Method.JUDGE}
                if not verdict.reasons:
                    change = {"outcome": Outcome.WRONG, "reasons": ("verify.wrong",), "method": Method.NUMBER}
            rows.append(verdict.model_copy(update=change))
        write_part(part, "verdicts", rows)
    return deserves, mistaken


def shown(gog: Gog, place: Place, *args: object) -> dict[str, Any]:
    done: Done = gog("audit", "--lake", place.lake, "--json", *args)
    assert done.code == 0, done.err
    report: dict[str, Any] = json.loads(done.out)
    return report


def test_the_report_finds_what_was_planted(
    gog: Gog, copied: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deserves, mistaken = plant(copied)
    left = {name: bool(v.reasons) for name, v in verdicts(copied).items()}
    rates = {
        "accepted": sum(name in mistaken for name in left if not left[name]) / sum(not bad for bad in left.values()),
        "rejected": sum(name in mistaken for name in left if left[name]) / sum(left.values()),
    }
    size = len(left) * 2 // 3
    for number, (most, total) in enumerate(((size // 2, size), (10_000, size), (10_000, len(left)))):
        auditor = Auditor(capsys, deserves, most)
        monkeypatch.setattr(sys, "stdin", auditor)
        assert gog("audit", "--lake", copied.lake, "-n", total, "--reviewer", "ana").code == 0
        assert (len(auditor.asked), len(set(auditor.asked))) == (len(set(auditor.asked)),) * 2
        report = shown(gog, copied)
        assert report["people"]["ana"] == (size // 2, size, len(left))[number], "a rerun asks about the rest alone"
        for ruling, planted_rate in rates.items():
            found = report["rulings"][ruling]["all"]
            assert found["low"] <= planted_rate <= found["high"], (ruling, number)
    assert set(report["mistakes"]) == mistaken
    assert report["rulings"]["accepted"]["all"]["value"] == pytest.approx(rates["accepted"])
    assert report["rulings"]["rejected"]["all"]["value"] == pytest.approx(rates["rejected"])
    (number_line,) = [line for line in report["rulings"]["rejected"]["by_method"] if line["of"] == "number"]
    assert number_line["mistaken"] >= 1
    told = gog("audit", "--lake", copied.lake, "--report").out
    assert "False accepts" in told
    assert f"{report['mistaken']['value']:.1%} is mistaken" in told
    one = min(mistaken)
    verdict = verdicts(copied)[one]
    ruling = "rejected" if verdict.reasons else "accepted"
    assert f"  {one}  {', '.join((ruling, verdict.method, *verdict.reasons[:1]))}\n" in told


def test_each_verdict_is_shown_with_what_it_was_made_from(
    gog: Gog, copied: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = iter(["more\n", "nonsense\n", "RIGHT\n", "s\n", "b\n", "wrong\n", "b\n", "b\n", "w\n", ""])
    monkeypatch.setattr(sys.stdin, "readline", lambda: next(script))
    out = gog("audit", "--lake", copied.lake, "--reviewer", "ana").out
    places = [int(match[0]) for match in ASKED.findall(out)]
    assert places == [1, 2, 3, 2, 3, 2, 1, 3], "back, and on where it was"
    first, second = [match[2] for match in ASKED.findall(out)][:2]
    for word in ("question", "accepted", "picture", "evidence", "verdict", "settled by", "you said right", "turn 1"):
        assert word in out
    said = {name: by["ana"] for name, by in read_audits(Lake(copied.lake), "tiny").items()}
    assert {name: (audit.outcome, audit.number) for name, audit in said.items()} == {
        first: (Outcome.WRONG, 2),
        second: (Outcome.WRONG, 2),
    }
    assert "2 of" in out
    again = gog("audit", "--lake", copied.lake, "--reviewer", "ben").out
    assert ASKED.findall(again)[0][2] == first, "another person is asked about the same"


def test_a_run_without_decisions_and_names_that_are_none(gog: Gog, copied: Place) -> None:
    assert "nobody has decided" in gog("audit", "--lake", copied.lake, "--report").out
    assert gog("audit", "--lake", copied.lake, "--reviewer", " ").code == 2
    assert gog("audit", "--lake", copied.lake, "-n", 0).code == 2


def test_people_who_disagree_count_for_nothing(
    gog: Gog, copied: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {name: not v.reasons for name, v in verdicts(copied).items()}
    for who, deserves in (("ana", right), ("ben", {name: not good for name, good in right.items()})):
        monkeypatch.setattr(sys, "stdin", Auditor(capsys, deserves, 1 if who == "ben" else 4))
        assert gog("audit", "--lake", copied.lake, "--reviewer", who).code == 0
    report = shown(gog, copied)
    assert (len(report["disputed"]), report["mistaken"]["decided"], report["people"]) == (1, 3, {"ana": 4, "ben": 1})
    assert "People disagree on 1" in gog("audit", "--lake", copied.lake, "--report").out


def await_prompts(terminal: int, seen: str, prompts: int) -> str:
    """What stands on the terminal once it has asked so many times."""
    end = time.monotonic() + 60
    while seen.count("[q]uit: ") < prompts:
        assert time.monotonic() < end, seen
        seen += os.read(terminal, 65536).decode()
    return seen


def test_a_key_decides_at_once_and_ctrl_c_loses_nothing(copied: Place, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "audit", "--lake", str(copied.lake), "--reviewer", "ana"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True)
    try:
        seen = await_prompts(ours, "", 1)
        os.write(ours, b"r")
        seen = await_prompts(ours, seen, 2)
        time.sleep(0.5)
        os.write(ours, b"wrong")  # a whole word is one decision, though it has another key in it
        seen = await_prompts(ours, seen, 3)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(theirs)
        os.close(ours)
    assert (process.returncode, "stopped; what was finished is kept" in errors) == (130, True)
    names = [name for _, _, name in ASKED.findall(seen)]
    said = {name: by["ana"].outcome for name, by in read_audits(Lake(copied.lake), "tiny").items()}
    assert said == {names[0]: Outcome.CORRECT, names[1]: Outcome.WRONG}
    again = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout
    assert ASKED.findall(again)[0][2] == names[2]
