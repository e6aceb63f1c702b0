//! Changing one value and nothing else.

use tortalk_settings::{SetError, Settings, SettingsError, TEMPLATE, Value, pin_relay, set};

/// Sets in a file with this text and gives the text afterwards.
fn after(text: &str, section: &str, key: &str, value: &Value) -> Result<String, SetError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    let result = set(&file, section, key, value);
    let now = std::fs::read_to_string(&file).unwrap();
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 1, "something was left beside the file");
    match result {
        Ok(settings) => {
            assert_eq!(Settings::load(&file).as_ref(), Ok(&settings));
            Ok(now)
        }
        Err(error) => {
            assert_eq!(now, text, "a refused change was written");
            Err(error)
        }
    }
}

fn name(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn only_the_value_changes() {
    let port = Value::Number(5001);
    for (before, now) in [
        (
            "# mine\n[network]  # all\n  tcp_port   =  5000   # fixed\n\n[user]\n",
            "# mine\n[network]  # all\n  tcp_port   =  5001   # fixed\n\n[user]\n",
        ),
        ("network.tcp_port = 5000", "network.tcp_port = 5001"),
        (
            "network = { mdns = true, tcp_port = 5000 }",
            "network = { mdns = true, tcp_port = 5001 }",
        ),
        // A new key, at the end of its section.
        (
            "[network]\nmdns = true # on\n# spare\n\n[user]\nusername = \"a\"\n",
            "[network]\nmdns = true # on\ntcp_port = 5001\n# spare\n\n[user]\nusername = \"a\"\n",
        ),
        ("[network]\nmdns = true", "[network]\nmdns = true\ntcp_port = 5001\n"),
        (
            "[network]\r\npeers = [\r\n \"a:1\",\r\n]\r\n[user]\r\n",
            "[network]\r\npeers = [\r\n \"a:1\",\r\n]\r\ntcp_port = 5001\r\n[user]\r\n",
        ),
        ("[network]\n", "[network]\ntcp_port = 5001\n"),
        ("[network] # empty\n[user]\n", "[network] # empty\ntcp_port = 5001\n[user]\n"),
        // A new section, at the end of the file.
        ("", "[network]\ntcp_port = 5001\n"),
        ("[user]\n", "[user]\n\n[network]\ntcp_port = 5001\n"),
        ("[user]", "[user]\n\n[network]\ntcp_port = 5001\n"),
        // Text that only looks like a section.
        (
            "[user]\nusername = \"[network]\"\n#[network]\n",
            "[user]\nusername = \"[network]\"\n#[network]\n\n[network]\ntcp_port = 5001\n",
        ),
    ] {
        assert_eq!(after(before, "network", "tcp_port", &port).as_deref(), Ok(now), "{before}");
    }
}

#[test]
fn the_template_takes_every_value() {
    let list = Value::List(vec!["wlan0".to_owned(), "a \"b\"".to_owned()]);
    let mut text = TEMPLATE.to_owned();
    for (section, key, value) in [
        ("network", "interfaces", &list),
        ("server", "safety_mode", &Value::Flag(true)),
        ("server", "url", &name("http://127.0.0.1:1")),
        ("user", "username", &name("O'Neil \"Q\" \\ #1")),
        ("identity", "path", &name("/a b/c")),
    ] {
        text = after(&text, section, key, value).unwrap();
    }
    let settings = Settings::parse(&text).unwrap();
    assert_eq!(settings.network.interfaces, Some(vec!["wlan0".into(), "a \"b\"".into()]));
    assert!(settings.server.safety_mode);
    assert_eq!(settings.user.username.as_deref(), Some("O'Neil \"Q\" \\ #1"));
    // Every line of the template is still there, in its order.
    let mut lines = text.lines();
    assert!(TEMPLATE.lines().all(|line| lines.any(|kept| kept == line)), "{text}");
}

#[test]
fn a_value_that_is_not_allowed_is_not_written() {
    for (section, key, value, line) in [
        (
            "network",
            "tcp_port",
            Value::Number(80),
            "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 to \
             65535, not 80",
        ),
        (
            "user",
            "username",
            name("a\nb"),
            "settings.toml line 5: `username` in [user] must be a name of at most 64 bytes \
             without control characters, not \"a\\nb\"",
        ),
        (
            "network",
            "colour",
            Value::Flag(true),
            "settings.toml line 3: unknown key `colour` in [network]",
        ),
        ("colours", "a", Value::Flag(true), "settings.toml line 4: unknown section [colours]"),
    ] {
        let before = "[network]\ntcp_port = 5000\n";
        let error = after(before, section, key, &value).unwrap_err();
        assert_eq!(error.to_string(), line);
    }
}

#[test]
fn a_file_with_a_mistake_is_left_alone() {
    let error = after("[network]\ntcp_prot = 1\n", "user", "username", &name("a")).unwrap_err();
    assert!(matches!(error, SetError::Settings(SettingsError::UnknownKey { .. })), "{error:?}");
}

#[test]
fn a_form_that_cannot_be_edited_is_left_alone() {
    for before in ["network = { mdns = true }\n", "network.mdns = true\n[user]\n"] {
        let error = after(before, "network", "tcp_port", &Value::Number(5001)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "settings.toml: [network] is written in a form that cannot be edited: \
             set `tcp_port` by hand"
        );
    }
}

#[test]
fn a_key_cannot_carry_a_second_line() {
    let before = "[network]\n";
    for key in ["tcp_port = 5000\nmdns", "\"", "a.b", "", "# "] {
        let error = after(before, "network", key, &Value::Flag(true)).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn rights_and_links_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real.toml");
    let file = dir.path().join("settings.toml");
    std::fs::write(&real, "").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    set(&file, "user", "username", &name("Bob")).unwrap();
    assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "[user]\nusername = \"Bob\"\n");
}

#[test]
fn a_missing_file_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    let error = set(&file, "user", "username", &name("Bob")).unwrap_err();
    assert_eq!(error, SetError::Settings(SettingsError::Missing { path: file.clone() }));
    assert!(!file.exists());
}

