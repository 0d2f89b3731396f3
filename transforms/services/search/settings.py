"""How the web is searched."""

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.services.search.results import Locale


class SearchSettings(BaseModel):
    """Where, in what language, and what is fetched besides. For search engines of the web; local indexes have none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: str = Field(default="us", pattern=r"^[a-z]{2}$")
    """ISO 3166, two small letters."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")
    """ISO 639, with a region where it matters: `en`, `zh-CN`."""
    thumbnails: int = Field(default=0, ge=0, le=20)
    """Hits of an image search whose thumbnails are fetched and kept, from the first."""

    @property
    def locale(self) -> Locale:
        """Country and language."""
        return Locale(self.country, self.language)
