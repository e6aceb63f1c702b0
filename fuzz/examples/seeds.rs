//! Writes the first inputs of every target into a folder, from `spec/vectors`
//! and from what honest parties say.
//!
//! `cargo run --example seeds -- FOLDER`

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use data_encoding::HEXLOWER;
use prost::Message as _;
use serde_json::Value;
use tortalk_fuzz::{TARGETS, conversations};
use tortalk_keys::IdentitySecret;
use tortalk_model::envelope::purge_hash;
use tortalk_model::{Envelope, EnvelopeHeader, MailboxKey, PurgeKey, UnixMillis};
use tortalk_rpc::v1;
use tortalk_seal::SealingSecret;
use tortalk_seal::fuzzing::seal_plaintext;
use tortalk_settings::TEMPLATE;
use tortalk_wire::FrameType;

/// Larger ones slow the fuzzer down and say nothing new.
const BYTES_MAX: usize = 8 * 1024;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("corpus"), PathBuf::from);
    let mut seeds = Seeds { folder, written: 0 };
    seeds.wire()?;
    seeds.messages()?;
    seeds.people()?;
    seeds.relays()?;
    seeds.local()?;
    seeds.machines()?;
    println!("{} seeds for {} targets", seeds.written, TARGETS.len());
    Ok(())
}

struct Seeds {
    folder: PathBuf,
    written: usize,
}

impl Seeds {
    fn add(&mut self, target: &str, parts: &[&[u8]]) -> io::Result<()> {
        assert!(TARGETS.iter().any(|(name, _)| *name == target), "{target} is no target");
        let bytes = parts.concat();
        if bytes.len() > BYTES_MAX {
            return Ok(());
        }
        let name = HEXLOWER.encode(&Envelope::id_of(&bytes).as_bytes()[..10]);
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        self.written += 1;
        fs::write(folder.join(name), bytes)
    }

    fn wire(&mut self) -> io::Result<()> {
        for beacon in inputs("beacon", "datagram") {
            self.add("beacon", &[&beacon])?;
        }
        for stream in inputs("frame", "stream") {
            for cut in [0, 6, 255] {
                self.add("frame", &[&[cut], &stream])?;
            }
            self.add("records", &[&[255], &stream])?;
            let Some((head, body)) = stream.split_first_chunk::<6>() else { continue };
            let kind = FrameType(u16::from_be_bytes([head[4], head[5]]));
            if let Some(at) = FrameType::ALL.iter().position(|(known, _)| *known == kind) {
                self.add("frame_body", &[&[at as u8], body])?;
            }
        }
        for versions in [&[1, 0, 1][..], &[2, 0, 1, 0, 9], &[1, 0, 1, 7, 7], &[16, 0], &[0]] {
            self.add("versions", &[versions])?;
        }
        for said in conversations() {
            self.add("link", &[&said])?;
        }
        Ok(())
    }

    fn messages(&mut self) -> io::Result<()> {
        for envelope in inputs("envelope", "bytes") {
            self.add("envelope", &[&envelope])?;
        }
        let (me, sender) =
            ([1, 4].map(|seed| IdentitySecret::from_seed([seed; 32]).public())).into();
        for vector in vectors("body") {
            let body = hex(&vector["bytes"]);
            let kind = vector["body_type"].as_u64().unwrap_or(0) as u16;
            self.add("body", &[&kind.to_be_bytes(), &body])?;
            let head = [[1, 0].as_slice(), me_bytes(&me), me_bytes(&sender), &[5; 8], &[6; 16]];
            let tail = [&[0; 8][..], &[0; 8], &[0; 8], &kind.to_be_bytes(), &body];
            let signed = [head.concat(), tail.concat()].concat();
            self.add("stored_message", &[&signed, &[9; 64]])?;
            let length = (signed.len() as u32).to_be_bytes();
            let plain = [&[8; 32][..], &length, &signed, &[9; 64]].concat();
            self.add("opened", &[&plain])?;
            self.add("sealed", &[&sealed(plain)])?;
        }
        Ok(())
    }

    fn people(&mut self) -> io::Result<()> {
        for card in inputs("card", "card") {
            self.add("card", &[&card])?;
            let size = [2000, 4000, 6000].iter().filter(|least| card.len() > **least).count();
            let length = (card.len() as u16).to_be_bytes();
            self.add("card_drop", &[&[size as u8, 0], &length, &card])?;
        }
        for invite in inputs("invite", "bytes") {
            self.add("invite", &[&invite])?;
            self.add("invite", &[&invite[..invite.len().saturating_sub(4)]])?;
        }
        for vector in vectors("invite") {
            let texts = [&vector["text"], &vector["output"]["text"]];
            for text in texts.into_iter().filter_map(Value::as_str) {
                self.add("invite_text", &[text.as_bytes()])?;
            }
        }
        for authority in inputs("relay", "authority") {
            self.add("authority", &[&authority])?;
        }
        for text in ["relay.example:443", "[2001:db8::7]:8443", "192.0.2.7:1"] {
            self.add("authority", &[text.as_bytes()])?;
        }
        Ok(())
    }

