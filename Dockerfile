# The server and its champion. models/champion must be there: `make run` makes it, `dvc pull models/champion` brings it.
#
#     docker build --tag churn-drift .
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
