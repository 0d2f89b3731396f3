from pydantic import BaseModel

from gog.pipelines.config.config import Ceiling
from gog.pipelines.config.field_docs import field_docs
from gog.pipelines.config.sources import PublishedSource
from gog.schemas import Seed


def test_the_docstring_under_a_field() -> None:
    docs = field_docs(Seed)
    assert docs["width"] == "Pixels, EXIF-corrected."
    assert "question" not in docs


def test_several_lines_become_one() -> None:
    assert field_docs(Ceiling)["slices"].startswith("Where several workers share the ceilings: in how many")
    assert "\n" not in field_docs(Ceiling)["slices"]


def test_inherited_fields_have_theirs() -> None:
    assert "limit" in field_docs(PublishedSource)


def test_classes_of_others_have_none() -> None:
    assert field_docs(BaseModel) == {}
