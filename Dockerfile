# syntax=docker/dockerfile:1
# An image of `cometreel serve` with the light installation: docs/ci.md shows how to build and run it.
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels cometreel
RUN useradd --system --no-create-home --uid 10001 cometreel
USER 10001
WORKDIR /scenarios
EXPOSE 8080
# Any answer is healthy. This request creates no session and is not in the journal.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('HEAD', '/robots.txt'); c.getresponse()"]
ENTRYPOINT ["cometreel", "serve", "--host", "0.0.0.0", "--port", "8080"]
CMD ["."]
