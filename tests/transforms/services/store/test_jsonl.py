"""Answers as lines of JSON: what is left out has its default, and what stores of before wrote is read."""

import json

import pytest
from storing import entry

from gog.schemas import FailureClass
from gog.transforms.services.store.jsonl import LineError, entry_line, read_entry
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Dated, Entry, Kept, Mode

PLAIN = {
    "key": request_key("où ?"),
    "kind": "chat",
    "provider": "p",
    "purpose": "episode",
    "request": "où ?",
    "answer": '"là"',
    "created": 5.0,
}
DATED = Dated(Entry(request_key("où ?"), "chat", "p", "episode", "où ?", Kept('"là"')), 5.0)


def test_a_plain_entry_is_these_fields_in_its_own_letters() -> None:
    assert entry_line(DATED) == json.dumps(PLAIN, ensure_ascii=False)
    assert read_entry(json.dumps(PLAIN)) == DATED


def test_every_other_field_comes_back() -> None:
    kept = Kept(None, FailureClass.REFUSED, "x" * 2500)
    asked = Entry(request_key("q"), "page", "r", "read", "q", kept, 0.25, 7, 9)
    back = read_entry(entry_line(Dated(asked, 6.0, 4.0)))
    assert (back.created, back.over) == (6.0, 4.0)
    assert (back.entry.cost, back.entry.prompt_tokens, back.entry.completion_tokens) == (0.25, 7, 9)
    assert back.entry.kept == Kept(None, FailureClass.REFUSED, "x" * 2000)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": None}, "an answer or a failure"),
        ({"failure": "refused"}, "an answer or a failure"),
        ({"request": "another"}, "is not the hash of its request"),
        ({"created": -1.0}, "created"),
        ({"prompt_tokens": -1}, "prompt_tokens"),
        ({"more": 1}, "more"),
    ],
)
def test_a_line_that_is_none_says_why(changes: dict[str, object], said: str) -> None:
    with pytest.raises(LineError, match=said):
        read_entry(json.dumps(PLAIN | changes))


def test_configs_hold_these_names_of_modes() -> None:
    assert [*Mode] == ["live", "record", "replay"]
    assert entry("a").kept.failure is None
