//! What each command does, prints and exits with.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use common::{Home, Outcome};
use serde_json::{Value, json};

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn init_makes_a_profile_for_its_owner_alone() {
    let home = Home::new();
    let profile = home.folder("p");
    let lines = profile.json(&["init", "--name", "Alice"]);
    assert_eq!(lines.len(), 1);
    assert_eq!(keys(&lines[0]), ["address", "identity", "passphrase", "profile"]);
    assert_eq!(lines[0]["passphrase"], false);
    assert_eq!(lines[0]["profile"], profile.dir.to_str().unwrap());
    assert_eq!(lines[0]["address"], profile.address());
    let mode = fs::metadata(&profile.dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(profile.json(&["status"])[0]["name"], "Alice");
}

#[test]
fn a_profile_by_name_lies_in_the_platforms_folder() {
    let home = Home::new();
    let made = home.run(&["--profile", "second", "init"]).ok();
    assert!(home.path().join("data/torTalk/second/identity.bin").exists(), "{}", made.stdout);
    let mut by_variable = home.command(&["address"]);
    by_variable.env("TORTALK_PROFILE", "second");
    let address = Outcome::of(by_variable).ok().stdout;
    assert!(made.stdout.contains(address.trim()));
    // The default is another one, and a name is no path.
    let default = home.path().join("data/torTalk/default");
    let line = format!("{}: there is no profile: make one with `tortalk init`", default.display());
    home.run(&["address"]).fails(3, &line);
    let line = "--profile .work: this is no name; write a path with a slash in it";
    home.run(&["--profile", ".work", "address"]).fails(64, line);
}

#[test]
fn address_as_text_and_as_a_code() {
    let home = Home::new();
    let profile = home.profile("p");
    let address = profile.address();
    assert!(address.starts_with("mesh:") && !address.contains(char::is_whitespace));
    let bare = profile.run(&["address", "--bare"]).ok().stdout;
    assert!(bare.starts_with("mesh:") && bare.len() < address.len());
    let code = profile.run(&["address", "--qr"]).ok().stdout;
    let (last, code) = code.trim_end().rsplit_once('\n').map(|(code, last)| (last, code)).unwrap();
    assert_eq!(last, address);
    let widths: Vec<usize> = code.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]) && widths[0] > 30);
    assert!(code.chars().all(|c| " ▀▄█\n".contains(c)));
    let coloured = profile.run(&["address", "--qr", "--color", "always"]).ok().stdout;
    assert!(coloured.contains("\x1b["));
    assert_eq!(keys(&profile.json(&["address"])[0]), ["address", "bare", "identity"]);
}

#[test]
fn contacts_from_adding_to_blocking() {
    let home = Home::new();
    let (alice, bob) = (home.profile("alice"), home.profile("bob"));
    assert_eq!(
        alice.run(&["contacts"]).ok().stdout,
        "No contacts yet: `tortalk contacts add mesh:… --name Bob`\n"
    );
    assert_eq!(alice.json(&["contacts"]), [] as [Value; 0]);
    let added = alice.json(&["contacts", "add", &bob.address(), "--name", "Bob"]);
    assert_eq!(
        keys(&added[0]),
        [
            "added_at", "has_card", "identity", "linked", "missing", "name", "relays", "standing",
            "unread", "verified"
        ]
    );
    assert_eq!(added[0]["identity"], bob.identity());
    alice.run(&["contacts", "rename", "bob", "Bobby"]).ok();
    alice.run(&["contacts", "verify", "BOBBY", "--yes"]).ok();
    alice.run(&["contacts", "block", "Bobby"]).ok();
    let line = alice.run(&["contacts", "list"]).ok().stdout;
    assert_eq!(line, format!("Bobby  {}  blocked, verified\n", &bob.identity()[..16]));
    alice.run(&["contacts", "unblock", "Bobby"]).ok();
    alice.run(&["contacts", "verify", "Bobby", "--undo"]).ok();
    let contact = &alice.json(&["contacts"])[0];
    assert_eq!((&contact["standing"], &contact["verified"]), (&json!("accepted"), &json!(false)));

    // Both sides compare the same number.
    bob.add(&alice, "Alice");
    let number = |side: &common::Profile<'_>, who: &str| {
        side.json(&["contacts", "verify", who])[0]["number"].clone()
    };
    assert_eq!(number(&alice, "Bobby"), number(&bob, "Alice"));
}

