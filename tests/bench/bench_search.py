"""What local indexes find: photographs by `grid` and by encoders, articles by words and by encoders beside them.

    make test-search                                    # fills .venv-search
    GOG_REAL_SEARCH=.venv-search python tests/bench/bench_search.py photographs
    GOG_REAL_SEARCH=.venv-search python tests/bench/bench_search.py articles [HOW_MANY]

The sets are those of `tests/real_search`; shares are with 95% intervals (Wilson). Articles are 2,000 unless said.
"""

import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from real_search.articles import ARTICLES, articles, questions, written
from real_search.asking import Places, among, index_build, of_articles, of_pictures, share
from real_search.environment import HOME, PICTURE_ENCODERS, TEXT_ENCODERS
from real_search.photographs import asked_of, world_of


def photographs() -> None:
    """Print a table an encoder: first, and among the first three."""
    with tempfile.TemporaryDirectory() as folder:
        world = world_of(HOME / "photographs", Path(folder) / "world")
        pictures, texts = world / "index_of" / "pictures", world / "index_of" / "texts.jsonl"
        asked = list(asked_of(HOME / "photographs", world))
        for name, address in {"grid": "", **PICTURE_ENCODERS}.items():
            chosen = ("--image-encoder", address) if address else ()
            index = index_build(Path(folder) / "index", "--images", pictures, "--texts", texts, *chosen)
            tell(name, of_pictures(index, asked), 3)


def of_wikipedia(most: int) -> None:
    """Print a table an encoder: first, and among the first five."""
    with tempfile.TemporaryDirectory() as folder:
        pages = articles(HOME, most)
        texts, asked = written(pages, Path(folder) / "articles.jsonl"), questions(HOME, pages)
        for name, address in {"words alone": "", **TEXT_ENCODERS}.items():
            chosen = ("--text-encoder", address) if address else ()
            began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            index = index_build(Path(folder) / "index", "--texts", texts, *chosen)
            spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began
            tell(f"{name}, built in {spent:.0f} s of processor time", of_articles(index, asked), 5)


def tell(name: str, found: Places, first: int) -> None:
    """Print a line a kind."""
    print(f"\n{name}\n{'':20}{'first':>22}{f'among {first}':>22}")
    for kind, places in found.items():
        shares = [share(among(places, most), len(places)) for most in (1, first)]
        print(f"{kind:20}{shares[0]:>22}{shares[1]:>22}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "photographs":
        photographs()
    else:
        of_wikipedia(int(sys.argv[2]) if len(sys.argv) > 2 else ARTICLES)
