# The worker of a distributed run: --sdk_container_image of Dataflow, Flink and Spark.
# Python and Beam here must be the launcher's: 3.11 and the version in constraints.txt.
# Base images by digest are yours to give, for your registry: --build-arg PYTHON=python@sha256:... (see SECURITY.md).
ARG PYTHON=python:3.11-slim
ARG BEAM=apache/beam_python3.11_sdk:2.77.0

FROM ${PYTHON} AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && python -m build --no-isolation --wheel --outdir /dist .

FROM ${BEAM} AS beam

FROM ${PYTHON}
COPY requirements/pipelines.txt /tmp/
COPY --from=build /dist /tmp/dist
RUN pip install --no-cache-dir --require-hashes -r /tmp/pipelines.txt \
    && pip install --no-cache-dir --no-deps --no-index /tmp/dist/*.whl && pip check && rm -r /tmp/dist
COPY --from=beam /opt/apache/beam /opt/apache/beam
# The parallelism is in processes and in calls under way, not in threads of a library.
ENV OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ENTRYPOINT ["/opt/apache/beam/boot"]
