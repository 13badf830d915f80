# Sourced after harness.sh by the scripts that want a real Jaeger.

# start_jaeger: builds it once for a machine, starts it; sets `otlp` (gRPC) and `query` (HTTP).
# Jaeger 2: the file that OTTLA_JAEGER_BIN names, else one that is built here from its Go module (some 2,300 packages: minutes).
start_jaeger() {
    local jaeger health query_grpc
    need go golang
    need jq jq
    # Jaeger 2.13.0 is version 1.76.0 of its module, which has a `replace` line: `go install` refuses it, its own folder builds.
    jaeger=${OTTLA_JAEGER_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/ottla/jaeger-2.13.0}
    if [ ! -x "$jaeger" ]; then
        echo "building Jaeger 2.13.0 into $jaeger: this takes minutes, once" >&2
        mkdir -p "$(dirname "$jaeger")"
        (
            source=$(cd / && go mod download -json github.com/jaegertracing/jaeger@v1.76.0 | jq -er .Dir)
            cp -r "$source" "$work/jaeger-source" && chmod -R u+w "$work/jaeger-source" && cd "$work/jaeger-source"
            CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -trimpath -ldflags='-s -w' -o "$work/jaeger-built" ./cmd/jaeger
        ) >"$work/jaeger-build.log" 2>&1 && mv "$work/jaeger-built" "$jaeger" ||
            { tail -5 "$work/jaeger-build.log"; fail "Jaeger cannot be built; set OTTLA_JAEGER_BIN to its file"; }
    fi
    free_port; otlp=127.0.0.1:$port
    free_port; query=127.0.0.1:$port
    free_port; query_grpc=127.0.0.1:$port
    free_port; health=127.0.0.1:$port
    cat >"$work/jaeger.yaml" <<Y
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines: {traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}}
extensions:
  healthcheckv2: {use_v2: true, http: {endpoint: "$health"}}
  jaeger_query: {storage: {traces: mem}, http: {endpoint: "$query"}, grpc: {endpoint: "$query_grpc"}}
  jaeger_storage: {backends: {mem: {memory: {max_traces: 10000}}}}
receivers: {otlp: {protocols: {grpc: {endpoint: "$otlp"}}}}
exporters: {jaeger_storage_exporter: {trace_storage: mem}}
Y
    OTEL_TRACES_SAMPLER=always_off launch jaeger "$jaeger" --config "$work/jaeger.yaml"
    wait_for 60 curl -sf "http://$health/status" || { tail -5 "$work/jaeger.log"; fail "Jaeger did not start"; }
}
