"""Prompts: what they say is golden, how they are filled is strict."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.prompts import PromptError, prompt_hash, render
from gog.schemas import Frame
from gog.transforms.dialect.turns import FRAME_TEXT

GOLDEN = Path(__file__).parent / "golden"

_ALL = ["text_search", "image_search", "gaze"]
_SYSTEM: dict[str, Any] = {"frame_text": FRAME_TEXT[Frame.PER_MILLE], "max_turns": 8}

FIXED: dict[str, tuple[str, dict[str, Any]]] = {
    "episode-system": ("episode/system", {**_SYSTEM, "tools": _ALL}),
    "episode-system-without-gaze": ("episode/system", {**_SYSTEM, "tools": _ALL[:2]}),
    "episode-teacher": ("episode/teacher", {**_SYSTEM, "tools": _ALL}),
    "episode-more-tools": ("episode/more_tools", {"hints": ["zoom(bbox_2d), to see more.", "visit(url), to read."]}),
    "episode-several-calls": ("episode/several_calls", {"calls": 3}),
    "episode-several-images": ("episode/several_images", {"images": 3, "searching": True}),
    "episode-several-images-alone": ("episode/several_images", {"images": 2, "searching": False}),
    "episode-question-of-two": (
        "episode/question",
        {"sizes": [(640, 480), (90, 120)], "question": "Which of them is older?"},
    ),
    "episode-question": ("episode/question", {"sizes": [(640, 480)], "question": "What is it?"}),
    "episode-hints": (
        "episode/hints",
        {"regions": [{"box": "[1, 2, 3, 4]", "label": "a flag"}, {"box": "[5, 6, 7, 8]", "label": ""}]},
    ),
    "compose-turn-first": (
        "compose/turn",
        {"action": "image_search {}", "after_evidence": False, "reflection": "", "answer": False},
    ),
    "compose-turn-gaze": (
        "compose/turn",
        {
            "action": 'gaze {"bbox_2d": [1, 2, 3, 4], "image": 0}',
            "after_evidence": True,
            "reflection": "off target",
            "answer": False,
        },
    ),
    "compose-turn-answer": (
        "compose/turn",
        {"action": "answer", "after_evidence": True, "reflection": "off target", "answer": True},
    ),
    "propose-regions": (
        "propose/regions",
        {"limit": 4, "frame_text": FRAME_TEXT[Frame.PER_MILLE], "question": "What is it?"},
    ),
    "search-order": ("search/order", {"query": "the highest tower", "hits": "[1] Spire: It is low.\n[2] Tower: 99 m."}),
    "screen-answer": ("screen/answer", {}),
    "evaluate-full-search": ("evaluate/full_search", {}),
    **{
        f"judge-{name}": (f"judge/{name}", {"question": "What is it?", "answers": "a | b", "candidate": "c"})
        for name in ("peers", "simplevqa", "livevqa")
    },
    "verify-answer": ("verify/answer", {"question": "What is it?", "answers": "a | b", "candidate": "c"}),
    "verify-grounding": (
        "verify/grounding",
        {"question": "What is it?", "candidate": "c", "evidence": "text_search: q\n- a: b"},
    ),
    "compose-focus": (
        "compose/focus",
        {"question": "What is it?", "answers": "a | b", "looks": [{"place": "the whole image", "titles": "A wall"}]},
    ),
    "verify-leak": ("verify/leak", {"question": "What is it?", "answers": "a | b", "notes": "I was told so."}),
    "read-summary": ("read/summary", {"query": "capital of Chad", "words": 150, "page": "N'Djamena is a city."}),
    "chat-json": ("chat/json", {"schema": '{"type":"object"}'}),
    "chat-repair": ("chat/repair", {"error": "it is not a JSON object"}),
}
"""Renderings that are kept as files. To renew one on purpose, write what the test prints."""


@pytest.mark.parametrize("case", sorted(FIXED))
def test_text_is_golden(case: str) -> None:
    name, variables = FIXED[case]
    assert render(name, **variables).text == (GOLDEN / f"{case}.txt").read_text("utf-8").removesuffix("\n")


def test_every_prompt_has_a_golden_file_and_every_golden_file_a_prompt() -> None:
    root = Path(str(files("gog.prompts")))
    names = {path.relative_to(root).as_posix().removesuffix(".md.j2") for path in root.rglob("*.md.j2")}
    assert names == {name for name, _ in FIXED.values()}
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(FIXED)


@pytest.mark.parametrize("case", sorted(FIXED))
def test_rendered_text_has_no_leftovers(case: str) -> None:
    name, variables = FIXED[case]
    text = render(name, **variables).text
    assert text == text.strip()
    assert "\n\n\n" not in text
    assert not re.search(r"\{\{|\{%|\{#", text)


@pytest.mark.parametrize("case", sorted(FIXED))
def test_hash_is_the_files(case: str) -> None:
    name, variables = FIXED[case]
    source = files("gog.prompts").joinpath(f"{name}.md.j2").read_bytes()
    assert render(name, **variables).hash == prompt_hash(name) == hashlib.sha256(source).hexdigest()[:16]


def test_hash_does_not_depend_on_the_variables() -> None:
    one = render("episode/question", sizes=[(1, 2)], question="a")
    two = render("episode/question", sizes=[(3, 4)], question="b")
    assert one.hash == two.hash
    assert one.text != two.text


@pytest.mark.parametrize("case", sorted(case for case in FIXED if FIXED[case][1]))
def test_missing_variable_is_an_error(case: str) -> None:
    name, variables = FIXED[case]
    for left_out in variables:
        rest = {key: value for key, value in variables.items() if key != left_out}
        with pytest.raises(PromptError, match=left_out):
            render(name, **rest)


@pytest.mark.parametrize("case", sorted(FIXED))
def test_unknown_variable_is_an_error(case: str) -> None:
    name, variables = FIXED[case]
    with pytest.raises(PromptError, match="colour"):
        render(name, **variables, colour="red")


@pytest.mark.parametrize(
    "hostile",
    ["{{ 7 * 7 }}", "{% for x in [1, 2] %}x{% endfor %}", "{# gone #}", "{{ question.__class__.__mro__ }}", "{{", "%}"],
)
def test_variables_are_never_templates(hostile: str) -> None:
    assert render("episode/question", sizes=[(1, 1)], question=hostile).text.endswith(f"Question: {hostile}")
    listed = render("episode/hints", regions=[{"box": "[]", "label": hostile}]).text
    assert listed.endswith(hostile)


@given(st.text())
def test_question_stands_in_the_prompt_as_it_is(question: str) -> None:
    text = render("episode/question", sizes=[(1, 1)], question=question).text
    assert text == f"Image 0 (1 x 1 pixels).\nQuestion: {question}".strip()


def test_html_is_not_escaped() -> None:
    assert 'a < b & "c"' in render("episode/question", sizes=[(1, 1)], question='a < b & "c"').text


@pytest.mark.parametrize("name", ["episode/system", "episode/teacher"])
@pytest.mark.parametrize("left_out", _ALL)
def test_system_prompts_do_not_name_a_tool_that_is_not_offered(name: str, left_out: str) -> None:
    text = render(name, **_SYSTEM, tools=[tool for tool in _ALL if tool != left_out]).text
    assert left_out not in text
    assert all(tool in text for tool in _ALL if tool != left_out)


def test_policy_is_not_told_of_hints_nor_detectors() -> None:
    policy = render("episode/system", **_SYSTEM, tools=_ALL).text.lower()
    assert not re.search(r"\b(hint|detector|region proposals?|plan)\b", policy)
