"""The `decontaminate` section of a config: which benchmarks, and when something counts as part of one."""

from pydantic import BaseModel, ConfigDict, Field


class OverlapSettings(BaseModel):
    """When a seed, a page or a crop counts as part of a benchmark. The defaults are measured, see the docs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: float = Field(default=0.7, gt=0, le=1)
    """Agreement of details (correlation) of an image that is an overlap by itself."""
    image_with_question: float = Field(default=0.5, gt=0, le=1)
    """Agreement that is enough when the question is found in the same row too."""
    question_similarity: float = Field(default=0.7, gt=0.5, le=1)
    """Jaccard similarity of words and pairs of words of a reworded question."""
    question_words: int = Field(default=8, ge=3)
    """Words in a row that a question shares at least to be an overlap without the image; they must name something. Two
    characters of a script without spaces count as one."""
    question_rows: int = Field(default=5, ge=1)
    """Different questions of the benchmarks that share those words at most; more are a template."""


class Against(BaseModel):
    """A benchmark as it was published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    """Its name, as `gog eval` takes it."""
    path: str = ""
    """Where it lies, as `gog eval` takes it; nothing for one that is bundled."""
    split: str = ""
    """All of it unless one is named."""
    pictures: bool = True
    """Off where its pictures are not at hand: then its rows are found by their questions alone."""


class DecontaminateSettings(OverlapSettings):
    """Seeds that are in one of these benchmarks leave at ingest, trajectories that brought some in at curate."""

    against: tuple[Against, ...] = ()
    """The benchmarks, each by its name and its files."""
