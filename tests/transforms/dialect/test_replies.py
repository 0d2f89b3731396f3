"""An object of JSON is read out of a reply, and never out of its thoughts."""

import pytest

from gog.transforms.dialect.replies import object_in


@pytest.mark.parametrize(
    ("text", "loaded"),
    [
        ('{"look": 2}', {"look": 2}),
        ('Here it is:\n```json\n{"look": {"at": [1]}}\n```\nDone.', {"look": {"at": [1]}}),
        ('<think>{"look": 1}</think>{"look": 3}', {"look": 3}),
        ('[THINK]{"look": 1}[/THINK]{"look": 3}', {"look": 3}),
        ('<|channel|>analysis<|message|>{"look": 1}<|end|><|channel|>final<|message|>{"look": 3}', {"look": 3}),
        ('<think>It may be {"look": 1}', None),
        ('{"look": 1} or {"look": 2}', None),
        ("[1, 2]", None),
        ("{" * 100_000 + "}", None),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, None),
        ("", None),
    ],
)
def test_an_object_is_read_from_what_is_said_aloud(text: str, loaded: object) -> None:
    assert object_in(text) == loaded
