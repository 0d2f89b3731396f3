"""Commands with a model that is served: by a child that does not start, and by an endpoint that knows nothing."""

import sys
from pathlib import Path

from calling import Gog, place


def test_a_server_that_does_not_start_ends_the_run_in_one_line(gog: Gog, tmp_path: Path) -> None:
    """Rather than reject every seed: nothing is wrong with them."""
    executable = tmp_path / "vllm"
    executable.write_text(f"#!{sys.executable}\nraise SystemExit('no GPU\\nhere')\n")
    executable.chmod(0o755)
    made = place(tmp_path, count=4, teacher="vllm:m", vllm={"executable": str(executable)})
    done = gog("run", "--config", made.config)
    assert done.code == 1
    assert "vllm:m ended with exit code 1 before it was up" in done.error
    assert "no GPU / here" in done.error
    assert len(list((made.lake / "logs").iterdir())) == 1
    assert not list((made.run / "rejects").glob("part-*synth*"))


def test_nothing_is_started_to_plan(gog: Gog, tmp_path: Path) -> None:
    made = place(tmp_path, count=4, teacher="vllm:m", vllm={"executable": "/no/such/vllm"})
    assert gog("plan", "--config", made.config).code == 0


def test_a_missing_key_is_told_before_anything_is_done(gog: Gog, tmp_path: Path) -> None:
    settings = {"m": {"key_env": "A_KEY_THAT_NOBODY_SET"}}
    made = place(tmp_path, count=4, teacher="http://127.0.0.1:9/v1#m", models=settings)
    done = gog("run", "--config", made.config)
    assert done.code == 2
    assert "A_KEY_THAT_NOBODY_SET is not set" in done.error
    assert not made.run.exists()
