//! A small tree whose numbers agree, and one fault at a time in it.

use super::*;

const SPEC: &str = "\
# Registry

### Labels

| name | constant | document |
|---|---|---|
| `seal` | `label::SEAL` | hash |
| `sign/card` | `label::SIGN_CARD` | signature by SIGN_CARD |

### Frame types (`FrameType`)

| name | value | constant | document |
|---|---|---|---|
| `Auth` | 0x8001 | `FRAME_TYPE_AUTH` | link |
| set reconciliation | 0x8030 | – | reserved |

### Reasons (`ByeReason`)

| name | value | constant |
|---|---|---|
| `AGE` | 4 | `BYE_REASON_AGE` |

### Body types

| name | value | constant |
|---|---|---|
| text | 1 | `seal::BodyType::TEXT` |
| group | 18 | – |

### Receipt kinds

| name | value | constant |
|---|---|---|
| read | 2 | `seal::ReceiptKind::Read` |

### Sizes

| name | value | unit | constant | rule |
|---|---|---|---|---|
| ext | 256 | bytes | `EXT_BYTES_MAX` | ENV-01 |
| envelope | 1,284 | bytes | `ENVELOPE_BYTES_MAX` | ENV-02 |
| buckets | 256, 512, 1,024 | bytes | `BUCKETS` | |
| life | 14 | d | `LIFE_MAX` | |
| kept | 21 | d | `relay::KEPT` | |
| again | 3,600 | s | `AGAIN_AFTER_S` | |
| window | 64 KiB | | `relay::WINDOW_BYTES_MAX` | |
| versions | 1 | number | `link::SUPPORTED_VERSIONS` | |

### Protobuf fields

| message | fields | free from |
|---|---|---|
| Auth | 1 identity · 2 version | 3 |
| Step | 1 proof | 4 |
| Empty | – | 1 |

## Reserved

| name | from | to | for |
|---|---|---|---|
| frame type | 0x8010 | 0x801f | cards |
| body type | 2 | 9 | later |

### Methods (`RelayService`)

| method | kind |
|---|---|
| `Sync` | both ways |
";

const LIMITS: &str = "\
/// Not `pub const FALSE: u8 = 1;`.
pub const EXT_BYTES_MAX: usize = 256;
pub const BUCKETS: [usize; 3] = [256, 512, 1024];
pub const ENVELOPE_BYTES_MAX: usize =
    EXT_BYTES_MAX + 4 + BUCKETS[2];
pub const LIFE_MAX: Duration = Duration::from_secs(14 * DAY);
pub const AGAIN_AFTER_S: u32 = 3_600;
const DAY: u64 = 24 * 3600;
pub fn bucket_for(len: usize) -> usize { const NONE: u8 = 1; len }
#[cfg(test)]
mod tests { pub const OURS: u8 = 1; }
";

const RELAY: &str = "\
use super::{DAY, LIFE_MAX};
pub const WINDOW_BYTES_MAX: u64 = (4 + 60) * 1024;
pub const KEPT: Duration = LIFE_MAX + Duration::from_secs(7 * super::DAY);
";

const HASH: &str = "\
pub mod label {
    pub const SEAL: &[u8] = b\"tortalk/v1/seal\\0\";
    pub const SIGN_CARD: &[u8] = b\"tortalk/v1/sign/card\\0\";
    pub const ALL: &[&[u8]] = &[SEAL, SIGN_CARD];
}
";

const BODY: &str = "\
pub struct BodyType(pub u16);
impl BodyType {
    pub const TEXT: Self = Self(1);
    const HIGH: u16 = 0x8000;
}
impl fmt::Debug for BodyType {}
pub enum ReceiptKind {
    /// In the store, = there.
    Delivered = 1,
    Read = 2,
}
";

const PROTO: &str = "\
syntax = \"proto3\";
package tortalk.v1;
// enum FrameType { FRAME_TYPE_NONE = 9; }
enum FrameType {
  FRAME_TYPE_UNSPECIFIED = 0;
  // Auth = 3;
  FRAME_TYPE_AUTH = 0x8001;
}
enum ByeReason { BYE_REASON_UNSPECIFIED = 0; BYE_REASON_AGE = 4; }
message Auth {
  bytes identity = 1;
  repeated uint32 version = 2;
}
message Empty {}
message Step {
  oneof step {
    Auth proof = 1;
  }
}
service RelayService {
  rpc Sync(stream Auth) returns (stream Auth);
}
";

