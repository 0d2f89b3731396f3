"""What reads bytes of strangers, each as a function of bytes: for `make fuzz` and for the tests.

A target takes any bytes. It raises the errors that it is documented to raise and no other, and 100 kB cost it less than
a second.
"""

import atexit
import io
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, get_args

import duckdb

from gog.pipelines.config.config import ConfigError, parse_config
from gog.pipelines.config.sources import FileKind
from gog.pipelines.sources.files import FileRows, SourceError
from gog.pipelines.tools.documents import _markdown
from gog.pipelines.tools.tar_samples import TarSamples
from gog.pipelines.views.database import confine
from gog.pipelines.views.sql import QueryError, ask
from gog.schemas import AnswerType, Function, Message, ToolCall
from gog.transforms.dialect.observations import clip_tokens, estimate_tokens, neutralise, one_line
from gog.transforms.dialect.replies import object_in
from gog.transforms.dialect.turns import parse_turn, plain_text
from gog.transforms.dialect.xml_calls import read_xml
from gog.transforms.episode.tools import known_tools
from gog.transforms.evaluate.protocols.judging import read_grade, read_yes_no
from gog.transforms.evaluate.protocols.text import squad, token_f1
from gog.transforms.evaluate.protocols.treebank import words
from gog.transforms.images import ImageError, ImageLimits, load_image, phash
from gog.transforms.ingest.seeds import to_seed
from gog.transforms.services.pages.html import _bounded, main_text
from gog.transforms.services.pages.pdf import _read
from gog.transforms.services.pages.reading import relevant
from gog.transforms.services.public_web import text_of
from gog.transforms.services.store.cassette import Cassette
from gog.transforms.services.store.schema import StoreError
from gog.transforms.sources.mapping import FieldMapping
from gog.transforms.verify.judge import Kind, parse_reply
from gog.transforms.verify.rules import check
from gog.transforms.yaml_text import YamlError, load_yaml

CORPUS: Final = Path(__file__).parent / "corpus"
LONG: Final = 100_000
"""Bytes that may cost a second."""
SEEDS: Final = 1000
"""Rows that are made seeds of: what a record costs is another question than what its bytes do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser. `errors` are those that it says it raises."""

    name: str
    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = ()
    seconds: float = 1.0
    """Of processor time that `LONG` bytes may cost."""
    text: bool = True
    """Whether bytes over and over are more of the same."""

    def seconds_of(self, data: bytes) -> float:
        """Processor time that the bytes cost. Raises what is no error of the parser's own."""
        begun = time.process_time()
        with suppress(*self.errors):
            self.run(data)
        return time.process_time() - begun

    def seeds(self) -> list[bytes]:
        """The corpus in the repository: made by hand, and what fuzzing found."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())]


def lengthened(data: bytes, size: int = LONG) -> bytes:
    """The bytes over and over, to that size."""
    return (data * (size // max(1, len(data)) + 1))[:size]


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gog-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "run").mkdir()
    return folder


def _file(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _image(data: bytes) -> None:
    phash(load_image(data, ImageLimits()).image)


def _html(data: bytes) -> None:
    main_text(_bounded(text_of(data))[0])


def _rows(kind: FileKind, data: bytes) -> None:
    path = _file(data, f"rows.{kind}")
    rows = FileRows(str(path), kind, 1000)
    for number, row in enumerate(row for shard in rows.shards() for row in rows.read_shard(shard)):
        if number < SEEDS:
            to_seed(row, FieldMapping(columns={"category": "a.b.0"}), dataset="fuzz")


def _samples(data: bytes) -> None:
    samples = TarSamples(_file(data, "samples.tar"), "samples.tar")
    for page in samples.pages([]):
        samples.told(page.keys)
    for _ in samples.pictures():
        pass


def _turns(data: bytes) -> None:
    text = _text(data)
    name, _, arguments = text.partition("\n")
    call = ToolCall(id="x", function=Function(name=name, arguments=arguments))
    for message in (
        Message(role="assistant", content=text),
        Message(role="assistant", content=name, reasoning_content=arguments, tool_calls=(call,)),
    ):
        for most in (1, 3):
            plain_text(parse_turn(message, 0, known_tools(), most).message)
    object_in(text)
    read_xml(text)


def _observations(data: bytes) -> None:
    text = neutralise(_text(data))
    one_line(text)
    estimate_tokens(text)
    clip_tokens(text, 512)
    relevant(text, "tower of the old town", 1000)


def _rules(data: bytes) -> None:
    answer, _, gold = _text(data).partition("\n")
    for kind in AnswerType:
        check(answer, SimpleNamespace(answers=(gold, answer[:50]), answer_type=kind, answer_unit=gold[:20],
                                      answer_low=None, answer_high=None))  # fmt: skip


def _scorers(data: bytes) -> None:
    answer, _, gold = _text(data).partition("\n")
    squad(answer)
    token_f1(answer, gold)
    words(answer)


def _judge(data: bytes) -> None:
    text = _text(data)
    for kind in get_args(Kind):
        parse_reply(kind, text)
    read_grade(text)
    read_yes_no(text)


def _cassette(data: bytes) -> None:
    if not data.startswith(b"PK"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            file.writestr("cassette.json", '{"format": "gog-cassette", "version": 1}')
            file.writestr("entries.jsonl", data)
        data = out.getvalue()
    cassette = Cassette(_file(data, "cassette.zip"))
    for _ in cassette.entries():
        pass
    nowhere: Any = SimpleNamespace(put=lambda data, suffix: None)
    cassette.take_images(nowhere)


@cache
def _run() -> Any:
    connection = duckdb.connect(config={"threads": 1, "memory_limit": "500MB", "temp_directory": ""})
    connection.execute("CREATE TABLE seeds AS SELECT i AS seed_id, 'q' || i AS question FROM range(20) r(i)")
    confine(connection, _folder() / "run")
    atexit.register(_run.cache_clear)
    atexit.register(connection.close)
    return connection


def _sql(data: bytes) -> None:
    try:
        ask(_run(), _text(data), 100)
    finally:
        left = list((_folder() / "run").iterdir())
        assert not left, f"a query wrote {left}"


def _config(data: bytes) -> None:
    parse_config(load_yaml(_text(data)) or {})


def _robots(data: bytes) -> None:
    from protego import Protego

    Protego.parse(_text(data)).can_fetch("https://example.org/a/b?c=d", "glance-or-gaze")


def _documents(data: bytes) -> None:
    _markdown(_text(data))


TARGETS: Final = {
    target.name: target
    for target in (
        Target("image", _image, (ImageError,), text=False),
        Target("html", _html, (Exception,)),
        Target("pdf", _read, (Exception,), seconds=5, text=False),
        *(Target(kind, partial(_rows, kind), (SourceError,), text=kind not in {"parquet", "webdataset"})
          for kind in get_args(FileKind)),
        Target("samples", _samples, text=False),
        Target("turns", _turns),
        Target("observations", _observations),
        Target("rules", _rules),
        Target("scorers", _scorers),
        Target("judge", _judge),
        Target("cassette", _cassette, (StoreError,)),
        Target("sql", _sql, (QueryError,)),
        Target("config", _config, (YamlError, ConfigError)),
        Target("documents", _documents, seconds=2),
        Target("robots", _robots),
    )
}  # fmt: skip
"""HTML and PDFs are read by a child, for which any error is a refusal; that they cost little is looked at here."""