    fn relays(&mut self) -> io::Result<()> {
        for envelope in inputs("envelope", "bytes") {
            let sync = v1::SyncRequest { stamp: vec![1; 16], envelope: envelope.clone() };
            self.add("rpc_request", &[&[1], &sync.encode_to_vec()])?;
            let step = v1::PullEnvelope { seq: 7, envelope };
            let step = Some(v1::pull_response::Step::Envelope(step));
            self.add("rpc_response", &[&[2], &v1::PullResponse { step }.encode_to_vec()])?;
        }
        for vector in vectors("relay") {
            let bytes = |name: &str| hex(&vector[name]);
            let (authority, signature) = (bytes("authority"), bytes("signature"));
            let number = |name: &str| vector[name].as_u64().unwrap_or(3);
            match vector["proof"].as_str() {
                Some("info") => {
                    let question = v1::GetInfoRequest { nonce: bytes("nonce"), authority };
                    self.add("rpc_request", &[&[0], &question.encode_to_vec()])?;
                    let info = v1::GetInfoResponse {
                        relay_key: bytes("key"),
                        now: number("now"),
                        epoch: bytes("epoch"),
                        versions: vec![1],
                        onion: bytes("onion"),
                        onion_port: number("onion_port") as u32,
                        signature,
                        authorities: vec![question.authority],
                        limits: Some(v1::RelayLimits::default()),
                    };
                    self.add("rpc_response", &[&[0], &info.encode_to_vec()])?;
                }
                Some("pull") => {
                    let proof = v1::PullProof {
                        mailbox: bytes("key"),
                        client_nonce: bytes("client_nonce"),
                        authority,
                        consumer: bytes("consumer"),
                        deposit_key: bytes("deposit_key"),
                        signature,
                    };
                    let step = Some(v1::pull_request::Step::Proof(proof));
                    self.add("rpc_request", &[&[2], &v1::PullRequest { step }.encode_to_vec()])?;
                }
                Some("receipt") => {
                    let list = v1::ReceiptList {
                        time: number("time"),
                        store_until: number("store_until"),
                        stored: vec![1; 64],
                        duplicates: vec![2; 32],
                        signature,
                    };
                    let form = Some(v1::storage_receipt::Form::List(list));
                    let id = vec![3; 32];
                    let refusal = v1::Refusal { id, reason: 2, retry_after_s: 60 };
                    let answer = v1::SyncResponse {
                        now: number("time"),
                        receipt: Some(v1::StorageReceipt { form }),
                        refusals: vec![refusal],
                    };
                    self.add("rpc_response", &[&[1], &answer.encode_to_vec()])?;
                }
                _ => {}
            }
        }
        for vector in vectors("drop") {
            let (mailbox, blob) = (hex(&vector["mailbox"]), hex(&vector["blob"]));
            let put = v1::PutCardRequest { mailbox, seq: 9, blob, signature: vec![4; 64] };
            self.add("rpc_request", &[&[4], &put.encode_to_vec()])?;
            let found = v1::GetCardResponse { seq: 9, blob: put.blob, signature: put.signature };
            self.add("rpc_response", &[&[4], &found.encode_to_vec()])?;
        }
        let asked = v1::GetCardRequest { mailbox: vec![1; 32] };
        self.add("rpc_request", &[&[5], &asked.encode_to_vec()])?;
        let purge = v1::PurgeRequest { keys: vec![vec![1; 32], vec![2; 32]] };
        self.add("rpc_request", &[&[3], &purge.encode_to_vec()])?;
        let step = v1::PullAck { epoch: vec![1; 16], up_to: 5 };
        let step = Some(v1::pull_request::Step::Ack(step));
        self.add("rpc_request", &[&[2], &v1::PullRequest { step }.encode_to_vec()])?;
        let answer = v1::PutCardResponse { result: 1, seq: 9 };
        self.add("rpc_response", &[&[3], &answer.encode_to_vec()])
    }