#[test]
fn a_card_travels_as_a_file() {
    let home = Home::new();
    let (alice, bob) = (home.profile("alice"), home.profile("bob"));
    alice.run(&["contacts", "export-card", "alice.card"]).ok();
    let path = home.path().join("alice.card");
    let card = fs::read_to_string(&path).unwrap();
    assert!(card.lines().all(|line| line.len() <= 76));
    bob.run(&["contacts", "import", "alice.card"]).ok();
    let contact = &bob.json(&["contacts"])[0];
    assert_eq!(contact["name"], "alice");
    assert_eq!(contact["has_card"], true);
    // Nobody's file is overwritten.
    alice
        .run(&["contacts", "export-card", "alice.card"])
        .fails(65, "alice.card: there is such a file: choose another name");
    let printed = alice.run(&["contacts", "export-card"]).ok().stdout;
    let carol = home.profile("carol");
    carol.run_with_input(&["contacts", "import", "-", "--name", "A"], printed.as_bytes()).ok();
    assert_eq!(carol.json(&["contacts"])[0]["identity"], alice.identity());
}

#[test]
fn what_is_sent_while_nobody_is_there_is_queued() {
    let home = Home::new();
    let (alice, bob) = (home.profile("alice"), home.profile("bob"));
    alice.add(&bob, "Bob");
    alice.run(&["send", "Bob", "one", "two", "--wait", "1"]).fails(
        6,
        "not delivered within 1 s (waiting for key): a node that runs goes on trying; \
         `tortalk run`",
    );
    let sent = alice.run_with_input(&["send", "bob", "-", "--wait", "0", "--json"], b"a\nb\n").ok();
    let sent: Value = serde_json::from_str(&sent.stdout).unwrap();
    assert_eq!(keys(&sent), ["message_id", "state"]);
    let history = alice.json(&["history", "Bob"]);
    let texts: Vec<&Value> = history.iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["one two", "a\nb"]);
    assert_eq!(history[1]["message_id"], sent["message_id"]);
    assert_eq!(history[0]["direction"], "out");
    assert_eq!(alice.json(&["history", "--search", "TWO"]).len(), 1);
    assert_eq!(alice.json(&["history", "--limit", "1"])[0]["text"], "a\nb");
    let shown = alice.run(&["history"]).ok().stdout;
    assert!(shown.contains("you → Bob: one two  [waiting for key]\n"), "{shown}");
}

