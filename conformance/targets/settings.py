"""Turns the {settings} of spec/annex-targets.md, section 4, into what our programs read.

settings.py node PORT [FILE] prints a settings.toml; settings.py relay PORT [FILE] options.
Without a file everything is as the annex has it for the profile wire.
"""

import json
import sys

MIB = 1024 * 1024


def node(port, settings):
    def value(name, otherwise):
        return json.dumps(settings.pop(name, otherwise))

    lines = [
        "[network]",
        f"tcp_port = {port}",
        f"interfaces = {value('interfaces', ['lo'])}",
        f"beacons = {value('beacons', True)}",
        f"mdns = {value('mdns', False)}",
        f"visibility = {value('visibility', 'everyone')}",
        "[user]",
        'username = "Target"',
        "[messages]",
        f"read_receipts = {value('read_receipts', False)}",
        f"request_receipts = {value('request_receipts', True)}",
    ]
    for relay in settings.pop("relays", []):
        lines.append("[[relays]]")
        lines += [f"{name} = {json.dumps(relay[name])}" for name in ("url", "key")]
    return lines


def relay(_port, settings):
    names = {"mailboxes": "mailboxes", "connections": "connections",
             "connections_per_source": "connections-per-source"}
    settings.pop("restored", None)  # tortalk-relay.sh sees to it
    options = [f"--{names[name]}={settings.pop(name)}" for name in sorted(names.keys() & settings)]
    for name, option in (("mailbox_bytes", "mailbox-mib"), ("total_bytes", "total-mib")):
        if name in settings:
            options.append(f"--{option}={-(-settings.pop(name) // MIB)}")
    return options


def main():
    kind, port, *files = sys.argv[1:]
    settings = {}
    for file in files:
        with open(file, encoding="utf-8") as opened:
            settings = json.load(opened)
    lines = {"node": node, "relay": relay}[kind](port, settings)
    if settings:
        sys.exit(f"settings.py: no such setting of a {kind}: {', '.join(sorted(settings))}")
    print("\n".join(lines))


main()
