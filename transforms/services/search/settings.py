"""How searches work, beside their addresses."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.services.search.results import Locale

JUDGE: Final = "judge"


class SearchSettings(BaseModel):
    """Where, in what language, and what is fetched besides, for search engines of the web; and who puts the hits of any
    text search in another order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: str = Field(default="us", pattern=r"^[a-z]{2}$")
    """ISO 3166, two small letters."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")
    """ISO 639, with a region where it matters: `en`, `zh-CN`."""
    thumbnails: int = Field(default=0, ge=0, le=20)
    """Hits of an image search whose thumbnails are fetched and kept, from the first."""

    rerank: str = ""
    """Who puts the first hits of a text search in order: a cross-encoder (`onnx:FILE`, `transformers:NAME_OR_FOLDER`)
    or `judge`; empty: nobody."""
    reranked: int = Field(default=20, ge=2, le=50)
    """Hits that it puts in order."""

    @property
    def locale(self) -> Locale:
        """Country and language."""
        return Locale(self.country, self.language)
