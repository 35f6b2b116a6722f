# The action's image: one static binary, the buildx it runs with the C library that buildx needs, and certificates.
# No shell, no package manager.
#
# The base is pinned by exact version, not by digest: forks and machines behind a mirror build it under the same name
# (scripts/setup-images makes one from Debian packages). The release workflow resolves the tag to a digest and passes
# it as RUST_IMAGE, and the provenance of a released image records it.
ARG RUST_IMAGE=rust:1.95.0-slim-trixie

FROM ${RUST_IMAGE} AS build
# `quick` builds in a tenth of the time: for an image that is tested and thrown away.
ARG PROFILE=release
WORKDIR /src
COPY . .
# Behind a proxy that inspects TLS: --secret id=ca,src=<bundle of certificates>.
# The target is named so that build scripts and macros, which run here, are not linked like the product. The sources are
# touched because cargo goes by time stamps, and the kept target folder may be newer than a file of another checkout.
RUN --mount=type=secret,id=ca \
    --mount=type=cache,id=roadstead-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=roadstead-target-trixie,target=/src/target,sharing=locked \
    set -e; \
    find . -path ./target -prune -o -type f -exec touch {} +; \
    if [ -s /run/secrets/ca ]; then export CARGO_HTTP_CAINFO=/run/secrets/ca; fi; \
    target=$(rustc -vV | sed -n 's/^host: //p'); \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile "$PROFILE" --bin roadstead --target "$target"; \
    install -D "target/$target/$PROFILE/roadstead" /out/roadstead

FROM ${RUST_IMAGE} AS rootfs
ARG SOURCE_DATE_EPOCH=0
RUN set -e; \
    apt-get update; \
    cd /tmp; apt-get download docker-buildx=0.13.1+*; \
    mkdir /buildx; dpkg-deb --extract docker-buildx_*.deb /buildx; \
    mkdir -p /out/etc/ssl/certs /out/usr/bin /out/usr/share/doc/docker-buildx /out/usr/share/doc/libc6; \
    cp /buildx/usr/libexec/docker/cli-plugins/docker-buildx /out/usr/bin/; \
    cp /buildx/usr/share/doc/docker-buildx/copyright /out/usr/share/doc/docker-buildx/; \
    for library in $(ldd /out/usr/bin/docker-buildx | grep -o '/[^ ]*'); do \
      install -D "$library" "/out$library"; \
    done; \
    cp /usr/share/doc/libc6/copyright /out/usr/share/doc/libc6/; \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/; \
    echo 'root:x:0:0:root:/github/home:/sbin/nologin' >/out/etc/passwd; \
    echo 'root:x:0:' >/out/etc/group; \
    echo 'hosts: files dns' >/out/etc/nsswitch.conf; \
    mkdir -m 1777 /out/tmp; \
    ln -s roadstead /out/roadstead-post
COPY --from=build /out/roadstead /out/roadstead
COPY LICENSE* /out/usr/share/doc/roadstead/
RUN find /out -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Roadstead" \
      org.opencontainers.image.description="Builds, deploys and verifies a commit, and rolls it back if it fails." \
      org.opencontainers.image.source="https://github.com/roadstead/roadstead" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=rootfs /out/ /
ENV PATH=/usr/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/roadstead"]
