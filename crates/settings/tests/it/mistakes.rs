//! Every mistake and the exact line about it.

use tortalk_settings::Settings;

/// The file and the line that is printed for it.
const TABLE: &[(&str, &str)] = &[
    // Names.
    (
        "[user]\n\n[network]\ntcp_prot = 1",
        "settings.toml line 4: unknown key `tcp_prot` in [network]; did you mean `tcp_port`?",
    ),
    (
        "[server]\nsafety-mode = true",
        "settings.toml line 2: unknown key `safety-mode` in [server]; did you mean `safety_mode`?",
    ),
    (
        "[server]\nSafety_Mode = true",
        "settings.toml line 2: unknown key `Safety_Mode` in [server]; did you mean `safety_mode`?",
    ),
    (
        "[network]\nsafety_mode = true",
        "settings.toml line 2: unknown key `safety_mode` in [network]; it belongs in [server]",
    ),
    (
        "[network]\nsaftey_mode = true",
        "settings.toml line 2: unknown key `saftey_mode` in [network]; \
         did you mean `safety_mode` in [server]?",
    ),
    ("[network]\ncolour = 1", "settings.toml line 2: unknown key `colour` in [network]"),
    (
        "[network.tcp_port]\nx = 1",
        "settings.toml line 1: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not a section",
    ),
    (
        "[network]\n\"a\\nb\\u202e\" = 1",
        "settings.toml line 2: unknown key `a\\nb\\u{202e}` in [network]",
    ),
    (
        "[netwrok]\ntcp_port = 5000",
        "settings.toml line 1: unknown section [netwrok]; did you mean [network]?",
    ),
    (
        "[[relays]]\nurll = \"https://a\"",
        "settings.toml line 2: unknown key `urll` in [[relays]]; did you mean `url`?",
    ),
    (
        "[server]\ninsecure = true",
        "settings.toml line 2: unknown key `insecure` in [server]; it belongs in [[relays]]",
    ),
    ("[[relay]]", "settings.toml line 1: unknown section [relay]; did you mean [[relays]]?"),
    (
        "\n[relays]\nurl = \"https://a\"",
        "settings.toml line 2: relays are a list: write [[relays]] on a line of its own above each",
    ),
    (
        "relays = [1]",
        "settings.toml line 1: relays are a list: write [[relays]] on a line of its own above each",
    ),
    (
        "[[relays]]\nkey = 1",
        "settings.toml line 1: `url` is missing in [[relays]]; say where the relay is",
    ),
    (
        "[[relays]]\nurl = \"https://a/b\"",
        "settings.toml line 2: `url` in [[relays]] must be an address such as \
         \"https://relay.example:8443\", not \"https://a/b\"",
    ),
    (
        "[[relays]]\nurl = \"https://a\"\nkey = \"12\"",
        "settings.toml line 3: `key` in [[relays]] must be the 64 hexadecimal digits that the \
         relay shows as its key, not \"12\"",
    ),
    (
        "[[relays]]\nurl = \"https://a\"\n[[relays]]\nurl = \"http://b\"",
        "settings.toml line 3: `url` in [[relays]] is without TLS: write https://, or add \
         `insecure = true` if others may listen",
    ),
    (
        "[[relays]]\nurl = \"https://a\"\n[[relays]]\nurl = \"https://A:443/\"",
        "settings.toml line 3: this relay stands above already; leave one of them out",
    ),
    (
        "[[relays]]\nurl=\"https://a\"\n[[relays]]\nurl=\"https://b\"\n[[relays]]\n\
         url=\"https://c\"\n[[relays]]\nurl=\"https://d\"\n[[relays]]\nurl=\"https://e\"",
        "settings.toml line 9: more than 4 relays; leave some out",
    ),
    // The one of [server] is the first of them.
    (
        "[server]\nurl=\"https://s\"\n[[relays]]\nurl=\"https://a\"\n[[relays]]\n\
         url=\"https://b\"\n[[relays]]\nurl=\"https://c\"\n[[relays]]\nurl=\"https://d\"",
        "settings.toml line 9: more than 4 relays; leave some out",
    ),
    ("\n[proxy]", "settings.toml line 2: unknown section [proxy]"),
    ("[[peers]]", "settings.toml line 1: unknown section [peers]"),
    (
        "[[network]]\ntcp_port = 5000",
        "settings.toml line 1: `network` must be a section: write [network] on a line of its own",
    ),
    (
        "user = \"Alice\"",
        "settings.toml line 1: `user` must be a section: write [user] on a line of its own",
    ),
    (
        "username = \"Alice\"\n",
        "settings.toml line 1: `username` stands outside of a section; it belongs in [user]",
    ),
    ("colour = 1", "settings.toml line 1: `colour` stands outside of a section"),
    // The first of several.
    (
        "[user]\nusername = 7\n[messages]\nreceits = 1\n[identity]\npath = 1",
        "settings.toml line 2: `username` in [user] must be a name of at most 64 bytes without \
         control characters, not 7",
    ),
    // Not TOML.
    ("[network]\ntcp_port 5000", "settings.toml line 2: key with no value, expected `=`"),
    (
        "[user]\nusername = Alice",
        "settings.toml line 2: string values must be quoted, expected literal string",
    ),
    ("[user]\n[user]", "settings.toml line 2: duplicate key"),
    ("[network]\nmdns = true\nmdns = false", "settings.toml line 3: duplicate key"),
    // Values.
    (
        "[network]\ntcp_port = \"45454\"",
        "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not \"45454\"",
    ),
    (
        "[network]\ntcp_port = 80",
        "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not 80",
    ),
    (
        "[network]\ntcp_port = -1",
        "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not -1",
    ),
    (
        "[network]\ntcp_port = 65536",
        "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not 65536",
    ),
    (
        "[network]\ntcp_port = 4545.4",
        "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not 4545.4",
    ),
    (
        "[network]\ntcp_port = 99999999999999999999999999",
        "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to 65535, \
         not 99999999999999999999999999",
    ),
    (
        "[network]\ninterfaces = \"wlan0\"",
        "settings.toml line 2: `interfaces` in [network] must be a list of names such as \
         [\"wlan0\", \"lo\"], not \"wlan0\"",
    ),
    (
        "[network]\ninterfaces = []",
        "settings.toml line 2: `interfaces` in [network] must be a list of names such as \
         [\"wlan0\", \"lo\"], not an empty list",
    ),
    (
        "[network]\nbeacons = \"yes\"",
        "settings.toml line 2: `beacons` in [network] must be true or false, not \"yes\"",
    ),
    (
        "[network]\nmdns = 1",
        "settings.toml line 2: `mdns` in [network] must be true or false, not 1",
    ),
    (
        "[network]\nvisibility = \"contact\"",
        "settings.toml line 2: `visibility` in [network] must be \"everyone\", \"contacts\" or \
         \"nobody\", not \"contact\"; did you mean `contacts`?",
    ),
    (
        "[network]\nvisibility = false",
        "settings.toml line 2: `visibility` in [network] must be \"everyone\", \"contacts\" or \
         \"nobody\", not false",
    ),
    (
        "[network]\npeers = [\"192.168.1.7\", 7, [1]]",
        "settings.toml line 2: `peers` in [network] must be a list of host:port such as \
         [\"192.168.1.7:45454\"], not [192.168.1.7, 7, …]",
    ),
    (
        "[server]\nurl = \"relay.example\"",
        "settings.toml line 2: `url` in [server] must be an address such as \
         \"https://relay.example:8443\", not \"relay.example\"",
    ),
    (
        "[server]\nsafety_mode = \"true\"",
        "settings.toml line 2: `safety_mode` in [server] must be true or false, not \"true\"",
    ),
    (
        "[server]\nsafety_mode = 1979-05-27",
        "settings.toml line 2: `safety_mode` in [server] must be true or false, not a date",
    ),
    (
        "[server]\ntor_socks = \"socks5://127.0.0.1:9050\"",
        "settings.toml line 2: `tor_socks` in [server] must be an address such as \
         \"socks5h://127.0.0.1:9050\", not \"socks5://127.0.0.1:9050\"; \
         did you mean `socks5h://127.0.0.1:9050`?",
    ),
    (
        "[user]\nusername = \"a\\u202eb\"",
        "settings.toml line 2: `username` in [user] must be a name of at most 64 bytes without \
         control characters, not \"a\\u{202e}b\"",
    ),
    (
        "[identity]\npath = \"~/identity.bin\"",
        "settings.toml line 2: `path` in [identity] must be a path, absolute or from the profile \
         folder on (`~` is not expanded), not \"~/identity.bin\"",
    ),
    (
        "[storage]\npath = \"\"",
        "settings.toml line 2: `path` in [storage] must be a path, absolute or from the profile \
         folder on (`~` is not expanded), not \"\"",
    ),
];

#[test]
fn each_mistake_has_its_line() {
    for (text, line) in TABLE {
        let error = Settings::parse(text).expect_err(text);
        assert_eq!(error.to_string(), *line, "{text}");
    }
}

#[test]
fn long_words_are_cut() {
    let long = "x".repeat(50_000);
    for text in [
        format!("[network]\n{long} = 1"),
        format!("[{long}]"),
        format!("{long} = 1"),
        format!("[user]\nusername = \"{long}\""),
        format!("[network]\npeers = [\"{long}\", \"{long}\"]"),
    ] {
        let line = Settings::parse(&text).unwrap_err().to_string();
        assert!(line.chars().count() < 240 && line.contains('…'), "{line}");
    }
}
