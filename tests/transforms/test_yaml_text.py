"""YAML of settings: what is odd is one line."""

import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.yaml_text import DEEPEST, LONGEST, YamlError, load_yaml

LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
ODD = [
    ("a: 2024-13-45", "line 1: '2024-13-45' cannot be read"),
    ("a: 2024-01-01 99:99:99", "cannot be read as a value"),
    ("x: 1\na: " + "9" * 5000, "line 2: '9+' cannot be read"),
    ("a: " + ":".join(["59"] * 3000), "cannot be read as a value"),
    ("a: !!bool x", "cannot be read"),
    ("a: !!timestamp x", "cannot be read"),
    ("a: !!int x", "cannot be read"),
    ("a: " + "[" * 2000 + "]" * 2000, f"more than {DEEPEST} deep"),
    ("{" * 2000, f"more than {DEEPEST} deep"),
    ("- " * 3000 + "a", f"more than {DEEPEST} deep"),
    ("run: a\nlake: b\nrun: c", "line 3: the key 'run' is given twice"),
    ("source:\n  kind: atlas\n  'kind': atlas", "line 3: the key 'kind' is given twice"),
    (LAUGHS, "more than 10,000 values"),
    ("a: [" + "1," * 45_000 + "]", "more than 10,000 values"),
    ("a: &a [*a]", "an alias of what it stands in"),
    ("? [a]\n: b", "unhashable"),
    ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ("a: 1\n---\na: 2", "another document"),
    ("a: \x00", "characters that YAML does not take"),
    ("#" * (LONGEST + 1), "longer than"),
]


@pytest.mark.parametrize(("text", "said"), ODD)
def test_what_is_odd_is_one_line_and_costs_little(text: str, said: str) -> None:
    began = time.process_time()
    with pytest.raises(YamlError, match=said) as caught:
        load_yaml(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert time.process_time() - began < 3


def test_what_people_write_is_read_as_it_was() -> None:
    text = "base: &b {x: 1, y: [a, 2.5]}\nmore: {<<: *b, x: 2}\nwhen: 2024-01-02\nnone:\nint: 12_000\nyes: true\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None


@given(st.text("{}[]&*!:-?,'\"#|>%@` \n\t0a1.<e~", max_size=60))
def test_any_text_is_read_as_before_or_refused(text: str) -> None:
    with suppress(YamlError):
        assert repr(load_yaml(text)) == repr(yaml.safe_load(text))
