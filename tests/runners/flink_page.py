"""The picture of Flink's page in the documentation: our counters at a vertex of a job that runs.

`PYTHONPATH=tests python -m runners.flink_page docs/images/flink.png`, with `GOG_RUNNERS` (see `engines.py`), Chromium,
and `GOG_RUNNERS_SEEDS=24`: of a few seeds a task may have nothing to count.
"""

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from browsers import chromium
from chaos.endpoint import Manner, listening
from playwright.sync_api import Page
from runners.engines import Flink, flink, flink_job_server, programs
from runners.test_engines import LOOPBACK, config_at, finish, on, start

VERTEX: Final = "Synthesize"
SHOWN: Final = ("synthesize_calls", "verify_calls", "verify_passed")
ROOM: Final = 450
"""Pixels that the charts lack."""


def main() -> None:
    """Run a job on a cluster, wait for its counters, take the picture."""
    with tempfile.TemporaryDirectory() as folder, listening() as endpoint, programs(Path(folder)) as made:
        endpoint.manner = Manner(latency_s=(0.1, 0.3))
        cluster = flink(made)
        jobs = flink_job_server(made, f"127.0.0.1:{cluster.rest}")
        process = start(config_at(Path(folder) / "lake", endpoint), *on(jobs, "--parallelism=2", LOOPBACK))
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 1300})
            page.set_default_timeout(120_000)
            page.goto(f"http://127.0.0.1:{cluster.rest}")
            while (found := counting(cluster)) is None:
                assert process.poll() is None, finish(process).said
                time.sleep(0.05)
            process.send_signal(signal.SIGSTOP)  # its workers are in it: the job waits until the page is drawn
            take(page, cluster, *found).screenshot(path=sys.argv[1])
            process.send_signal(signal.SIGCONT)
        done = finish(process)
        assert done.code == 0, done.said


def counting(cluster: Flink) -> tuple[str, str, list[str]] | None:
    """A running job, its vertex that has the counters, and their names there."""
    for job in cluster.ask("jobs/overview")["jobs"]:
        at_work = cluster.ask(f"jobs/{job['jid']}")["vertices"] if job["state"] == "RUNNING" else []
        for vertex in at_work:
            if VERTEX in vertex["name"]:
                known = [metric["id"] for metric in cluster.ask(f"jobs/{job['jid']}/vertices/{vertex['id']}/metrics")]
                names = [name for end in SHOWN for name in known if name.endswith(f".gog_{end}")]
                if len({name.rpartition(".")[2] for name in names}) == len(SHOWN):
                    return job["jid"], vertex["id"], names
    return None


def take(page: Page, cluster: Flink, job: str, vertex: str, names: list[str]) -> Page:
    """The page with one of each counter chosen, as numbers."""
    page.goto(f"http://127.0.0.1:{cluster.rest}/#/job/running/{job}/overview/{vertex}/metrics")
    page.locator("flink-job-overview-drawer .anticon-left").last.click()
    for number, name in enumerate({name.rpartition(".")[2]: name for name in names}.values()):
        page.locator("flink-job-overview-drawer-chart nz-select").click()
        page.keyboard.type(name)
        page.locator("nz-option-item", has_text=name).click()
        for text in ("Big", "Numeric"):
            page.locator("flink-job-chart").nth(number).locator("button", has_text=text).click()
    _grow(page, ROOM)
    page.wait_for_function("[...document.querySelectorAll('.numeric')].every((shown) => shown.innerText.trim() != '-')")
    return page


def _grow(page: Page, pixels: int) -> None:
    """Drag the lower edge of the vertex's pane, so that all that was chosen is to be seen."""
    edge = page.locator(".resize-handle.horizontal").bounding_box()
    assert edge is not None
    x, y = edge["x"] + edge["width"] / 2, edge["y"] + edge["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + pixels, steps=10)
    page.mouse.up()


if __name__ == "__main__":
    main()
