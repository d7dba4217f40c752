# One image for CPU and CUDA:
#
#   docker build -t retouch .                             CPU
#   docker build -t retouch:cuda --build-arg DEVICE=cu130 .
#
# DEVICE is the name of PyTorch's own index of wheels for a device. Those wheels bring CUDA's libraries; the driver
# comes from the host. All else is installed from locks, by hash.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG DEVICE=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/retouch
COPY deploy/image/build.lock deploy/image/torch.lock deploy/image/requirements.lock ./
# PyTorch first, and alone from its index: what it needs beside CUDA's libraries is put right by the lock after it.
RUN /opt/retouch/bin/pip install --index-url "https://download.pytorch.org/whl/${DEVICE}" -r torch.lock
RUN /opt/retouch/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock
RUN python -m pip install --require-hashes --only-binary :all: -r build.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels . \
    && /opt/retouch/bin/pip install --no-deps /build/wheels/retouch-*.whl \
    && /opt/retouch/bin/python -m compileall -q /opt/retouch/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="retouch" \
      org.opencontainers.image.description="Text-guided image inpainting over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 retouch \
    && useradd --uid 10001 --gid 10001 --home-dir /home/retouch --create-home --shell /usr/sbin/nologin retouch \
    && install --directory --owner 10001 --group 10001 --mode 700 /jobs \
    && install --directory --owner 10001 --group 10001 --mode 755 /models
COPY --from=build /opt/retouch /opt/retouch
# KubeRay starts Ray in a login shell, which has a PATH of its own.
RUN ln -s /opt/retouch/bin/retouch /opt/retouch/bin/ray /usr/local/bin/
# Only /jobs and /tmp are written to; the rest of the file system may be read-only.
ENV PATH=/opt/retouch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HOME=/models/hub \
    HF_HUB_OFFLINE=1 \
    RETOUCH_HOST=0.0.0.0 \
    RETOUCH_PORT=8000 \
    RETOUCH_JOBS_FOLDER=/jobs \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=retouch.serve.replicas.proxy:middlewares
WORKDIR /models
USER 10001:10001
VOLUME ["/jobs"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['RETOUCH_PORT'] + '/health/live', timeout=4)"]
ENTRYPOINT ["retouch"]
CMD ["serve"]
