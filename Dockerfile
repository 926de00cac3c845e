# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/llmgw
COPY requirements.txt .
RUN /opt/llmgw/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY gateway gateway
COPY policies policies
RUN /opt/llmgw/bin/pip install --no-deps --no-build-isolation . \
    && /opt/llmgw/bin/python -m compileall -q /opt/llmgw/lib

FROM python:3.13-slim
# Runs with a read-only root: only /data is written.
ENV PATH=/opt/llmgw/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    LLMGW_HOST=0.0.0.0 LLMGW_ADMIN_HOST=0.0.0.0 LLMGW_DATA=/data LLMGW_POLICIES=/etc/llmgw/policies
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin llmgw \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/llmgw /opt/llmgw
COPY policies /etc/llmgw/policies
USER 10001:10001
VOLUME /data
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["llmgw"]
CMD ["serve"]
