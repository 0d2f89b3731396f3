"""Known holes in what is pinned, by pip-audit: `make audit`.

    python .dev/audit.py PIP_AUDIT REQUIREMENTS

Exit code 1 where there is one. pip-audit finds nothing, and says that all is well, of packages that its index knows
nothing of: how many were looked up is said here, and that nothing was, where nothing was.
"""

import json
import subprocess
import sys


def verdict(text: str, error: str) -> tuple[str, int]:
    """What to say of pip-audit's JSON and of its last words, and the exit code."""
    try:
        packages = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = (error.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return f"NOT AUDITED: no index of advisories could be asked ({why[:200]})", 0
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return f"NOT AUDITED: the index that was reached knows no advisories of any of {len(packages)} packages", 0
    holes = [(package, hole) for package in asked for hole in package["vulns"]]
    lines = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'nothing yet'}"
        for package, hole in holes
    ]
    skipped = len(packages) - len(asked)
    lines.append(f"{len(asked)} packages asked about, {skipped} unknown to the index, {len(holes)} known holes")
    return "\n".join(lines), 1 if holes else 0


def main() -> int:
    tool, requirements = sys.argv[1:]
    command = [tool, "--requirement", requirements, "--require-hashes", "--disable-pip", "--format", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    said, code = verdict(done.stdout, done.stderr)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
