"""The templates of pages, with the words and filters that they use."""

import hashlib
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote, urlencode

from jinja2 import Environment

from gog.pipelines.lake.lake import STATES_SHOWN
from gog.pipelines.lake.review_files import LONGEST_ANSWER, LONGEST_COMMENT
from gog.pipelines.lake.reviews import state_of
from gog.pipelines.show.audit import SAID
from gog.pipelines.show.settings import made_by, without_login
from gog.pipelines.show.trajectory import rect
from gog.pipelines.show.web import charts, text
from gog.pipelines.show.web.changes import WHYS
from gog.pipelines.show.web.filters import FACETS, LONGEST_SQL, NOTHING, QUEUE, REVIEWS, SORTS
from gog.pipelines.show.web.listed import DOUBTS
from gog.pipelines.show.words import spell
from gog.pipelines.templates import templates
from gog.schemas import REASONS


def environment(static: Mapping[str, bytes]) -> Environment:
    """Jinja2 with what templates use; `static` are the files that pages name by their content's hash."""
    pages = templates("gog.pipelines.show.web", autoescape=True)
    pages.filters |= {
        "shown": text.shown,
        "web_link": text.web_link,
        "path": partial(quote, safe=""),
        "share": lambda value: "" if value is None else f"{value:.0%}",
        "moment": text.moment,
        "few": text.few,
        "further": text.further,
        "small_pictures": text.small_pictures,
        "rect": rect,
        "number": text.number,
        "short": text.short,
        "span": text.span,
        "spell": spell,
        "without_login": without_login,
        "sum_of": lambda column: column.made + column.from_store,
    }
    pages.globals |= {
        "FACETS": FACETS,
        "REVIEWS": REVIEWS,
        "SORTS": SORTS,
        "NOTHING": NOTHING,
        "STATES_SHOWN": STATES_SHOWN,
        "REASONS": REASONS,
        "LONGEST_COMMENT": LONGEST_COMMENT,
        "LONGEST_ANSWER": LONGEST_ANSWER,
        "LONGEST_SQL": LONGEST_SQL,
        "DOUBTS": DOUBTS,
        "QUEUE": urlencode(QUEUE),
        "WHYS": WHYS,
        "SAID": SAID,
        "state_of": state_of,
        "made_by": made_by,
        "charts": charts,
        "version": {name: hashlib.sha256(data).hexdigest()[:12] for name, data in static.items()},
    }
    return pages
