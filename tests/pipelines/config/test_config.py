"""The configuration: committed files parse, wrong ones say what is wrong, the fingerprint follows the records."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gog.pipelines.config.config import Config, ConfigError, bundled, fingerprint, load_config, parse_config
from gog.pipelines.config.sources import AtlasSource, FileSource

CONFIGS = sorted((Path(__file__).parents[3] / "pipelines" / "configs").glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {path.name for path in CONFIGS} >= {"atlas.yaml", "photos.yaml", "template.yaml"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_committed_configs_parse_and_are_commented(path: Path) -> None:
    config = load_config(path)
    assert config.run
    assert path.read_text().startswith("#")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_what_is_dumped_parses_to_the_same(path: Path) -> None:
    config = load_config(path)
    assert parse_config(config.model_dump(mode="json")) == config
    assert parse_config(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))) == config


def test_the_template_names_every_section_with_its_default() -> None:
    """What is commented there as a default is one."""
    path = next(path for path in CONFIGS if path.name == "template.yaml")
    data = yaml.safe_load(path.read_text())
    written, defaults = parse_config(data), Config()
    assert set(Config.model_fields) - set(data) <= {"folder", "panel", "crops", "ingest", "propose", "retry"}
    for name in set(data) - {"run", "source", "text_search", "image_search"}:
        assert getattr(written, name) == getattr(defaults, name), name


def test_an_empty_file_is_the_bundled_world(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    empty = load_config(tmp_path / "empty.yaml")
    assert empty == Config(folder=str(tmp_path), lake=str(tmp_path / "lake"))
    assert isinstance(Config().source, AtlasSource)


MAPPING = {"question": "q", "answers": ["a"], "image": "i"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"sead": 1}, "file: sead: unknown key"),
        ({"synthesize": {"rollout": {"temprature": 1}}}, "synthesize.rollout.temprature: unknown key"),
        ({"source": {"kind": "atlas", "counts": 3}}, "source.counts: unknown key"),
        ({"source": {"kind": "jsonl", "dataset": "d", "mapping": MAPPING}}, "source.path: this key is needed"),
        ({"source": {"kind": "excel"}}, "source"),
        ({"window": 0}, "window: "),
        ({"seed": "many"}, "seed: "),
        ({"sead": 1, "seeed": 2}, "sead: unknown key; did you mean seed?; seeed: unknown key; did you mean seed?"),
        ({"lake": "hdfs://host/lake"}, "lake: hdfs://host/lake is no place for a lake or an index: a folder"),
        ({"store": {"mode": "recrod"}}, "did you mean record?"),
        (
            {"source": {"kind": "jsnl", "path": "x", "mapping": {}}},
            "source.kind: 'jsnl' is no kind of source; did you mean jsonl?",
        ),
        ({"store": {"path": "gs://bucket/store"}}, "is no folder"),
        ({"store": {"backend": "segments"}}, "many workers share postgresql://"),
        ({"store": {"lifetimes": {"bored": 1}}}, "store.lifetimes.bored"),
        ({"prices": {"m": {"per_call": -1}}}, "prices.m.per_call"),
        ({"run": ""}, "run: ''"),
        ({"run": "../x"}, "run: '../x': letters, digits, dot, dash and underscore, at most 64 of them"),
        ({"curate": {"balance": {"shares": {"direct": 0.9, "gaze": 0.9}}}}, "add up to more than 1"),
        ([], "expected keys and values"),
        ("text", "expected keys and values"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(data: Any, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(data, "file")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"), [(b"a: [", "line 1"), (b"\xff\xfe\x00", "cannot be read"), (b"\x00", "YAML")]
)
def test_files_that_are_no_config(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "bad.yaml")


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("run: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError):
        load_config(tmp_path / "bad.yaml")


SAME: list[dict[str, Any]] = [
    {"folder": "elsewhere", "text_search": "corpus:atlas"},
    {"run": "other"},
    {"lake": "/elsewhere"},
    {"window": 7},
    {"limits": {"planner": {"in_flight": 2}}},
    {"retry": {"attempts": 1}},
    {"budget": {"max_calls": 5}},
    {"store": {"mode": "replay"}},
    {"store": {"backend": "postgresql", "path": "postgresql://gog@db/gog", "lifetimes": {"refused": 30}}},
    {"prices": {"my/model": {"per_call": 0.1}}},
    {"uploader": {"put": "https://x.example/{name}", "url": "https://x.example/{name}"}},
    {"contact": "me@example.org"},
    {"detect": {"batch": 2, "device": "cpu"}},
    {"labeller": "planner:skill=0.1"},
    {"label": {"k": 3}},
    {"export": {"max_tokens": 500}},
    {"models": {"other": {"thinking": True}}},
    {"vllm": {"executable": "/opt/vllm/bin/vllm"}},
    {"checkpoint": {"device": "cpu"}},
]
OTHER: list[dict[str, Any]] = [
    {"seed": 1},
    {"shard_size": 3},
    {"teacher": "planner:skill=0.1"},
    {"judge": "planner:skill=0.1"},
    {"panel": ["planner:skill=0.1"]},
    {"detector": ""},
    {"detect": {"confidence": 0.5}},
    {"decontaminate": {"against": [{"benchmark": "atlas"}]}},
    {"search": {"country": "de"}},
    {"pages": "local:"},
    {"reading": {"pages": 5}},
    {"source": {"kind": "atlas", "count": 3}},
    {"screen": {"passes": 1}},
    {"synthesize": {"rollouts": 1}},
    {"curate": {"keep": 2}},
    {"episode": {"max_turns": 3}},
    {"episode": {"fold": 8}},
    {"episode": {"calls_per_turn": 2}},
    {"crops": {"padding": 0.2}},
    {"propose": {"limit": 2}},
    {"ingest": {"question_chars": 99}},
    {"filters": ["answer_in_question"]},
]


@pytest.mark.parametrize("changes", SAME, ids=lambda changes: next(iter(changes)))
def test_the_fingerprint_stays_where_no_record_changes(changes: dict[str, Any]) -> None:
    assert fingerprint(parse_config(changes)) == fingerprint(Config())


@pytest.mark.parametrize("changes", OTHER, ids=lambda changes: next(iter(changes)))
def test_the_fingerprint_changes_with_the_records(changes: dict[str, Any]) -> None:
    assert fingerprint(parse_config(changes)) != fingerprint(Config())


def test_the_fingerprint_knows_a_model_by_its_name_and_settings_not_its_address() -> None:
    def made(address: str, **settings: Any) -> str:
        return fingerprint(parse_config({"teacher": address, "models": {"a/b": settings}}))

    here = made("http://127.0.0.1:8000/v1#a/b")
    assert here == made("https://elsewhere.example/v1#a/b", key_env="KEY") == made("vllm:a/b")
    others = [made("http://127.0.0.1:8000/v1#c"), made("vllm:a/b", thinking=True), made("vllm:a/b", revision="2")]
    assert len({here, *others}) == 4


def test_every_key_is_in_one_of_the_two_lists() -> None:
    assert {key for changes in [*SAME, *OTHER] for key in changes} == {*Config.model_fields} - {
        "image_search",
    }


def test_a_file_source_keeps_its_mapping() -> None:
    source = parse_config(
        {"source": {"kind": "csv", "path": "x.csv", "dataset": "d", "mapping": MAPPING | {"columns": {"id": "n"}}}}
    ).source
    assert isinstance(source, FileSource)
    assert source.mapping.columns == {"id": "n"}


def test_changes_stand_in_for_keys_section_by_section(tmp_path: Path) -> None:
    path = tmp_path / "gog.yaml"
    path.write_text("source: {kind: atlas, count: 7}\nscreen: {passes: 2}\n")
    assert load_config(path) == load_config(str(path))
    config = load_config(path, run="mine", source={"count": 3})
    assert (config.run, config.source.kind, config.screen.passes) == ("mine", "atlas", 2)
    assert config.source == load_config(source={"count": 3}).source
    with pytest.raises(ConfigError, match="teachr"):
        load_config(path, teachr="planner:")
    with pytest.raises(ConfigError, match="source"):
        load_config(path, source={"kind": "atlas", "cunt": 3})


def test_without_a_file_it_is_the_bundled_world() -> None:
    assert load_config() == bundled("atlas")
