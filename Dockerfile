# A static binary, the roots of trust and the time zones, and nothing else; everything roost keeps is below /data.
#
#   docker build -t roost .
#   docker run --rm -v roost:/data -v ./config.toml:/etc/roost/config.toml:ro roost backup work
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o /roost ./cmd/roost && mkdir /data && chown 65532:65532 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/local/go/lib/time/zoneinfo.zip
COPY --from=build /roost /roost
COPY --from=build --chown=65532:65532 /data /data
ENV HOME=/data XDG_DATA_HOME=/data XDG_STATE_HOME=/data/state XDG_CACHE_HOME=/data/cache ZONEINFO=/usr/local/go/lib/time/zoneinfo.zip
USER 65532:65532
VOLUME /data
ENTRYPOINT ["/roost"]
