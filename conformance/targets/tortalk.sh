#!/bin/sh
# Starts this repository's node as a target (spec/annex-targets.md, section 4):
# tortalk.sh PORT DIR CARDS. TORTALK names the program; `tortalk` by default.
set -eu
port=$1 profile=$2/profile cards=$3
tortalk=${TORTALK:-tortalk}
if [ ! -d "$profile" ]; then
    "$tortalk" --profile "$profile" init --name Target >/dev/null
    cat >"$profile/settings.toml" <<EOF
[network]
tcp_port = $port
interfaces = ["lo"]
mdns = false
[user]
username = "Target"
[messages]
request_receipts = true
EOF
    for card in "$cards"/*.card; do
        "$tortalk" --profile "$profile" contacts import "$card" >/dev/null
    done
    "$tortalk" --profile "$profile" contacts block dan >/dev/null
fi
exec "$tortalk" --profile "$profile" run
