"""Copies of a seed, of its id, and what is near to it."""

from ingesting import PNG, ingest, png, row

from gog.schemas import Reject
from gog.transforms.ingest.duplicates import Duplicates
from gog.transforms.ingest.seeds import Ingested
from gog.transforms.sources.mapping import FieldMapping, SourceRow


class TestDuplicates:
    mapping = FieldMapping(columns={"id": "id"})

    def reasons(self, duplicates: Duplicates, *rows: SourceRow) -> list[str]:
        found = []
        for source in rows:
            ingested = ingest(source, self.mapping, question_images=2)
            assert isinstance(ingested, Ingested)
            record = duplicates.check(source, ingested)
            found.append(record.reason.removeprefix("ingest.") if isinstance(record, Reject) else "")
        return found

    def test_content_and_ids(self) -> None:
        rows = [row(1, id="a"), row(2, id="b"), row(3, id="a", question="Why?"), row(4, question="Why?")]
        assert self.reasons(Duplicates(), *rows) == ["", "duplicate", "duplicate", ""]

    def test_rejects_of_duplicates_have_ids_of_their_own(self) -> None:
        duplicates = Duplicates()
        ids = set()
        for number in range(4):
            source = row(number, id="a")
            ingested = ingest(source, self.mapping)
            assert isinstance(ingested, Ingested)
            if isinstance(record := duplicates.check(source, ingested), Reject):
                ids.add(record.reject_id)
        assert len(ids) == 3

    def test_near_copies(self) -> None:
        rows = [row(1, question="who?"), row(2, question="WHO?"), row(3, question="Why?")]
        assert self.reasons(Duplicates(), *rows) == ["", "near_duplicate", ""]

    def test_pictures_that_are_alike_but_for_what_is_asked_stay(self) -> None:
        rows = [row(1, question="who?"), row(2, question="Who?", answers=["somebody else"])]
        assert self.reasons(Duplicates(), *rows) == ["", ""]

    def test_a_run_that_goes_on_knows_what_it_kept(self) -> None:
        first = ingest(row(1, id="a"), self.mapping)
        assert isinstance(first, Ingested)
        duplicates = Duplicates()
        duplicates.add_known(first.seed)
        rows = [row(1, id="a"), row(2, id="a", question="Why?"), row(3, question="who?"), row(4, question="Where?")]
        assert self.reasons(duplicates, *rows) == ["duplicate", "duplicate", "near_duplicate", ""]

    def test_of_several_pictures_all_are_the_same_or_it_is_another_question(self) -> None:
        other, third = png((200, 0, 0)), png((0, 0, 200))
        rows = [
            row(1, image=[PNG, other]),
            row(2, image=[PNG, other], question="who ?"),
            row(3, image=[PNG, third]),
            row(4, image=PNG),
            row(5, image=[PNG, other]),
        ]
        assert self.reasons(Duplicates(), *rows) == ["", "near_duplicate", "", "", "duplicate"]
