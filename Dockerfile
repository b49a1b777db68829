ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL
ARG EXTRAS="ingest features predict risk execute simulator cli embedded"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
COPY pyproject.toml requirements.lock deploy/docker/requirements.py ./
RUN python -m venv --without-pip /venv \
 && python requirements.py ${EXTRAS} > wanted.txt \
 && python -m pip --python /venv/bin/python install -q -c requirements.lock -r wanted.txt \
 && rm requirements.py wanted.txt
COPY cli.py config.example.yaml LICENSE ./
COPY libs libs
COPY services services
COPY console console
RUN /venv/bin/python -m compileall -q .
ENV NUMBA_CACHE_DIR=/app/kernels NUMBA_CPU_NAME=generic
RUN /venv/bin/python -m libs.core.warm

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="conclave" \
      org.opencontainers.image.description="The command line, and the whole house in one container for a trial" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin conclave \
 && install -d -o conclave /var/lib/conclave
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CONCLAVE_VAR=/var/lib/conclave NUMBA_CACHE_DIR=/tmp/kernels NUMBA_CPU_NAME=generic
WORKDIR /app
USER 10001
# numba wants to write beside what it reads, and the root file system may be read-only: the kernels move to /tmp.
ENTRYPOINT ["sh", "-c", "cp -R /app/kernels /tmp/ && exec python cli.py \"$@\"", "conclave"]
CMD ["--help"]
