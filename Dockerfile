# The server and its champion. models/champion must be there: `make run` makes it, `dvc pull models/champion` brings it.
#
#     docker build --tag churn-drift .
#     docker build --target train --tag churn-drift-train .    the whole pipeline, for SageMaker's training jobs
FROM python:3.11.15-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY deploy/requirements.txt deploy/
RUN pip --python /opt/venv/bin/python install --no-deps --only-binary :all: --requirement deploy/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip --python /opt/venv/bin/python install --no-deps .
COPY models/champion models/champion
# Its manifest and its golden records, proved where the image is built: an altered model makes no image.
RUN /opt/venv/bin/python -c "from churn_drift.serving.seat import champion; print(champion().version)"

FROM python:3.11.15-slim-bookworm AS train
# The sources of a run come from git, the packages from the lock: an image is good for as long as the lock is.
ENV PATH=/opt/train/bin:/opt/venv/bin:$PATH \
    MLFLOW_DISABLE_TELEMETRY=true \
    OMP_WAIT_POLICY=PASSIVE \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1
# Debian keeps one version of git in a release: it cannot be pinned.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt pyproject.toml README.md LICENSE ./
# What the pipeline itself needs, in the lock's versions; the lock holds the tests' packages, too.
RUN sed -e '/^-e/d' -e 's/\[[^]]*\]//' requirements.txt > locked.txt \
    && python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > asked.txt \
    && pip --python /opt/venv/bin/python install --only-binary :all: --constraint locked.txt --requirement asked.txt
COPY src src
RUN pip --python /opt/venv/bin/python install --no-deps .
COPY deploy/train /opt/train/bin/
WORKDIR /tmp
# SageMaker starts it as `docker run IMAGE train`.
CMD ["train"]

FROM python:3.11.15-slim-bookworm
# What the server writes lies in the volume: the keys' hashes and the inference log.
ENV PATH=/srv/churn-drift/bin:/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8080 \
    SERVE_HOST=0.0.0.0 \
    SERVE_KEYS=/var/lib/churn-drift/serve-keys.json \
    SERVE_LOG=/var/lib/churn-drift/inference
RUN groupadd --gid 10001 churn-drift \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/churn-drift churn-drift \
    && install --directory --owner churn-drift --group churn-drift --mode 0700 /var/lib/churn-drift
WORKDIR /srv/churn-drift
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /build/models/champion models/champion
COPY deploy/serve bin/
COPY serve-model.py ./
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /var/lib/churn-drift
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
# No ENTRYPOINT: SageMaker starts its containers as `docker run IMAGE serve`.
CMD ["serve"]
