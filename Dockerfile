# syntax=docker/dockerfile:1

# To build the same image again later, name the digest too: --build-arg PYTHON=python:3.13-slim@sha256:…
# (`docker buildx imagetools inspect python:3.13-slim` shows it).
ARG PYTHON=python:3.13-slim
# With the semantic cache: --build-arg WITH=semantic (280 MB more).
ARG WITH=

FROM $PYTHON AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/llmgw
COPY requirements.txt requirements-semantic.txt ./
RUN /opt/llmgw/bin/pip install --no-compile --only-binary :all: --require-hashes -r requirements.txt
ARG WITH
RUN test -z "$WITH" || /opt/llmgw/bin/pip install --no-compile --only-binary :all: --no-deps --require-hashes -r "requirements-$WITH.txt"
COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY gateway gateway
# Compiled once and never looked at again: the files cannot change under a read-only root.
RUN /opt/llmgw/bin/pip install --no-compile --no-deps --no-build-isolation . \
    && /opt/llmgw/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/llmgw/lib

FROM $PYTHON
# In variables and not in CMD, so that `docker run IMAGE serve --workers 4` and `docker exec … llmgw keys list` see them as well.
ENV PATH=/opt/llmgw/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    LLMGW_HOST=0.0.0.0 LLMGW_ADMIN_HOST=0.0.0.0 LLMGW_DATA=/data LLMGW_POLICIES=/etc/llmgw/policies
# tini is process 1: it lets a SIGTERM that comes during the start take effect, and buries orphans.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin llmgw \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/llmgw /opt/llmgw
COPY policies /etc/llmgw/policies
USER 10001:10001
# All that is ever written; the root may be read-only.
VOLUME /data
# 8080 is for applications; 8081 is for admins, and is not to be published to anybody else.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('LLMGW_PORT', '8080') + '/healthz', timeout=2)"]
ENTRYPOINT ["tini", "--", "llmgw"]
CMD ["serve"]
