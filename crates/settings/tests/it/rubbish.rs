//! Whatever the file contains: a value or one line, never a panic.

use proptest::prelude::*;
use tortalk_settings::{HostPort, Settings, TEMPLATE, Value, set};

fn judge(text: &str) -> Result<(), TestCaseError> {
    if let Err(error) = Settings::parse(text) {
        let line = error.to_string();
        prop_assert!(!line.is_empty() && !line.contains(['\n', '\r']), "{line:?}");
        prop_assert!(line.chars().count() < 300, "{line}");
        if let Some(number) = error.line() {
            prop_assert!(number >= 1 && number <= text.matches('\n').count() + 1);
        }
    }
    Ok(())
}

/// Words of the format and of ours, in any order.
fn shuffled() -> impl Strategy<Value = String> {
    let words = [
        "[network]",
        "[server]",
        "[[user]]",
        "[network.peers]",
        "tcp_port",
        "safety_mode",
        "peers",
        "username",
        "visibility",
        " = ",
        "\n",
        "\r\n",
        "true",
        "45454",
        "\"a:1\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\"",
        "'''",
        "\"\"\"",
        "\\u202e",
        "é",
        "\u{0}",
        "-",
        "0x",
        "1e9",
        "inf",
        "1979-05-27T07:32:00Z",
        "  ",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..40)
        .prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_text(text in any::<String>()) {
        judge(&text)?;
    }

    #[test]
    fn any_order_of_words(text in shuffled()) {
        judge(&text)?;
    }

    #[test]
    fn a_changed_template(
        at in any::<prop::sample::Index>(),
        put in "\\PC{0,3}|\n",
        cut in 0usize..20,
    ) {
        let mut start = at.index(TEMPLATE.len());
        let mut end = (start + cut).min(TEMPLATE.len());
        while !TEMPLATE.is_char_boundary(start) { start -= 1; }
        while !TEMPLATE.is_char_boundary(end) { end += 1; }
        judge(&format!("{}{put}{}", &TEMPLATE[..start], &TEMPLATE[end..]))?;
    }

    #[test]
    fn a_name_that_is_taken_comes_back(name in any::<String>(), before in shuffled()) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.toml");
        let text = format!("[server]\nsafety_mode = true\n{before}");
        std::fs::write(&file, &text).unwrap();
        match set(&file, "user", "username", &Value::Text(name.clone())) {
            Ok(settings) => {
                prop_assert_eq!(settings.user.username.as_deref(), Some(&*name));
                prop_assert!(settings.server.safety_mode);
            }
            Err(_) => prop_assert_eq!(std::fs::read_to_string(&file).unwrap(), text),
        }
    }

    #[test]
    fn a_host_that_is_taken_is_taken_again(text in "[a-z0-9.:\\[\\]-]{1,30}") {
        if let Ok(host) = text.parse::<HostPort>() {
            prop_assert_eq!(host.to_string().parse::<HostPort>(), Ok(host));
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("[network]\npeers = {}{}", open.repeat(20_000), close.repeat(20_000));
        assert!(Settings::parse(&text).is_err());
    }
    let dotted = format!("{} = 1", vec!["a"; 20_000].join("."));
    assert!(Settings::parse(&dotted).is_err());
}
