"""`gog label --policy`."""

from calling import Gog, Place, contents

from gog.pipelines.lake.lake import Lake


def test_another_policy_labels_anew_and_the_export_follows(gog: Gog, copied: Place, finished: Place) -> None:
    assert gog("label", "-c", copied.config, "--policy", "planner:skill=0.1").code == 0
    rows = list(Lake(copied.lake).read_rows("tiny", "complexity"))
    assert rows
    assert {row["policy"].partition("?")[2] for row in rows} == {"skill=0.1"}
    assert gog("export", "rl", "-c", copied.config).code == 0
    assert "skill=0.1" in (copied.run / "exports" / "rl" / "README.md").read_text()
    assert gog("run", "-c", copied.config).code == 0
    assert contents(copied.run) == contents(finished.run), "the config's own labeller again"
