# Sourced by the conformance scripts: where things are, checks that are counted, servers that end with the script.
# Every process started here is ended here, by its id; everything listens on loopback; data lives in one folder that goes.

set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$(basename "$0")
work=$(mktemp -d "${TMPDIR:-/tmp}/ottla-$script.XXXXXX")
OTTLA_BIN=${OTTLA_BIN:-$root/target/release/ottla}
tools=$(dirname "$OTTLA_BIN")
# Known to the scripts, not to the servers, which would take them for settings.
export -n OTTLA_BIN OTTLA_KEEP OTTLA_JAEGER_BIN
unset "${!OTEL_@}"

passed=0 failed=0
pids=()

leave() {
    local code=$? pid
    for pid in "${pids[@]}"; do kill "$pid" 2>>"$work/ends" || true; done
    for pid in "${pids[@]}"; do
        for _ in $(seq 200); do kill -0 "$pid" 2>>"$work/ends" || break; sleep 0.05; done
        kill -9 "$pid" 2>>"$work/ends" || true
    done
    if [ "$code" != 0 ] && [ -n "${OTTLA_KEEP:-}" ]; then
        echo "kept: $work" >&2
    else
        rm -rf "$work"
    fi
    exit "$code"
}
trap leave EXIT

# note TEXT: something to know that is no check.
note() { printf '     %s\n' "$*"; }

# check "what must hold" COMMAND...: runs it with its output aside; the end of that output is shown when it fails.
check() {
    local what=$1 start=$EPOCHREALTIME log=$work/check.log took code
    shift
    # Not as the condition of an if: there, bash would let the command go on after a failure.
    set +e
    ( set -e; "$@" ) >"$log" 2>&1
    code=$?
    set -e
    if [ "$code" = 0 ]; then
        took=$(seconds_since "$start")
        printf 'ok   %-88s %7s s\n' "$what" "$took"
        passed=$((passed + 1))
        grep '^note: ' "$log" | sed 's/^note: /     /' || true
    else
        printf 'FAIL %s\n' "$what"
        tail -n 25 "$log" | sed 's/^/     | /'
        failed=$((failed + 1))
    fi
}

# refuse COMMAND...: succeeds when the command fails.
refuse() {
    if "$@"; then
        echo "should have failed: $*"
        return 1
    fi
}

# finish: the last line, and the exit code.
finish() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

# fail "cause": the script cannot go on.
fail() {
    printf 'FAIL %s\n' "$*"
    failed=$((failed + 1))
    finish || exit 1
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# wait_for SECONDS COMMAND...: runs it until it succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >"$work/wait.log" 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "not in time: $*" >&2
            cat "$work/wait.log" >&2
            return 1
        fi
        sleep 0.2
    done
}

# need COMMAND PACKAGE: installs a Debian package that is missing.
need() {
    command -v "$1" >"$work/which" && return
    echo "installing $2" >&2
    if ! apt-get install -y -qq --no-install-recommends "$2" >"$work/apt.log" 2>&1; then
        apt-get update -qq >>"$work/apt.log" 2>&1 || true
        apt-get install -y -qq --no-install-recommends "$2" >>"$work/apt.log" 2>&1 ||
            { tail -5 "$work/apt.log" >&2; fail "$2 cannot be installed; install it by hand"; }
    fi
}

# need_ottla: builds what the scripts run, unless OTTLA_BIN named it.
need_ottla() {
    [ "$OTTLA_BIN" != "$root/target/release/ottla" ] && return
    echo "building ottla" >&2
    (cd "$root" && cargo build --release --locked --quiet -p ottla -p ottla-integration --bins) ||
        fail "ottla does not build"
}

# need_kafka_tools: fetches Apache Kafka's jars before anything is measured.
need_kafka_tools() {
    need java openjdk-17-jre-headless
    need mvn maven
    "$root/integration/kafka/kafka" topics --version >"$work/kafka-version" 2>&1 ||
        { tail -5 "$work/kafka-version"; fail "Apache Kafka's tools cannot be fetched by Maven"; }
}

kafka() { "$root/integration/kafka/kafka" "$@"; }
ottla() { "$OTTLA_BIN" "$@"; }

# free_port: sets `port` to one that nobody listens on, below the range of outgoing connections.
next_port=$((11000 + ($$ * 37) % 18000))
free_port() {
    while :; do
        next_port=$((next_port + 1))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$next_port") 2>>"$work/ports"; then
            port=$next_port
            return
        fi
    done
}

# free_ports N: sets `port` to the first of N neighbours.
free_ports() {
    local first=0 last=-1
    while [ $((last - first)) != $(($1 - 1)) ]; do
        free_port
        [ "$port" = $((last + 1)) ] || first=$port
        last=$port
    done
    port=$first
}

# launch NAME COMMAND...: starts it in the background with its output in NAME.log; sets `pid`.
launch() {
    local name=$1
    shift
    setsid "$@" >>"$work/$name.log" 2>&1 </dev/null &
    pid=$!
    pids+=("$pid")
    # Its end, which may be a kill -9, is no news.
    disown "$pid"
}

ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$1/health/ready")" = 200 ]; }
answers_kafka() { kcat -L -m 5 -b "$1"; }

# start_ottla NAME HTTP: starts the server of NAME.properties and waits until it is ready; sets `pid`.
start_ottla() {
    launch "$1" "$OTTLA_BIN" server "$work/$1.properties"
    wait_for "${START_PATIENCE:-90}" ready "$2" || { tail -20 "$work/$1.log"; fail "$1 did not start"; }
}