const GOSSIP: &str = "An end by `Bye{AGE}` is signed with `SIGN_CARD`; TCP_NODELAY is set.\n";

const FILES: [(&str, &str); 8] = [
    (REGISTRY, SPEC),
    ("spec/gossip.md", GOSSIP),
    ("crates/model/src/limits.rs", LIMITS),
    ("crates/model/src/limits/relay.rs", RELAY),
    ("crates/model/src/hash.rs", HASH),
    ("crates/link/src/versions.rs", "pub const SUPPORTED_VERSIONS: &[u16] = &[1];\n"),
    ("crates/seal/src/body.rs", BODY),
    ("proto/tortalk/v1/link.proto", PROTO),
];

/// The faults of the small tree after one change.
fn faults(path: &str, from: &str, to: &str) -> Vec<String> {
    let mut files = FILES.map(|(path, text)| (path, text.to_owned()));
    let file = files.iter_mut().find(|file| file.0 == path).expect("one of the files");
    assert!(file.1.contains(from), "{path} has no {from}");
    file.1 = file.1.replacen(from, to, 1);
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
    let mut report = Report::default();
    check(&Tree::of(&files), &mut report);
    report.lines()
}

/// That a change makes exactly one fault, which says this.
#[track_caller]
fn one_fault(path: &str, from: &str, to: &str, says: &str) {
    let found = faults(path, from, to);
    assert!(found.len() == 1 && found[0].contains(says), "{from} -> {to}: {found:#?}");
}

#[test]
fn nothing_is_wrong_with_what_agrees() {
    assert_eq!(faults(REGISTRY, "", ""), Vec::<String>::new());
    // The other way to write a value.
    for (from, to) in [("| 64 KiB | |", "| 65,536 | bytes |"), ("| 14 | d |", "| 336 | h |")] {
        assert_eq!(faults(REGISTRY, from, to), Vec::<String>::new());
    }
}

#[test]
fn a_changed_value_is_found_on_either_side() {
    one_fault(REGISTRY, "| 1,284 |", "| 1,285 |", "says 1285, and ENVELOPE_BYTES_MAX is 1284");
    one_fault(REGISTRY, "256, 512, 1,024", "256, 512, 1,025", "says [256, 512, 1025]");
    one_fault(REGISTRY, "| 14 | d |", "| 15 | d |", "LIFE_MAX is 1209600 s");
    one_fault(REGISTRY, "| 14 | d |", "| 14 | h |", "LIFE_MAX");
    one_fault(REGISTRY, "| 3,600 | s |", "| 3,601 | s |", "AGAIN_AFTER_S is 3600");
    one_fault(REGISTRY, "| 64 KiB |", "| 64 MiB |", "WINDOW_BYTES_MAX is 65536");
    one_fault(REGISTRY, "| 0x8001 |", "| 0x8002 |", "FRAME_TYPE_AUTH");
    one_fault(
        REGISTRY,
        "| AGE | 4 |".replace("AGE", "`AGE`").as_str(),
        "| `AGE` | 5 |",
        "BYE_REASON_AGE is 4",
    );
    one_fault(REGISTRY, "| text | 1 |", "| text | 2 |", "seal::BodyType::TEXT is 1");
    one_fault(REGISTRY, "| read | 2 |", "| read | 1 |", "seal::ReceiptKind::Read is 2");
    one_fault(REGISTRY, "| versions | 1 |", "| versions | 1, 2 |", "SUPPORTED_VERSIONS is [1]");
    one_fault(REGISTRY, "2 version", "2 number", "has the fields 1 identity · 2 version;");
    one_fault(REGISTRY, "2 version", "3 version", "has the fields 1 identity · 2 version;");
    one_fault(REGISTRY, "version | 3 |", "version | 2 |", "2 is its last");
    one_fault(REGISTRY, "| 0x8010 |", "| 0x8000 |", "FRAME_TYPE_AUTH is 32769 and lies in");
    one_fault(REGISTRY, "| 2 | 9 |", "| 1 | 9 |", "seal::BodyType::TEXT is 1 and lies in");
    one_fault(REGISTRY, "both ways", "unary", "Sync is both ways");
    one_fault("crates/model/src/limits/relay.rs", "7 * ", "8 * ", "relay::KEPT is 1900800 s");
    one_fault("crates/model/src/hash.rs", "v1/seal", "v1/seals", "label::SEAL");
    one_fault("proto/tortalk/v1/link.proto", "AGE = 4", "AGE = 5", "BYE_REASON_AGE is 5");
}

