# The worker. Every dependency is pinned with its hash; the code and its dependencies belong to root, the process
# does not, so that nothing that runs can change them.
#
# No HEALTHCHECK: the worker listens on no port, and a process that ended is seen without one. Whether a worker
# polls is what Temporal says: `temporal task-queue describe --task-queue durable-transfers`.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    DURABLE_TRANSFERS_DATA=/var/lib/durable-transfers

RUN groupadd --system --gid 10001 worker \
    && useradd --system --uid 10001 --gid worker --no-create-home --shell /usr/sbin/nologin worker \
    && install --directory --owner=worker --group=worker "$DURABLE_TRANSFERS_DATA"

WORKDIR /app

# Before the code: this layer is built again only when the lock changes.
COPY requirements-worker.lock ./
RUN pip install --require-hashes --only-binary=:all: --requirement requirements-worker.lock

COPY pyproject.toml worker.py starter.py callbacks.py ./
COPY activities ./activities
COPY cli ./cli
COPY engine ./engine
COPY ledger ./ledger
COPY rails ./rails
COPY workflows ./workflows
RUN python -m compileall -q .

USER worker

# The exec form: SIGTERM reaches Python, which drains before it exits.
ENTRYPOINT ["python", "worker.py"]