    fn local(&mut self) -> io::Result<()> {
        for line in LINES {
            self.add("control", &[line.as_bytes()])?;
        }
        let switched_on = TEMPLATE.replace("\n# ", "\n").replace("\n#", "\n");
        for text in [TEMPLATE, &switched_on, SETTINGS] {
            self.add("settings", &[text.as_bytes()])?;
        }
        for kind in 0..tortalk_store::fuzzing::ROWS {
            for length in [16, 32, 100, 180, 260] {
                self.add("row", &[&[kind, 1], &vec![0; length]])?;
            }
        }
        for envelope in inputs("envelope", "bytes") {
            let length = (envelope.len() as u32).to_be_bytes();
            self.add("row", &[&[14, 1], &length, &envelope])?;
            self.add("row", &[&[10, 1, 3, 2], &[0, 0, 0, 0, 0], &length, &envelope])?;
        }
        Ok(())
    }

    /// Nothing is known about these beforehand: some bytes of several lengths.
    fn machines(&mut self) -> io::Result<()> {
        for target in ["relay_rules", "mesh_events", "mesh_world"] {
            for seed in 0..24_u8 {
                let row = (0..4 + u32::from(seed % 8)).flat_map(|at| {
                    *Envelope::id_of(&[&[seed][..], &at.to_be_bytes()].concat()).as_bytes()
                });
                self.add(target, &[&row.collect::<Vec<u8>>()])?;
            }
        }
        Ok(())
    }
}

fn me_bytes(key: &tortalk_model::IdentityKey) -> &[u8] {
    key.as_bytes()
}

/// An envelope with this plaintext, for the key that the target has.
fn sealed(mut plain: Vec<u8>) -> Vec<u8> {
    let bucket = tortalk_model::limits::bucket_for(plain.len()).expect("a short message");
    plain.resize(bucket, 0);
    let key = SealingSecret::from_seed([2; 32]);
    let header = EnvelopeHeader {
        suite: 1,
        mailbox: MailboxKey::from_bytes([1; 32]),
        key_id: key.key_id(),
        expires_at: UnixMillis(3_600_000),
        purge_hash: purge_hash(&PurgeKey::from_bytes([8; 32])),
        ext: Vec::new(),
    };
    let sealed = seal_plaintext(&key, &header, &plain);
    Envelope::build(&header, &sealed).expect("a bucket").into_bytes()
}

/// The inputs of a file's vectors, each with its output beside them.
fn vectors(name: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors");
    let text = fs::read_to_string(root.join(format!("{name}.json"))).expect("a file of vectors");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let all = file["vectors"].as_array().expect("a list of vectors").iter();
    all.map(|vector| {
        let mut input = vector["input"].clone();
        input["output"] = vector["output"].clone();
        input
    })
    .collect()
}

fn inputs(name: &str, field: &str) -> Vec<Vec<u8>> {
    vectors(name)
        .iter()
        .filter(|one| one.get(field).is_some())
        .map(|one| hex(&one[field]))
        .collect()
}

fn hex(value: &Value) -> Vec<u8> {
    value.as_str().map_or_else(Vec::new, |text| {
        HEXLOWER.decode(text.as_bytes()).expect("bytes in vectors are hexadecimal")
    })
}

const LINES: &[&str] = &[
    r#"{"id":1,"do":"status"}"#,
    r#"{"id":18446744073709551615,"do":"address"}"#,
    r#"{"id":2,"do":"contact","who":"bob"}"#,
    r#"{"id":3,"do":"add","address":"mesh:abc","name":"b","text":"hi"}"#,
    r#"{"id":4,"do":"accept","who":"0123abcd"}"#,
    r#"{"id":5,"do":"import","card":"AAAA","name":""}"#,
    r#"{"id":6,"do":"rename","who":"bob","name":"b\u00e9"}"#,
    r#"{"id":7,"do":"verify","who":"bob","yes":true}"#,
    r#"{"id":8,"do":"send","to":"bob","text":"a\nb"}"#,
    r#"{"id":9,"do":"history","with":"bob","before":3,"limit":5,"search":"x y"}"#,
    r#"{"id":10,"do":"message","message_id":"00ff"}"#,
    r#"{"id":11,"do":"visibility","value":"contacts"}"#,
    r#"{"id":12,"do":"dial","address":"192.0.2.7:45454"}"#,
    r#"{"id":13,"do":"events"}"#,
    r#"{"do":"stop"}"#,
    r#"{"id":-1,"do":"stop","x":[{}]}"#,
    "not json",
];

const SETTINGS: &str = r#"[identity]
path = "a/b"
[network]
tcp_port = 45454
interfaces = ["lo"]
visibility = "nobody"
peers = ["192.168.1.7:45454", "[fe80::1]:1"]
[server]
url = "https://relay.example:8443"
tor_socks = "socks5h://127.0.0.1:9050"
[user]
username = "x"
[[relays]]
url = "http://a.example:80"
insecure = true
"#;