#[test]
fn status_with_and_without_a_node() {
    let home = Home::new();
    let alice = home.profile("alice");
    let status = &alice.json(&["status"])[0];
    assert_eq!(
        (&status["running"], &status["port"], &status["pid"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    let mut node = alice.start();
    let status = &alice.json(&["status"])[0];
    assert_eq!(status["running"], true);
    assert_eq!(status["pid"], node.pid());
    assert_eq!(status["port"], node.port);
    assert_eq!(status["instance"], node.instance);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn the_passphrase_comes_from_a_file_and_a_running_node_needs_none() {
    let home = Home::new();
    let profile = home.folder("p");
    fs::write(home.path().join("one"), "first one\nrest\n").unwrap();
    fs::write(home.path().join("two"), "second\n").unwrap();
    profile.run(&["init", "--passphrase-file", "one"]).ok();
    profile.run(&["--passphrase-file", "one", "status"]).ok();
    profile.run_with_input(&["--passphrase-file", "-", "status"], b"first one\n").ok();
    let mut by_variable = profile.command(&["status"]);
    by_variable.env("TORTALK_PASSPHRASE_FILE", "one");
    Outcome::of(by_variable).ok();

    let mut node = profile.start_with(&["run", "--json", "--passphrase-file", "one"]);
    profile.run(&["status"]).ok();
    profile
        .run(&["passphrase", "set"])
        .fails(3, "a node runs on this profile: end it, then change the passphrase");
    assert_eq!(node.stop(), Some(0));

    let change = ["passphrase", "set", "--passphrase-file", "one", "--new-passphrase-file", "two"];
    profile.run(&change).ok();
    profile.run(&["--passphrase-file", "two", "status"]).ok();
    assert_eq!(profile.run(&["--passphrase-file", "one", "status"]).code, Some(4));
    profile.run(&["passphrase", "remove", "--passphrase-file", "two"]).ok();
    profile.run(&["status"]).ok();
    profile.run(&["passphrase", "set", "--passphrase-file", "one"]).ok();
    assert_eq!(profile.run(&["status"]).code, Some(4));
}

#[test]
fn doctor_says_first_what_is_wrong() {
    let home = Home::new();
    let profile = home.profile("p");
    let looks = profile.run(&["doctor"]).ok().stdout;
    assert_eq!(looks.lines().next(), Some("everything looks right"), "{looks}");
    let mut node = profile.start();
    let looks = profile.run(&["doctor"]).ok().stdout;
    assert!(looks.contains(&format!("the node listens on {}", node.port)), "{looks}");
    assert_eq!(node.stop(), Some(0));

    fs::set_permissions(&profile.dir, fs::Permissions::from_mode(0o755)).unwrap();
    let looks = profile.run(&["doctor"]);
    assert_eq!((looks.code, &*looks.stderr), (Some(1), ""));
    let line = format!("others can look into the folder: chmod 700 '{}'", profile.dir.display());
    assert_eq!(looks.stdout.lines().next(), Some(&*line));

    fs::write(profile.dir.join("settings.toml"), "[network]\nbeacon = true\n").unwrap();
    let looks = profile.run(&["doctor"]);
    assert_eq!(looks.code, Some(1));
    assert_eq!(
        looks.stdout.lines().next(),
        Some("settings.toml line 2: unknown key `beacon` in [network]; did you mean `beacons`?")
    );
    let findings: Value =
        serde_json::from_str(profile.run(&["doctor", "--json"]).stdout.lines().nth(1).unwrap())
            .unwrap();
    assert_eq!(keys(&findings), ["check", "line", "verdict"]);
}

#[test]
fn doctor_hears_its_own_beacons() {
    let home = Home::new();
    let profile = home.profile("p");
    fs::write(
        profile.dir.join("settings.toml"),
        "[network]\ninterfaces = [\"lo\"]\nmdns = false\n",
    )
    .unwrap();
    let looks = profile.run(&["doctor"]).ok().stdout;
    assert!(looks.contains("multicast  beacons of this machine come back"), "{looks}");
}

#[test]
fn every_command_explains_itself_with_examples() {
    let home = Home::new();
    for command in [
        "init",
        "address",
        "contacts",
        "contacts list",
        "contacts add",
        "contacts import",
        "contacts export-card",
        "contacts verify",
        "contacts rename",
        "contacts block",
        "contacts unblock",
        "nearby",
        "send",
        "chat",
        "history",
        "run",
        "status",
        "doctor",
        "demo",
        "passphrase",
        "passphrase set",
        "passphrase remove",
        "completions",
    ] {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let help = home.run(&arguments).ok().stdout;
        assert!(help.contains("Examples:\n  "), "{command}: {help}");
        assert!(help.contains(&format!("tortalk {command}")), "{command}: {help}");
    }
    let help = home.run(&["--help"]).ok().stdout;
    for code in ["0 ", "1 ", "3 ", "4 ", "5 ", "6 ", "64", "65"] {
        assert!(help.contains(&format!("\n  {code}")), "{code}: {help}");
    }
    assert!(home.run(&["completions", "bash"]).ok().stdout.contains("tortalk"));
    assert!(home.run(&["--version"]).ok().stdout.starts_with("tortalk "));
}

#[test]
fn a_wrong_command_line_is_one_line_and_64() {
    let home = Home::new();
    let table: &[(&[&str], &str)] = &[
        (&[], "a command is missing: see `tortalk --help`"),
        (
            &["snd"],
            "unrecognized subcommand 'snd'; a similar subcommand exists: 'send': \
             see `tortalk --help`",
        ),
        (
            &["send", "Bob"],
            "the following required arguments were not provided: <TEXT>...: \
             see `tortalk send --help`",
        ),
        (
            &["send", "Bob", "x", "--wait", "soon"],
            "invalid value 'soon' for '--wait <SECONDS>': invalid digit found in string: \
             see `tortalk send --help`",
        ),
        (
            &["run", "--until-eof"],
            "--until-eof goes with --json only: add that or leave both out: see `tortalk run \
             --help`",
        ),
    ];
    for (arguments, line) in table {
        home.run(arguments).fails(64, line);
    }
    let outcome = home.run(&["--json", "snd"]);
    let error: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
    assert_eq!(outcome.code, Some(64));
}

#[test]
fn an_error_is_an_object_too_for_programs() {
    let home = Home::new();
    let profile = home.profile("p");
    let outcome = profile.run(&["send", "nobody", "x", "--json"]);
    assert_eq!(outcome.code, Some(5));
    let error: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "unknown_who");
    assert_eq!(
        outcome.stderr,
        format!("tortalk: {}\n", error["error"]["message"].as_str().unwrap())
    );
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let home = Home::new();
    let profile = home.profile("p");
    for arguments in [&["status"][..], &["completions", "zsh"], &["--help"], &["doctor"]] {
        let mut command = profile.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), &*said), (Some(0), ""), "{arguments:?}");
    }
}
