# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
# The cache mounts keep rebuilt images fast; the binary leaves them by the copy at the end.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package lightkeeper \
    && install -D -m 0755 target/release/lightkeeper /out/lightkeeper

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 lightkeeper \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin lightkeeper \
    && install -d -o lightkeeper -g lightkeeper -m 0750 /data
COPY --from=builder /out/lightkeeper /usr/local/bin/lightkeeper
COPY LICENSE /usr/share/doc/lightkeeper/LICENSE

USER lightkeeper
WORKDIR /data
VOLUME /data
ENV LIGHTKEEPER_DATA_DIR=/data \
    LIGHTKEEPER_KEY_FILE=/data/secrets.key \
    LIGHTKEEPER_WEB_LISTEN=0.0.0.0:8080 \
    LIGHTKEEPER_ACS_LISTEN=0.0.0.0:7547
# 8080 pages and API, 7547 CWMP for the CPEs.
EXPOSE 8080 7547

HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["lightkeeper", "check", "--http"]
ENTRYPOINT ["lightkeeper"]
CMD ["serve"]
