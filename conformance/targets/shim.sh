#!/bin/sh
# Starts this repository's node or relay with the control channel of profile shim as a target
# (spec/annex-targets.md, sections 4 and 5):
#   shim.sh node PORT DIR CARDS SETTINGS CONTROL
#   shim.sh relay PORT DIR SETTINGS CONTROL
# SHIM names the program, RELAY the one that makes a relay's folder.
set -eu
role=$1 port=$2 folder=$3
shim=${SHIM:-tortalk-shim}
settings_of=$(dirname "$0")/settings.py
case $role in
node)
    cards=$4 settings=$5 control=$6
    mkdir -p "$folder/profile"
    python3 "$settings_of" node "$port" "$settings" >"$folder/profile/settings.toml"
    # A file that may not grow is an error like a full disk, and not the end of the process.
    trap '' XFSZ
    exec "$shim" node --profile "$folder/profile" --cards "$cards" --control "$control"
    ;;
relay)
    settings=$4 control=$5 data=$folder/relay
    relay=${RELAY:-tortalk-relay}
    [ -d "$data" ] || "$relay" init --data "$data" >/dev/null
    # Only an operator knows that a backup was put back (spec/relay.md, RLY-69).
    if grep -q '"restored": *true' "$settings"; then
        "$relay" restored --data "$data" >/dev/null
    fi
    # The options have no spaces in them.
    options=$(python3 "$settings_of" relay "$port" "$settings")
    exec "$shim" relay --control "$control" --data "$data" --listen "127.0.0.1:$port" $options
    ;;
*)
    echo "shim.sh: $role is neither node nor relay" >&2
    exit 2
    ;;
esac
