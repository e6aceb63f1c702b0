#!/bin/sh
# Starts this repository's relay as a target (spec/annex-targets.md, section 4):
# tortalk-relay.sh PORT DIR [SETTINGS]. RELAY names the program; `tortalk-relay` by default.
set -eu
port=$1 data=$2/relay settings=${3:-}
relay=${RELAY:-tortalk-relay}
[ -d "$data" ] || "$relay" init --data "$data" >/dev/null
# Only an operator knows that a backup was put back (spec/relay.md, RLY-69).
if [ -n "$settings" ] && grep -q '"restored": *true' "$settings"; then
    "$relay" restored --data "$data" >/dev/null
fi
# The options have no spaces in them.
options=$(python3 "$(dirname "$0")/settings.py" relay "$port" $settings)
exec "$relay" run --data "$data" --listen "127.0.0.1:$port" $options
