"""A world that is not the bundled one, from `gog init` to exports by the defaults, with a teacher that errs."""

import json
from pathlib import Path

import pytest
import yaml
from calling import Gog
from photographs.measure import Measured, measured
from photographs.teacher import Manners, Oracle, serve
from photographs.world import Subject, build
from textures import texture

QUESTIONS = 30
PLACES = [
    "Aru",
    "Bel",
    "Cor",
    "Dov",
    "Eri",
    "Fal",
    "Gam",
    "Hul",
    "Ist",
    "Jor",
    "Kal",
    "Lum",
    "Mor",
    "Nex",
    "Orm",
    "Pyr",
]


def subjects() -> list[Subject]:
    """Coloured noise with names: buildings, half of them with a country that their pages tell."""
    made = []
    for number, place in enumerate(PLACES):
        name, country = f"{place} Palace", f"{PLACES[(number * 5 + 3) % len(PLACES)]}land"
        fact = ("In which country does {} stand?", country, f"{name} stands in {country}.")
        text = f"{name} was built long ago. {fact[2]} Many people visit it."
        made.append(Subject(name, "building", texture(number, 480, 360), text, fact if number % 2 else None))
    return made


def run_by_defaults(gog: Gog, folder: Path, manners: Manners, *, entity: bool) -> Measured:
    """What a newcomer types, and what came of it."""
    world = folder / "world"
    build(subjects(), world, QUESTIONS, entity=entity)
    model = f"{serve(Oracle(world, manners))}#oracle"
    config, index = world / "gog.yaml", world / "index"
    gog("init", config)
    written = yaml.safe_load(config.read_text())
    written |= {"run": "photos", "teacher": model, "judge": model, "labeller": model, "lake": str(folder / "lake")}
    written |= {"text_search": f"corpus:{index}", "image_search": f"gallery:{index}"}
    written["source"] |= {"path": str(world / "questions.jsonl"), "image_root": str(world / "photos")}
    if entity:
        written["source"]["mapping"]["columns"]["entity"] = "entity"
    config.write_text(yaml.safe_dump(written))
    gog(
        "index",
        "build",
        "--images",
        world / "index_of/pictures",
        "--texts",
        world / "index_of/texts.jsonl",
        "--out",
        index,
    )
    for command in ("ingest", "synthesize", "curate"):
        assert gog(command, "--config", config).code == 0
    assert gog("export", "sft", "--config", config).code == 0
    return measured(world, folder / "lake/runs/photos")


@pytest.mark.slow
@pytest.mark.parametrize(("entity", "knows_places"), [(True, False), (False, True)], ids=["entity", "judge"])
def test_what_is_right_is_kept_and_composed_attempts_look_at_the_target(
    gog: Gog, tmp_path: Path, *, entity: bool, knows_places: bool
) -> None:
    made = run_by_defaults(gog, tmp_path, Manners(knows_places=knows_places), entity=entity)
    assert made.verified_seeds >= QUESTIONS * 0.6
    # Two or three of sixteen groups can be RL's, one of these large: they are kept, for it.
    kept = sum(made.kept.values()) + made.rejects.get("curate.reserved_for_rl", 0)
    assert kept >= 0.8 * made.verified_seeds, made
    hits, gazes = made.verified_on_gold.get("compose", (0, 0))
    assert hits >= 0.98 * gazes, made
    assert gazes >= 5, made
    assert made.kept_reflective >= made.reflective_rollouts / 6, made
    exported = json.loads((tmp_path / "lake/runs/photos/exports/sft/manifest.json").read_text())
    assert exported
