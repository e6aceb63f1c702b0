use super::*;

fn pair() -> Vec<Vector> {
    vec![
        Vector::ok("two", &["CNV-03"], "two bytes").hex("bytes", [0, 1]).gives("value", 1),
        Vector::refused("one", &["CNV-04"], "one byte", Verdict::Decode).hex("bytes", [1]),
    ]
}

fn run(vector: &Vector) -> Outcome {
    match <[u8; 2]>::try_from(vector.bytes("bytes")) {
        Ok(bytes) => Outcome::ok().value("value", u16::from_be_bytes(bytes)),
        Err(_) => Verdict::Decode.into(),
    }
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tortalk-testkit-{}-{name}.json", std::process::id()))
}

#[test]
fn a_written_file_is_accepted_and_a_touched_one_is_not() {
    let path = temporary("written");
    check_at(&path, "a u16", pair(), run, true);
    check_at(&path, "a u16", pair(), run, false);
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(text.ends_with("}\n"));
    std::fs::write(&path, text.replace("0001", "0002")).expect("a writable file");
    let faults = std::panic::catch_unwind(|| check_at(&path, "a u16", pair(), run, false))
        .expect_err("a touched file");
    let faults = faults.downcast_ref::<String>().expect("a message");
    assert!(faults.contains("two: expected") && faults.contains("two differs"), "{faults}");
    std::fs::remove_file(&path).expect("it was written");
}

#[test]
fn every_mismatch_is_listed() {
    let wrong = |_: &Vector| Outcome::from(Verdict::Rule);
    let faults = run_all(&pair(), wrong);
    assert!(faults.contains("two: expected Ok, got Rule"), "{faults}");
    assert!(faults.contains("one: expected Decode, got Rule"), "{faults}");
    assert_eq!(run_all(&pair(), run), "");
}

#[test]
#[should_panic(expected = "two vectors are called `one`")]
fn ids_are_unique() {
    let mut vectors = pair();
    vectors.extend(pair().into_iter().skip(1));
    assert_well_formed(&vectors);
}

#[test]
#[should_panic(expected = "1 positive vectors, only 0 negative ones")]
fn negatives_are_not_outnumbered() {
    assert_well_formed(&pair()[..1]);
}
