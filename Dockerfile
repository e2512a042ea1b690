# Two images from one file: `--target worker` (chat and audio) and `--target web`; each has only what it runs.
# 3.13 is the newest Python for which every compiled dependency has a wheel.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /build && python -m venv --without-pip /worker && python -m venv --without-pip /web
COPY requirements/ requirements/
RUN /build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
RUN /build/bin/pip --python /worker/bin/python install --no-cache-dir --require-hashes -r requirements/worker.txt
RUN /build/bin/pip --python /web/bin/python install --no-cache-dir --require-hashes -r requirements/web.txt
# Last, because it changes most often: the dependencies above stay in the cache.
COPY pyproject.toml README.md LICENSE ./
COPY detectors/ detectors/
COPY alerts/ alerts/
COPY stream/ stream/
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
 && /build/bin/pip --python /worker/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /build/bin/pip --python /web/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /worker/bin/python -m compileall -q /worker/lib && /web/bin/python -m compileall -q /web/lib

FROM python:3.13-slim AS base
# There is no home: compiled phrases are kept in /tmp.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/tmp
RUN useradd --system --uid 10001 --no-create-home tonewatch
WORKDIR /tmp
USER 10001
ENTRYPOINT ["tonewatch"]

# Under the path it was made at: the commands of a virtual environment name it in their first line.
FROM base AS worker
ENV PATH=/worker/bin:$PATH
COPY --from=build /worker /worker

FROM base AS web
ENV PATH=/web/bin:$PATH
COPY --from=build /web /web
EXPOSE 8400
CMD ["web"]
