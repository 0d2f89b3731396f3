# The worker of a distributed run: --sdk_container_image of Dataflow, Flink and Spark.
# Python and Beam here must be the launcher's: 3.11 and the version in constraints.txt.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir build hatchling && python -m build --no-isolation --wheel --outdir /dist .

FROM apache/beam_python3.11_sdk:2.77.0 AS beam

FROM python:3.11-slim
COPY constraints.txt /tmp/
COPY --from=build /dist /tmp/dist
RUN pip install --no-cache-dir -c /tmp/constraints.txt "$(ls /tmp/dist/*.whl)[pipelines]" && pip check && rm -r /tmp/dist
COPY --from=beam /opt/apache/beam /opt/apache/beam
# The parallelism is in processes and in calls under way, not in threads of a library.
ENV OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ENTRYPOINT ["/opt/apache/beam/boot"]