combined_properties() {
    cat <<X
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$work/data-1,$work/data-2
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
X
}

# prepare_one kafka|ottla: the files of one process with all roles; sets bootstrap, admin, http.
prepare_one() {
    free_port; kafka_port=$port
    free_port; controller=$port
    free_port; http=127.0.0.1:$port
    free_port; admin=127.0.0.1:$port
    free_port; storage=127.0.0.1:$port
    bootstrap=127.0.0.1:$kafka_port
    combined_properties >"$work/one.properties"
    if [ "$1" = kafka ]; then
        kafka storage format -t MkU3OEVBNTcwNTJENDM2Qk -c "$work/one.properties" >"$work/format.log" 2>&1 ||
            { cat "$work/format.log"; fail "the directories of Apache Kafka cannot be formatted"; }
    else
        printf '%s\n' "ottla.http.listener=$http" "ottla.admin.listener=$admin" "ottla.storage.listener=$storage" \
            "ottla.min.free.disk.bytes=0" >>"$work/one.properties"
    fi
}

# start_one kafka|ottla: starts it (again); sets `pid`.
start_one() {
    if [ "$1" = kafka ]; then
        launch one "$root/integration/kafka/kafka" server "$work/one.properties"
        wait_for 120 answers_kafka "$bootstrap" || { tail -20 "$work/one.log"; fail "Apache Kafka did not start"; }
    else
        start_ottla one "$http"
    fi
}

# cluster_node NAME HTTP_PORT: the beginning of a node's properties.
cluster_node() {
    printf '%s\n' "node.id=${1#*-}" "controller.quorum.voters=$voters" "ottla.http.listener=127.0.0.1:$2" \
        "ottla.min.free.disk.bytes=0" offsets.topic.replication.factor=1
}

# start_cluster CONTROLLERS STORAGE GATEWAYS: Ottla with its roles apart; sets bootstraps, admins, storage_ids, node_pids.
start_cluster() {
    local id names=() https=() ports=()
    voters='' bootstraps=() admins=() storage_ids=()
    declare -gA node_pids=()
    for id in $(seq 101 $((100 + $1))); do
        free_port; ports+=("$port")
        voters=${voters:+$voters,}$id@127.0.0.1:$port
    done
    for id in $(seq 101 $((100 + $1))); do
        free_port; https+=("$port"); names+=("controller-$id")
        cluster_node "controller-$id" "$port" >"$work/controller-$id.properties"
        free_port; admins+=("127.0.0.1:$port")
        printf '%s\n' process.roles=controller controller.listener.names=CONTROLLER "ottla.admin.listener=127.0.0.1:$port" \
            "listeners=CONTROLLER://127.0.0.1:${ports[$((id - 101))]}" "metadata.log.dir=$work/controller-$id" \
            >>"$work/controller-$id.properties"
    done
    for id in $(seq 1 "$2"); do
        free_port; https+=("$port"); names+=("storage-$id"); storage_ids+=("$id")
        cluster_node "storage-$id" "$port" >"$work/storage-$id.properties"
        free_port
        printf '%s\n' process.roles=storage "ottla.storage.listener=127.0.0.1:$port" \
            "log.dirs=$work/storage-$id/data-1,$work/storage-$id/data-2" >>"$work/storage-$id.properties"
    done
    for id in $(seq 201 $((200 + $3))); do
        free_port; https+=("$port"); names+=("gateway-$id")
        cluster_node "gateway-$id" "$port" >"$work/gateway-$id.properties"
        free_port; bootstraps+=("127.0.0.1:$port")
        printf '%s\n' process.roles=gateway "listeners=PLAINTEXT://127.0.0.1:$port" >>"$work/gateway-$id.properties"
        free_ports $(($2 + 1))
        printf '%s\n' "ottla.gateway.node.port.first=$port" >>"$work/gateway-$id.properties"
    done
    for id in "${names[@]}"; do
        launch "$id" "$OTTLA_BIN" server "$work/$id.properties"
        node_pids[$id]=$pid
    done
    for id in "${!names[@]}"; do
        wait_for 120 ready "127.0.0.1:${https[$id]}" ||
            { tail -20 "$work/${names[$id]}.log"; fail "${names[$id]} is not ready"; }
    done
}

# start_kafka_cluster N: N combined nodes of Apache Kafka; sets bootstraps, storage_ids.
start_kafka_cluster() {
    local id ports=() directories=()
    voters='' bootstraps=() storage_ids=()
    for id in $(seq 1 "$1"); do
        free_port; ports+=("$port")
        voters=${voters:+$voters,}$id@127.0.0.1:$port
    done
    for id in $(seq 1 "$1"); do
        free_port; bootstraps+=("127.0.0.1:$port"); storage_ids+=("$id")
        kafka_port=$port controller=${ports[$((id - 1))]}
        directories=("$work/storage-$id/data-1" "$work/storage-$id/data-2")
        combined_properties | sed -e "s|^node.id=.*|node.id=$id|" -e "s|^controller.quorum.voters=.*|controller.quorum.voters=$voters|" \
            -e "s|^log.dirs=.*|log.dirs=${directories[0]},${directories[1]}|" >"$work/broker-$id.properties"
        kafka storage format -t MkU3OEVBNTcwNTJENDM2Qk -c "$work/broker-$id.properties" >"$work/format.log" 2>&1
        KAFKA_HEAP=512m launch "broker-$id" "$root/integration/kafka/kafka" server "$work/broker-$id.properties"
    done
    for id in "${bootstraps[@]}"; do
        wait_for 180 answers_kafka "$id" || fail "Apache Kafka did not start"
    done
}
