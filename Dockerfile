# docker build -t deep-protection .    then see compose.yaml
# The CPU build of PyTorch is what constraints.txt pins. For a GPU, build with --build-arg CONSTRAINTS= and a base image
# that has CUDA.
FROM python:3.12-slim-bookworm AS build

ARG CONSTRAINTS="--constraint constraints.txt"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src ./src
# What is installed is pinned by constraints.txt. CONSTRAINTS is several words, or none.
# hadolint ignore=DL3013,SC2086
RUN pip install ${CONSTRAINTS} '.[service]'

FROM python:3.12-slim-bookworm

RUN useradd --system --uid 10001 --create-home --home-dir /home/protect protect \
    && install --directory --owner=protect --group=protect --mode=0700 /data
COPY --from=build /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH" PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/protect
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# The token comes in DEEP_PROTECTION_TOKEN; without it the service does not start, for it listens to others.
ENTRYPOINT ["deep-protection", "serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]
