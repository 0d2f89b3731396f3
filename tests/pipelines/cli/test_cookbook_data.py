"""The page for people with data of their own, typed: a CSV and a folder of photographs, from `gog init` to seeds."""

import re
from pathlib import Path

import published
import pytest
import yaml
from calling import Gog

PAGE = Path(__file__).parents[3] / "docs" / "cookbook" / "data.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def block(kind: str, word: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == kind and word in text]
    return str(found)


def commands(word: str) -> list[list[str]]:
    return [re.findall(r'"[^"]*"|\S+', line)[1:] for line in block("", word).splitlines()]


def test_what_the_page_says_works_as_it_is_typed(gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = block("", "photos/harbour.jpg").split()
    for number, name in enumerate(file for file in files if file.endswith(".jpg")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(published.picture(number))
    Path("questions.csv").write_text(block("csv", "question,"), "utf-8")
    assert gog("init").code == 0
    source = yaml.safe_load(block("yaml", "source:"))
    config = yaml.safe_load(Path("gog.yaml").read_text())

    Path("gog.yaml").write_text(yaml.safe_dump(config | {"source": source["source"] | {"image_root": "."}}))
    ((*show,),) = commands("--show")
    wrong = gog(*show)
    assert wrong.code == 1
    assert re.sub(r"root: .*", "root: photos", block("", "Pictures are missing")).strip() in re.sub(
        r"root: \S*photos", "root: photos", wrong.out
    )

    Path("gog.yaml").write_text(yaml.safe_dump(config | source))
    shown = gog(*show)
    assert shown.code == 0, shown.err
    assert "'Bergen', 'Bjørgvin'" in shown.out
    assert '"Open" is on which door?' in shown.out
    assert "JPEG" in shown.out
    assert "Left out" not in shown.out

    ingest, rejects, seeds = commands("--run try")
    assert gog(*ingest).code == 0
    for query in (rejects, seeds):
        done = gog(*[word.strip('"') for word in query])
        assert done.code == 0, done.err
    assert "towns" in done.out
    assert "signs" in done.out
