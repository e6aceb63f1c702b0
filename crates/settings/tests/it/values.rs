//! What the file may say.

use std::path::Path;

use tortalk_settings::{HostPort, Relay, Settings, SettingsError, TEMPLATE, Visibility};

#[test]
fn an_empty_file_and_the_template_mean_the_defaults() {
    for text in ["", "\n# nothing\n", "[network]\n[user]\n", TEMPLATE] {
        assert_eq!(Settings::parse(text), Ok(Settings::default()), "{text}");
    }
    let defaults = Settings::default();
    assert_eq!(defaults.identity.path, Path::new("identity.bin"));
    assert_eq!(defaults.storage.path, Path::new("store.sqlite"));
    assert_eq!(defaults.network.tcp_port, None);
    assert_eq!(defaults.network.visibility, Visibility::Everyone);
    assert!(defaults.network.beacons && defaults.network.mdns);
    assert!(!defaults.server.safety_mode);
    assert!(!defaults.messages.read_receipts && !defaults.messages.request_receipts);
}

#[test]
fn every_line_of_the_template_can_be_switched_on() {
    let on: String = TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest == "[[relays]]" => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = Settings::parse(&on).unwrap();
    assert_eq!(settings.network.tcp_port, Some(45_454));
    assert_eq!(settings.network.interfaces, Some(vec!["wlan0".into(), "lo".into()]));
    assert_eq!(settings.user.username.as_deref(), Some("Alice"));
    // What is no example is the default.
    let mut settings = settings;
    settings.network.tcp_port = None;
    settings.network.interfaces = None;
    settings.network.peers.clear();
    settings.server.url = None;
    settings.server.tor_socks = None;
    settings.user.username = None;
    assert_eq!(settings.relays.len(), 1);
    settings.relays.clear();
    assert_eq!(settings, Settings::default());
    assert_eq!(on.lines().filter(|line| line.contains(" = ")).count(), 17);
}

#[test]
fn all_that_can_be_said() {
    let text = r#"
[identity]
path = "/keys/identity.bin"
[storage]
path = "data/store.sqlite"
[network]
tcp_port = 5_000
interfaces = ["wlan0", "lo"]
beacons = false
mdns = false
visibility = "contacts"
peers = [
    "192.168.1.7:45454",
    "[fe80::1]:45454",
]
[server]
url = "https://Relay.Example:8443/"
safety_mode = true
tor_socks = "socks5h://127.0.0.1:9150"
[user]
username = "Алиса 🦊"
[messages]
read_receipts = true
request_receipts = true
"#;
    let settings = Settings::parse(text).unwrap().in_folder(Path::new("/p"));
    assert_eq!(settings.identity.path, Path::new("/keys/identity.bin"));
    assert_eq!(settings.storage.path, Path::new("/p/data/store.sqlite"));
    assert_eq!(settings.network.tcp_port, Some(5000));
    assert_eq!(settings.network.interfaces, Some(vec!["wlan0".into(), "lo".into()]));
    assert!(!settings.network.beacons && !settings.network.mdns);
    assert_eq!(settings.network.visibility, Visibility::Contacts);
    assert_eq!(settings.network.peers[1], HostPort { host: "fe80::1".into(), port: 45_454 });
    assert_eq!(settings.server.url.as_deref(), Some("https://relay.example:8443"));
    assert!(settings.server.safety_mode);
    assert_eq!(settings.server.tor_socks.unwrap().to_string(), "127.0.0.1:9150");
    assert_eq!(settings.user.username.as_deref(), Some("Алиса 🦊"));
    assert!(settings.messages.read_receipts && settings.messages.request_receipts);
}

#[test]
fn other_ways_to_write_the_same() {
    let plain = Settings::parse("[network]\ntcp_port = 5000\n").unwrap();
    for text in [
        "network.tcp_port = 5000",
        "network = { tcp_port = 5000 }",
        "[network]\r\n\"tcp_port\" = 0x1388 # hexadecimal\r\n",
    ] {
        assert_eq!(Settings::parse(text).as_ref(), Ok(&plain), "{text}");
    }
}

#[test]
fn a_file_is_read_from_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, TEMPLATE).unwrap();
    let settings = Settings::load(&file).unwrap();
    assert_eq!(settings.identity.path, dir.path().join("identity.bin"));
    assert_eq!(settings.storage.path, dir.path().join("store.sqlite"));
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    let missing = Settings::load(&file).unwrap_err();
    assert_eq!(missing, SettingsError::Missing { path: file.clone() });
    assert_eq!(
        missing.to_string(),
        format!("{}: no such file; an empty one stands for all defaults", file.display())
    );

    std::fs::write(&file, b"[user]\nusername = \"\xff\"\n").unwrap();
    assert_eq!(
        Settings::load(&file).unwrap_err().to_string(),
        "settings.toml line 2: not UTF-8 text; save the file as UTF-8"
    );

    std::fs::write(&file, "#".repeat(64 * 1024 + 1)).unwrap();
    assert_eq!(
        Settings::load(&file).unwrap_err().to_string(),
        "settings.toml: larger than 65536 bytes; is this the right file?"
    );

    let folder = Settings::load(dir.path()).unwrap_err();
    assert!(matches!(folder, SettingsError::Unreadable { .. }), "{folder:?}");
}

#[test]
fn relays_of_the_list_and_of_the_server_section() {
    let text = r#"
[[relays]]
url = "https://Relay.Example:8443/"
key = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"
[server]
url = "http://127.0.0.1:7"
[[relays]]
url = "http://198.51.100.7:80"
insecure = true
"#;
    let settings = Settings::parse(text).unwrap();
    let (all, listed) = (settings.all_relays(), &settings.relays);
    assert_eq!(all[1..], listed[..]);
    assert_eq!(listed[0].url.to_string(), "https://relay.example:8443");
    let key = listed[0].key.unwrap();
    assert_eq!((key[0], key[15], key[31]), (0, 0xff, 0xff));
    assert!(!listed[0].insecure && listed[1].insecure);
    let server = Relay { url: "http://127.0.0.1:7".parse().unwrap(), key: None, insecure: false };
    assert_eq!(all[0], server);
    // The same relay in both places is one, with the key of the list.
    let text = "[server]\nurl = \"http://[::1]:7\"\n[[relays]]\nurl = \"http://[::1]:7\"\n";
    assert_eq!(Settings::parse(text).unwrap().all_relays().len(), 1);
}
