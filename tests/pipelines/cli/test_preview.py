"""`gog preview`: every turn told, no table written."""

from pathlib import Path

from calling import Gog, Place, contents, place

from gog.pipelines.lake.lake import Lake


class TestPreview:
    def test_tells_every_turn_and_writes_no_table(self, gog: Gog, copied: Place) -> None:
        before = contents(copied.run)
        made = {row["answer"] for row in Lake(copied.lake).read_rows("tiny", "trajectories")}
        done = gog("preview", "-n", "2", "-c", copied.config)
        assert done.code == 0, done.err
        assert contents(copied.run) == before
        assert "Seed 1 of 2" in done.out
        assert "Seed 2 of 2" in done.out
        assert all(word in done.out for word in ("accepted", "screen", "turn 1", "answer", "verdict", "Attempt 1 of "))
        answers = {line.removeprefix("answer").strip() for line in done.out.splitlines() if line.startswith("answer ")}
        assert answers
        assert answers <= made, "a run makes the same attempts"
        pictures = sorted((copied.lake / "previews" / "tiny").glob("*.png"))
        assert pictures
        told = "".join(done.out.split())
        assert all("".join(str(path).split()) in told for path in pictures)

    def test_the_store_answers_what_the_run_has_asked(self, gog: Gog, copied: Place) -> None:
        from gog.transforms.services.store.records import Mode
        from gog.transforms.services.store.sqlite import Store

        assert gog("preview", "-n", "1", "-c", copied.config).code == 0
        with Store(copied.lake / "store", Mode.REPLAY) as store:
            assert store.spend("tiny-preview").calls == 0
            assert sum(tally.from_store for tally in store.tally("tiny-preview")) > 0

    def test_rows_that_are_no_seeds_are_named(self, gog: Gog, copied: Place, tmp_path: Path) -> None:
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"question": "What?", "answers": ["a"], "image": "none.png"}\n')
        mapping = {"question": "question", "answers": ["answers"], "image": "image"}
        made = place(tmp_path, source={"kind": "jsonl", "path": str(rows), "dataset": "d", "mapping": mapping})
        done = gog("preview", "-c", made.config)
        assert done.code == 0
        assert "ingest.image_unreadable" in done.out
