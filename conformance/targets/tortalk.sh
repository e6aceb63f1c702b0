#!/bin/sh
# Starts this repository's node as a target (spec/annex-targets.md, section 4):
# tortalk.sh PORT DIR CARDS [SETTINGS]. TORTALK names the program; `tortalk` by default.
set -eu
port=$1 profile=$2/profile cards=$3 settings=${4:-}
tortalk=${TORTALK:-tortalk}
if [ ! -d "$profile" ]; then
    "$tortalk" --profile "$profile" init --name Target >/dev/null
    for card in "$cards"/*.card; do
        "$tortalk" --profile "$profile" contacts import "$card" >/dev/null
    done
    "$tortalk" --profile "$profile" contacts block dan >/dev/null
fi
python3 "$(dirname "$0")/settings.py" node "$port" $settings >"$profile/settings.toml"
# A file that may not grow is an error like a full disk, and not the end of the process.
trap '' XFSZ
exec "$tortalk" --profile "$profile" run