/// A disk on which nothing can be written; as a mount, since root passes over
/// permission bits.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_cannot_be_written_keeps_the_file() {
    use std::process::{Command, Stdio};
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    if !run("mount", &["-t", "tmpfs", "-o", "size=64k", "tortalk-test", at]) {
        eprintln!("SKIPPED: settings on a full disk: mounting a tmpfs is not permitted here");
        return;
    }
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, TEMPLATE).unwrap();
    let ballast = dir.path().join("ballast");
    let _full = std::fs::write(&ballast, vec![1; 128 * 1024]);
    let full = set(&file, "user", "username", &name("Bob"));
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    let remounted = run("mount", &["-o", "remount,ro", at]);
    let read_only = set(&file, "user", "username", &name("Bob"));
    let text = std::fs::read_to_string(&file);
    let unmounted = run("umount", &[at]);

    assert!(remounted && unmounted);
    assert_eq!(names, 2, "something was left beside the file");
    assert_eq!(text.unwrap(), TEMPLATE);
    for (result, reason) in [(full, "no storage space"), (read_only, "read-only filesystem")] {
        let line = result.unwrap_err().to_string();
        assert!(
            line.contains("settings.toml: cannot be written") && line.contains(reason),
            "{line}"
        );
    }
}

#[test]
fn a_key_is_pinned_beside_its_relay() {
    let (key, hex) = ([0xab; 32], "ab".repeat(32));
    let pinned = |text: &str, url: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.toml");
        std::fs::write(&file, text).unwrap();
        let settings = pin_relay(&file, &url.parse().unwrap(), &key)?;
        let relay = settings.all_relays().into_iter().find(|r| r.url == url.parse().unwrap());
        assert_eq!(relay.unwrap().key, Some(key), "{text}");
        Ok::<_, SetError>(std::fs::read_to_string(&file).unwrap())
    };
    let two = "[[relays]]  # one\nurl = \"https://a:1\"  # here\n\n[[relays]]\n\
               url = \"https://b:1\"\ninsecure = true";
    let now = two.replace("# here\n", &format!("# here\nkey = \"{hex}\"\n"));
    assert_eq!(pinned(two, "https://a:1"), Ok(now));
    assert_eq!(pinned(two, "https://b:1"), Ok(format!("{two}\nkey = \"{hex}\"\n")));
    let (old, new) = (format!("key = '{}'", "0".repeat(64)), format!("key = \"{hex}\""));
    let with_key = format!("[[relays]]\n{old} # old\nurl = 'https://a:1'\n");
    assert_eq!(pinned(&with_key, "https://a:1"), Ok(with_key.replace(&old, &new)));
    // One that stands in [server], or nowhere any more.
    let server = "[server]\nurl = \"http://127.0.0.1:7\"\n";
    let added = format!("{server}\n[[relays]]\nurl = \"http://127.0.0.1:7\"\n{new}\n");
    assert_eq!(pinned(server, "http://127.0.0.1:7"), Ok(added));
    // A form that cannot be edited in one place is left alone.
    let inline = "relays = [{ url = \"https://a:1\" }]\n";
    assert!(matches!(pinned(inline, "https://a:1"), Err(SetError::Form { .. })));
}

#[test]
fn other_changes_leave_relays_alone() {
    let text = "[[relays]]\nurl = \"https://a:1\"\n";
    let now = after(text, "user", "username", &name("Alice")).unwrap();
    assert_eq!(now, format!("{text}\n[user]\nusername = \"Alice\"\n"));
}

#[test]
fn relays_that_are_pinned_at_the_same_time_all_stay_pinned() {
    const RELAYS: u16 = 4;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    for round in 0..8 {
        let one = |relay: u16| format!("[[relays]]\nurl = \"https://a:{}\"\n", relay + 1);
        std::fs::write(&file, (0..RELAYS).map(one).collect::<String>()).unwrap();
        std::thread::scope(|scope| {
            for relay in 0..RELAYS {
                let file = &file;
                scope.spawn(move || {
                    let url = format!("https://a:{}", relay + 1).parse().unwrap();
                    pin_relay(file, &url, &[7; 32]).unwrap();
                });
            }
        });
        let settings = Settings::load(&file).unwrap();
        let pinned = settings.relays.iter().filter(|relay| relay.key.is_some()).count();
        assert_eq!(pinned, usize::from(RELAYS), "round {round}");
    }
}
