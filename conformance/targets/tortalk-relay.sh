#!/bin/sh
# Starts this repository's relay as a target (spec/annex-targets.md, section 4):
# tortalk-relay.sh PORT DIR. RELAY names the program; `tortalk-relay` by default.
set -eu
port=$1 data=$2/relay
relay=${RELAY:-tortalk-relay}
[ -d "$data" ] || "$relay" init --data "$data" >/dev/null
exec "$relay" run --data "$data" --listen "127.0.0.1:$port"
