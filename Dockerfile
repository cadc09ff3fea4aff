# What is needed to install stays in the first stage: nothing but Python and the worker is used in the second.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
# Two environments: one with pip, to install with, and one without, to be shipped.
RUN python -m venv tools && python -m venv --without-pip /opt/optico-worker
# Wheels alone, so that a missing one says so here, rather than asking for a compiler. The locks change less often than
# the source, which therefore comes after them.
COPY requirements/run.txt requirements/build.txt requirements/
RUN tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt \
    && tools/bin/pip --python /opt/optico-worker/bin/python install --no-cache-dir --no-compile \
        --require-hashes --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY worker worker
# Bytecode that is never compared with its source: there is no writing it anew on a read-only file system.
RUN tools/bin/pip wheel --no-cache-dir --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && tools/bin/pip --python /opt/optico-worker/bin/python install --no-cache-dir --no-compile --no-deps --no-index dist/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/optico-worker/lib

FROM ${BASE}
COPY --from=build /opt/optico-worker /opt/optico-worker
ENV PATH=/opt/optico-worker/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
# A number, so that a cluster can see that it is not root's.
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["optico-worker"]
CMD ["run"]
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="optico-worker" \
      org.opencontainers.image.description="Keeps Optico's carts and orders as they are now: a Kafka consumer group in, the Cart API out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
