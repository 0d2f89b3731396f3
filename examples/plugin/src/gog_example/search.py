"""A search provider: `text_search: notes:FOLDER` in a config looks for words in the *.txt files of the folder.

A provider does the work of one call. Who asks it keeps its answers, repeats what failed and counts what it costs.
"""

import hashlib
import re
from pathlib import Path

from gog.schemas import Hit
from gog.transforms.services.provider import Opening, Provider, ProviderError


def words(text: str) -> set[str]:
    """The words of a text, each once."""
    return set(re.findall(r"\w+", text.lower()))


class NotesSearch:
    """Fills `TextSearch`: an `id`, and `search`, which raises `ServiceError` and nothing else where it fails."""

    def __init__(self, folder: Path) -> None:
        """Read the notes; the name of a file is the title of its note."""
        self.notes = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))}
        self.words = {title: words(f"{title} {text}") for title, text in self.notes.items()}
        # Answers are kept by the id, so it changes with the notes; its price is looked up by how it begins.
        self.id = f"notes:{hashlib.sha256(repr(self.notes).encode()).hexdigest()[:12]}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """The notes that share most words with the query; of equals, those whose title does."""
        wanted = words(query)
        shared = {title: (len(wanted & self.words[title]), len(wanted & words(title))) for title in self.notes}
        best = sorted((title for title in shared if shared[title][0]), key=lambda title: shared[title], reverse=True)
        return tuple(
            Hit(rank=rank, title=title, url=f"notes:{title}", snippet=self.notes[title][:1000])
            for rank, title in enumerate(best[:top_k], 1)
        )


def folder_of(opening: Opening) -> Path:
    """The folder behind the scheme. An error is one line for the user."""
    if not opening.rest or not Path(opening.rest).is_dir():
        raise ProviderError(f"{opening.address}: there is no folder {opening.rest!r}")
    return Path(opening.rest)


notes = Provider(
    name="notes",  # the scheme
    example="notes:FOLDER",
    fits=lambda opening: bool(folder_of(opening)),  # looks at the address before a run; opens and calls nothing
    open=lambda opening: NotesSearch(folder_of(opening)),
    embedded=True,  # free; what another costs the user says: `prices: {notes: {per_call: 0.001}}`
    # `key="NOTES_API_KEY"` would name the variable of a key, which `opening.key` then holds; settings of the config
    # are found by their type: `opening.of(SearchSettings).country`.
)
