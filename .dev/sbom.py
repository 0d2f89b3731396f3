"""What is installed beside this interpreter, as CycloneDX JSON and as a table of licences: `make sbom`.

    python .dev/sbom.py --out FOLDER

Writes FOLDER/sbom.json and FOLDER/licences.md. Licences are those that the packages say of themselves.
"""

import argparse
import hashlib
import json
import re
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path

OURS = "glance-or-gaze"
BINDING = {
    "ultralytics": "AGPL-3.0: of the extra `detect` alone, which nothing else needs; what you build with it is bound too",
}
"""Packages of extras whose licence binds who uses them; told whether they are installed or not."""


def name_of(distribution: Distribution) -> str:
    """The name as indexes normalise it."""
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


def licence_of(distribution: Distribution) -> str:
    """What the package says: an SPDX expression, a short text, or classifiers; `unknown` where it says nothing."""
    said = distribution.metadata
    if expression := said.get("License-Expression"):
        return expression
    text = (said.get("License") or "").strip()
    if text and "\n" not in text and len(text) <= 80 and text.lower() != "unknown":
        return text
    classifiers = [line.split(" :: ")[-1] for line in said.get_all("Classifier", []) if line.startswith("License ::")]
    return "; ".join(sorted(set(classifiers) - {"OSI Approved"})) or "unknown"


def component(distribution: Distribution) -> dict[str, object]:
    """A distribution as CycloneDX has it."""
    name, version = name_of(distribution), distribution.version
    expression = distribution.metadata.get("License-Expression")
    licence = {"expression": expression} if expression else {"license": {"name": licence_of(distribution)}}
    reference = f"pkg:pypi/{name}@{version}"
    found = {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference}
    return {**found, "licenses": [licence]}


def needs(distribution: Distribution, installed: dict[str, Distribution]) -> list[str]:
    """References of what it requires and is installed."""
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in distribution.requires or []}
    return sorted(f"pkg:pypi/{name}@{installed[name].version}" for name in names & installed.keys())


def bill(installed: dict[str, Distribution]) -> dict[str, object]:
    """The bill of materials; the same environment gives the same bytes."""
    parts = [component(found) for name, found in sorted(installed.items()) if name != OURS]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    metadata = {"component": {**component(installed[OURS]), "type": "application"}} if OURS in installed else {}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": metadata,
        "components": parts,
        "dependencies": [
            {"ref": f"pkg:pypi/{name}@{found.version}", "dependsOn": needs(found, installed)}
            for name, found in sorted(installed.items())
        ],
    }


def table(installed: dict[str, Distribution]) -> str:
    """The licences as Markdown."""
    lines = ["| package | version | licence |", "| ------- | ------- | ------- |"]
    for name, found in sorted(installed.items()):
        lines.append(f"| {name} | {found.version} | {BINDING.get(name) or licence_of(found).replace('|', '/')} |")
    lines += [f"| {name} | not installed here | {why} |" for name, why in BINDING.items() if name not in installed]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    installed: dict[str, Distribution] = {}
    for found in distributions():
        installed.setdefault(name_of(found), found)  # the first on the path is the one that is imported
    out.mkdir(parents=True, exist_ok=True)
    (out / "sbom.json").write_text(json.dumps(bill(installed), indent=1) + "\n", "utf-8")
    (out / "licences.md").write_text(table(installed), "utf-8")
    print(f"{len(installed)} packages: {out / 'sbom.json'}, {out / 'licences.md'}")


if __name__ == "__main__":
    main()
