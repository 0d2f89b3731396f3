"""A newcomer's twenty questions: the built site's own search, from the disk, finds the page of each by a few words."""

import re
from collections.abc import Iterator

import pytest
from browsers import chromium
from playwright.sync_api import Page, expect
from test_site import ROOT, build

QUESTIONS: dict[int, tuple[str, str]] = {
    1: ("search own pictures", "cookbook/search.html"),
    2: ("own questions csv", "cookbook/data.html"),
    3: ("cost 1,000 seeds", "cost.html"),
    4: ("killed run goes on", "chaos.html"),
    5: ("composed rollout", "concepts.html"),
    6: ("teacher judge endpoint", "services.html"),
    7: ("Qwen2.5-VL families", "training.html"),
    8: ("YOLO licence AGPL", "services.html"),
    9: ("verdicts audit", "view.html"),
    10: ("review trajectories browser", "view.html"),
    11: ("export format parquet", "exports.html"),
    12: ("train sft grpo", "cookbook/training.html"),
    13: ("eight gpus", "eight_gpus.html"),
    14: ("evaluate benchmark paper", "evaluation.html"),
    15: ("benchmark contamination", "decontamination.html"),
    16: ("privacy pictures sent", "privacy.html"),
    17: ("delete picture forget", "privacy.html"),
    18: ("own tool plugin", "extending.html"),
    19: ("run on Dataflow", "cookbook/dataflow.html"),
    20: ("merge two runs", "merge.html"),
}
"""By number in `docs/questions.md`: what somebody types, and the page that has the answer."""
ALSO = (("airflow", "orchestrators.html"), ("upgrade lake", "upgrade.html"), ("report vulnerability", "security.html"))

_ITEM = ".md-search-result__item"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    site = tmp_path_factory.mktemp("site")
    done = build(ROOT, site)
    assert done.returncode == 0, done.stderr
    with chromium() as browser:
        opened = browser.new_page()
        opened.goto((site / "index.html").as_uri())
        yield opened


@pytest.mark.parametrize(("words", "where"), [*QUESTIONS.values(), *ALSO])
def test_the_right_page_is_among_the_first_three(words: str, where: str, page: Page) -> None:
    page.reload()
    box = page.get_by_role("textbox", name="Search")
    box.click()
    box.press_sequentially(words)
    expect(page.locator(_ITEM).first).to_be_attached()
    page.wait_for_timeout(300)  # results of fewer letters may still stand there
    links = [str(item.locator("a").first.get_attribute("href")) for item in page.locator(_ITEM).all()[:3]]
    assert any(re.search(rf"/{re.escape(where)}(?:[?#]|$)", link) for link in links), links


def test_each_question_has_an_answer_with_the_link_that_is_searched_for() -> None:
    parts = re.split(r"^## (\d+)\. ", (ROOT / "docs" / "questions.md").read_text("utf-8"), flags=re.MULTILINE)
    answers = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    assert answers.keys() == QUESTIONS.keys()
    for number, (_, where) in QUESTIONS.items():
        links = re.findall(r"\]\(([\w/]+\.md)(?:#[\w-]+)?\)", answers[number])
        assert where.replace(".html", ".md") in links, (number, links)
