from pathlib import Path

from lakes import EPISODE, make_seed, reflective, verdict_of

from gog.pipelines.lake.image_files import ImageFiles
from gog.schemas import Split
from gog.transforms.export.llama_factory import learnable, sft
from gog.transforms.export.rows import ExportSettings, SftRow, sft_row


def test_calls_stand_in_lines_of_their_own_behind_what_is_said(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    seed, calls = make_seed(1, images), 0
    made = reflective(seed, images).trajectory
    for thinking in (True, False):
        row = sft_row(made, seed, verdict_of(made), Split.TRAIN, ExportSettings(), EPISODE, thinking)
        assert isinstance(row, SftRow)
        assert learnable(row)
        for turn in sft(row, [])["conversations"]:
            if turn["from"] == "function_call":
                calls += 1
                said, _, call = turn["value"].partition("<tool_call>\n")
                assert said == "" or said.endswith("\n")
                assert call.endswith("\n</tool_call>")
    assert calls
