"""The end of a job on a Flink cluster.

Beam's job server stops waiting for a job that is cancelled, and Flink lets it go on; its job manager ends it:
https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/rest_api/
"""

import json
from typing import Final
from urllib.request import Request, urlopen

from apache_beam.options.pipeline_options import FlinkRunnerOptions, GoogleCloudOptions, PipelineOptions

UNENDED: Final = (
    "Flink lets a job go on that is cancelled from here, unless --flink_master=HOST:PORT names its job manager: end it "
    "on its page before the same command goes on"
)
_ANSWERS_S: Final = 10.0


def end_job(options: PipelineOptions) -> bool:
    """Have the job manager that the options name end the job of their name; False where they name none.

    Raises `OSError` and `ValueError` where it does not answer as Flink does.
    """
    master = options.view_as(FlinkRunnerOptions).flink_master
    if not master or master.startswith("["):
        return False
    base = (master if "://" in master else f"http://{master}").rstrip("/")
    if not base.startswith(("http://", "https://")):
        return False
    name = options.view_as(GoogleCloudOptions).job_name
    with urlopen(f"{base}/jobs/overview", timeout=_ANSWERS_S) as answer:  # noqa: S310  # http, as checked
        jobs = json.load(answer)["jobs"]
    for job in jobs:
        if job["name"] == name and job["end-time"] < 0:
            request = Request(f"{base}/jobs/{job['jid']}?mode=cancel", method="PATCH")  # noqa: S310  # the same
            urlopen(request, timeout=_ANSWERS_S).close()  # noqa: S310  # the same
    return True