#[test]
fn a_missing_row_is_found() {
    let no_row = |row: &str, says: &str| one_fault(REGISTRY, row, "", says);
    no_row(
        "| ext | 256 | bytes | `EXT_BYTES_MAX` | ENV-01 |\n",
        "limits.rs:2: EXT_BYTES_MAX has no",
    );
    no_row("| kept | 21 | d | `relay::KEPT` | |\n", "relay::KEPT has no row");
    no_row("| `seal` | `label::SEAL` | hash |\n", "label::SEAL has no row");
    no_row("| `Auth` | 0x8001 | `FRAME_TYPE_AUTH` | link |\n", "FRAME_TYPE_AUTH has no row");
    no_row("| text | 1 | `seal::BodyType::TEXT` |\n", "seal::BodyType::TEXT has no row");
    no_row("| Auth | 1 identity · 2 version | 3 |\n", "link.proto:10: Auth has no row");
    no_row("| Empty | – | 1 |\n", "Empty has no row");
    one_fault(REGISTRY, "1 proof", "–", "Step has the fields 1 proof");
    no_row("| `Sync` | both ways |\n", "RelayService.Sync has no row");
}

#[test]
fn a_row_too_many_is_found() {
    let after = |row: &str, more: &str, says: &str| {
        one_fault(REGISTRY, row, &format!("{row}{more}"), says);
    };
    let ext = "| ext | 256 | bytes | `EXT_BYTES_MAX` | ENV-01 |\n";
    after(ext, "| tail | 1 | bytes | `TAIL_MAX` | |\n", "TAIL_MAX is no constant of ours");
    after(ext, ext, "EXT_BYTES_MAX has a row at");
    after(
        "| `seal` | `label::SEAL` | hash |\n",
        "| `a` | `label::A` | |\n",
        "label::A is no constant",
    );
    let age = "| `AGE` | 4 | `BYE_REASON_AGE` |\n";
    after(age, "| `OLD` | 5 | `BYE_REASON_OLD` |\n", "BYE_REASON_OLD is no constant");
    after(age, "| old | 4 | – |\n", "4 is kept free and given");
    let empty = "| Empty | – | 1 |\n";
    after(empty, "| Old | – | 1 |\n", "there is no message Old");
    after(empty, empty, "Empty stands twice");
    after("| `Sync` | both ways |\n", "| `Put` | unary |\n", "`RelayService` has no Put");
}

#[test]
fn a_name_and_its_constant_go_together() {
    one_fault(REGISTRY, "| `Auth` |", "| `Hello` |", "`Hello` and FRAME_TYPE_AUTH are two names");
    one_fault(REGISTRY, "| `AGE` |", "| `DATE` |", "are two names");
}

#[test]
fn what_the_text_names_is_known() {
    let gossip = "spec/gossip.md";
    one_fault(gossip, "`SIGN_CARD`", "`SIGN_CARDS`", "gossip.md:1: SIGN_CARDS is no label");
    one_fault(gossip, "Bye{AGE}", "Bye{DATE}", "Bye{DATE} is nothing that proto knows");
}

#[test]
fn what_cannot_be_read_is_said() {
    one_fault(REGISTRY, "| 14 | d |", "| 14 | moons |", "`moons` is no unit");
    one_fault(REGISTRY, "| 1,284 |", "| 12,84 |", "`12,84` is no number");
    one_fault("crates/model/src/limits.rs", "3_600", "hours(1)", "hours(1) is not understood");
}
