"""Makes `transforms/atlas/assets/` from the two npm packages: the engine itself needs no SVG library.

    npm pack flag-icons@7.5.0 world-countries@5.1.0
    pip install resvg-py
    PYTHONPATH=tests python -m atlas_assets.draw flag-icons-7.5.0.tgz world-countries-5.1.0.tgz

Same tarballs and same resvg, same bytes.
"""

import argparse
import io
import json
import tarfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from atlas_assets.lookalikes import ALIKE, clusters, distances, neighbours, partition, relations
from PIL import Image

ASSETS = Path(__file__).parents[2] / "transforms" / "atlas" / "assets"
WIDTH, HEIGHT, COLOURS = 320, 240, 96

EXTRA = ("PSE", "UNK", "TWN", "COK", "NIU", "VAT")
"""States with a capital of their own that the source does not count as members of the United Nations."""
CODES = {"UNK": "XKX"}
DROPPED = {
    *("Congo", "Dominique", "Island", "Lao", "Mexicanos", "Portuguesa", "Prathet", "Republic of China", "Sarnam"),
    *("Saudi", "Thai", "the Abode of Peace", "Timor", "Togolese"),
}
"""Other spellings of the source that would accept a wrong or an ambiguous answer."""
MORE_NAMES = {
    "BHS": ["The Bahamas"],
    "CIV": ["Côte d'Ivoire"],
    "COD": ["Congo-Kinshasa", "Democratic Republic of the Congo"],
    "CPV": ["Cabo Verde"],
    "CZE": ["Czech Republic"],
    "DEU": ["Deutschland"],
    "ESP": ["España"],
    "FRA": ["République française"],
    "GBR": ["UK", "Great Britain", "Britain"],
    "GMB": ["The Gambia"],
    "MKD": ["Macedonia"],
    "MMR": ["Burma"],
    "NLD": ["Holland", "The Netherlands"],
    "SWZ": ["Swaziland"],
    "TLS": ["East Timor"],
    "TUR": ["Turkey"],
    "USA": ["US", "USA", "United States of America", "America"],
    "VAT": ["Holy See", "Vatican"],
}
NO_CAPITAL_QUESTION = ("ISR", "PSE")
"""Capitals that the world does not agree on are not asked for."""


def _member(tarball: tarfile.TarFile, name: str) -> bytes:
    handle = tarball.extractfile(name)
    if handle is None:
        raise SystemExit(f"the tarball holds no {name}")
    return handle.read()


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.replace("’", "'").replace("ʻ", "'").replace("‘", "'"))
    return "".join(ch for ch in folded if not unicodedata.combining(ch))


def _names(row: dict[str, Any]) -> list[str]:
    """Every accepted name but the first, in Latin letters and of at least three, or named in `MORE_NAMES`."""
    spelled = [row["name"]["official"], *(s for s in row["altSpellings"] if s not in DROPPED and len(s) > 2)]
    native = [n["common"] for n in row["name"]["native"].values()]
    latin = [s for s in (*spelled, *native) if _plain(s).isascii() and len(s) > 2]
    return [*MORE_NAMES.get(row["cca3"], []), *latin]


def _record(row: dict[str, Any]) -> dict[str, Any]:
    demonyms = row["demonyms"].get("eng", {})
    return {
        "code": CODES.get(row["cca3"], row["cca3"]),
        "iso2": row["cca2"].lower(),
        "name": row["name"]["common"],
        "official": row["name"]["official"],
        "aliases": _names(row),
        "capitals": row["capital"],
        "capital_asked": row["cca3"] not in NO_CAPITAL_QUESTION,
        "currencies": [[code, money["name"]] for code, money in sorted(row["currencies"].items())],
        "languages": sorted(row["languages"].values()),
        "continent": row["region"],
        "subregion": row["subregion"],
        "area": row["area"],
        "landlocked": row["landlocked"],
        "borders": [CODES.get(code, code) for code in row["borders"]],
        "demonym": demonyms.get("m", ""),
    }


def read_countries(tarball: Path) -> list[dict[str, Any]]:
    """Facts of the countries that have a flag and a capital, by code; names that two of them claim are dropped."""
    with tarfile.open(tarball) as source:
        rows = json.loads(_member(source, "package/countries.json"))
    records = [_record(r) for r in rows if (r["unMember"] or r["cca3"] in EXTRA) and r["capital"]]
    records.sort(key=lambda r: str(r["code"]))
    claims = Counter(name for r in records for name in {_plain(n).casefold() for n in [r["name"], *r["aliases"]]})
    for record in records:
        own = dict.fromkeys(record["aliases"])
        record["aliases"] = [n for n in own if n != record["name"] and claims[_plain(n).casefold()] == 1]
    return records


def draw_flag(svg: str) -> Image.Image:
    """The flag, 320x240, in at most 96 colours."""
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=WIDTH * 2, skip_system_fonts=True))
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    flat = Image.alpha_composite(white, drawn).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return flat.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main() -> None:
    """Write flags/*.png and countries.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("flag_icons", type=Path)
    parser.add_argument("world_countries", type=Path)
    options = parser.parse_args()
    records = read_countries(options.world_countries)
    (ASSETS / "flags").mkdir(parents=True, exist_ok=True)
    flags = []
    with tarfile.open(options.flag_icons) as source:
        for record in records:
            flag = draw_flag(_member(source, f"package/flags/4x3/{record.pop('iso2')}.svg").decode())
            flag.save(ASSETS / "flags" / f"{record['code']}.png", optimize=True)
            flags.append(flag.convert("RGB"))
    codes = [str(r["code"]) for r in records]
    gaps = distances(flags)
    twins, alike = relations(codes, gaps)
    placed = partition(clusters(codes, neighbours(codes, gaps, 0, ALIKE)))
    for record in records:
        code = str(record["code"])
        record.update(twins=twins[code], lookalikes=alike[code], partition=placed[code])
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    (ASSETS / "countries.json").write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
