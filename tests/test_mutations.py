"""The mutation tester's changes: each is made alone, does something, and leaves out what is no behaviour."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = '''"""Words."""
from x import y
LIMIT: Final = 3
__all__ = ["a"]

def work(a: int = 2, *, b: str = "b") -> str | None:
    """Words."""
    if a < LIMIT and not b:
        raise ValueError("why " + b)
    _logger.info("a %s", a)
    go(a, b)
    return f"{a + 1} of many" if a in (1,) else None
'''


@pytest.fixture
def mutations(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / ".dev"))
    import mutations  # type: ignore[import-not-found, unused-ignore]

    yield mutations
    del sys.modules["mutations"]


def test_each_change_is_one_and_is_named_with_its_line(mutations: Any) -> None:
    found = mutations.mutants_of("a.py", SOURCE)
    assert {(one.line, one.what) for one in found} >= {
        (3, "3 -> 4"),
        (6, "2 -> 3"),
        (6, "'b' -> ''"),
        (8, "Lt -> LtE"),
        (8, "And -> Or"),
        (8, "without not"),
        (8, "condition turned round"),
        (9, "dropped"),
        (11, "dropped"),
        (11, "first two arguments swapped"),
        (12, "returns None"),
        (12, "Add -> Sub"),
        (12, "In -> NotIn"),
    }
    assert {one.line for one in found} == {3, 6, 8, 9, 11, 12}, "no docstring, import, export or log"
    texts = [mutations.mutated(one, SOURCE) for one in found]
    assert len(set(texts)) == len(texts)
    plain = ast.unparse(ast.parse(SOURCE))
    for text in texts:
        ast.parse(text)
        changed = [pair for pair in zip(text.splitlines(), plain.splitlines(), strict=True) if pair[0] != pair[1]]
        assert len(changed) == 1
