//! spec/vectors/relay.json

use tortalk_keys::relay::{Authority, RelayError, RelayHost};
use tortalk_keys::relay_proof::{card_drop, info, pull, receipt};
use tortalk_keys::{MailboxSecret, RelaySecret, Signature, mailbox_proof};
use tortalk_model::bytes::Writer;
use tortalk_model::{EnvelopeId, Epoch, MailboxKey, RelayKey, UnixMillis};
use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};

const ABOUT: &str = "input.proof says what is checked: authority (bytes are the layout), \
    relay-info, relay-receipt, relay-pull and card-drop (a signature is valid for the other \
    inputs; ids are concatenated, versions are u16 each, an empty onion or deposit_key is none).";

#[test]
fn relay_vectors() {
    check("relay.json", ABOUT, vectors(), run);
}

fn run(vector: &Vector) -> Outcome {
    let verified = match vector.str("proof") {
        "authority" => return run_authority(vector),
        "relay-info" => run_info(vector),
        "relay-receipt" => run_receipt(vector),
        "relay-pull" => run_pull(vector),
        "card-drop" => card_drop::verify(
            &MailboxKey::from_bytes(vector.array("key")),
            number(vector, "seq"),
            &vector.bytes("blob"),
            &signature(vector),
        )
        .is_ok(),
        other => panic!("{}: no proof is called {other}", vector.id),
    };
    if verified { Outcome::ok() } else { Verdict::Signature.into() }
}

fn run_authority(vector: &Vector) -> Outcome {
    match Authority::parse(&vector.bytes("authority")) {
        Ok(authority) => Outcome::ok().hex("again", authority.to_bytes()),
        Err(RelayError::Layout(_)) => Verdict::Decode.into(),
        Err(_) => Verdict::Rule.into(),
    }
}

fn run_info(vector: &Vector) -> bool {
    let versions: Vec<u16> = vector
        .bytes("versions")
        .chunks(2)
        .map(|pair| u16::from_be_bytes(pair.try_into().expect("pairs of bytes")))
        .collect();
    let onion = vector.bytes("onion");
    let onion = (!onion.is_empty()).then(|| {
        let port = u16::try_from(vector.u64("onion_port")).expect("a port");
        (onion.try_into().expect("32 bytes"), port)
    });
    let claim = info::InfoClaim {
        nonce: &vector.array("nonce"),
        authority: &authority_of(vector),
        now: UnixMillis(number(vector, "now")),
        epoch: Epoch::from_bytes(vector.array("epoch")),
        versions: &versions,
        onion,
    };
    info::verify(&RelayKey::from_bytes(vector.array("key")), &claim, &signature(vector)).is_ok()
}

fn run_receipt(vector: &Vector) -> bool {
    let ids: Vec<EnvelopeId> = vector
        .bytes("ids")
        .chunks(32)
        .map(|id| EnvelopeId::try_from(id).expect("whole ids"))
        .collect();
    let claim = receipt::ReceiptClaim {
        time: UnixMillis(number(vector, "time")),
        store_until: UnixMillis(number(vector, "store_until")),
        ids: &ids,
    };
    receipt::verify(&RelayKey::from_bytes(vector.array("key")), &claim, &signature(vector)).is_ok()
}

fn run_pull(vector: &Vector) -> bool {
    let deposit_key: Option<[u8; 32]> = vector.bytes("deposit_key").try_into().ok();
    let claim = pull::PullClaim {
        relay: RelayKey::from_bytes(vector.array("relay")),
        authority: &authority_of(vector),
        challenge: &vector.array("challenge"),
        client_nonce: &vector.array("client_nonce"),
        mailbox: MailboxKey::from_bytes(vector.array("key")),
        consumer: vector.array("consumer"),
        deposit_key: deposit_key.as_ref(),
    };
    pull::verify(&claim, &signature(vector)).is_ok()
}

fn authority_of(vector: &Vector) -> Authority {
    Authority::parse(&vector.bytes("authority")).expect("these vectors have well-formed ones")
}

fn signature(vector: &Vector) -> Signature {
    Signature::from_bytes(vector.array("signature"))
}

/// Numbers of 64 bits stand as 8 bytes, since not every JSON reader is exact.
fn number(vector: &Vector, name: &str) -> u64 {
    u64::from_be_bytes(vector.array(name))
}

fn vectors() -> Vec<Vector> {
    let mut vectors = authorities();
    vectors.extend(infos());
    vectors.extend(receipts());
    vectors.extend(pulls());
    vectors.extend(card_drops());
    vectors
}

fn authorities() -> Vec<Vector> {
    let ok = |id, comment, host| {
        let bytes = Authority::new(host, 8443).expect("well-formed").to_bytes();
        Vector::ok(id, &["RLY-05"], comment)
            .text("proof", "authority")
            .hex("authority", &bytes)
            .gives_hex("again", bytes)
    };
    let refused = |id, req: &[&str], comment, expect, bytes: Vec<u8>| {
        Vector::refused(id, req, comment, expect).text("proof", "authority").hex("authority", bytes)
    };
    let raw = |kind: u8, address: &[u8], port: u16| {
        Writer::new().u8(kind).bytes8(address).u16(port).into_vec()
    };
    let good = raw(1, b"relay.example", 8443);
    let (decode, rule) = (Verdict::Decode, Verdict::Rule);
    vec![
        ok("authority-name", "a host name", RelayHost::Name("relay.example".to_owned())),
        ok("authority-ipv6", "an address without brackets", RelayHost::Name("::1".to_owned())),
        ok("authority-onion", "an onion service", RelayHost::Onion([7; 32])),
        refused("authority-empty", &["RLY-05", "CNV-04"], "no byte", decode, Vec::new()),
        refused(
            "authority-short",
            &["RLY-05", "CNV-04"],
            "half a port",
            decode,
            good[..good.len() - 1].to_vec(),
        ),
        refused("authority-trailing", &["RLY-05", "CNV-05"], "a byte more", decode, {
            let mut bytes = good;
            bytes.push(0);
            bytes
        }),
        refused(
            "authority-long",
            &["RLY-05", "CNV-05"],
            "a host of 65 bytes",
            decode,
            raw(1, &[b'a'; 65], 1),
        ),
        refused("authority-kind", &["RLY-05", "IDN-21"], "kind 3", rule, raw(3, b"a", 1)),
        refused("authority-no-host", &["RLY-05", "IDN-22"], "no host", rule, raw(1, b"", 1)),
        refused("authority-upper", &["RLY-05", "IDN-22"], "an upper-case letter", rule, {
            raw(1, b"Relay.example", 1)
        }),
        refused("authority-brackets", &["RLY-05", "IDN-22"], "brackets", rule, raw(1, b"[::1]", 1)),
        refused("authority-onion-name", &["RLY-05", "IDN-23"], "an onion as a name", rule, {
            raw(1, b"abc.onion", 80)
        }),
        refused("authority-onion-short", &["RLY-05", "IDN-24"], "an onion of 31 bytes", rule, {
            raw(2, &[7; 31], 80)
        }),
        refused("authority-port", &["RLY-05", "IDN-25"], "port 0", rule, raw(1, b"a", 0)),
    ]
}

fn infos() -> Vec<Vector> {
    let base = |vector: Vector, versions: &[u16], onion: Option<([u8; 32], u16)>| {
        let claim = info::InfoClaim {
            nonce: &[0x11; 32],
            authority: &authority(),
            now: UnixMillis(1_700_000_000_000),
            epoch: Epoch::from_bytes([0xe0; 16]),
            versions,
            onion,
        };
        let (public, port) = onion.unzip();
        let versions: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
        vector
            .text("proof", "relay-info")
            .hex("key", relay().public().as_bytes())
            .hex("nonce", claim.nonce)
            .hex("authority", authority().to_bytes())
            .hex("now", claim.now.0.to_be_bytes())
            .hex("epoch", claim.epoch.as_bytes())
            .hex("versions", versions)
            .hex("onion", public.map_or(Vec::new(), Vec::from))
            .number("onion_port", port.unwrap_or(0).into())
            .hex("signature", info::sign(&relay(), &claim).as_bytes())
    };
    let ok = |id, comment, versions: &[u16], onion| {
        base(Vector::ok(id, &["RLY-01"], comment), versions, onion)
    };
    let refused = |id, comment| {
        base(Vector::refused(id, &["RLY-01"], comment, Verdict::Signature), &[1], None)
    };
    let onion = Some(([7; 32], 80));
    let of_receipt = {
        let claim = receipt::ReceiptClaim {
            time: UnixMillis(1_700_000_000_000),
            store_until: UnixMillis(0),
            ids: &[EnvelopeId::from_bytes([1; 32])],
        };
        *receipt::sign(&relay(), &claim).as_bytes()
    };
    vec![
        ok("info", "a relay's answer", &[1], None),
        ok("info-onion", "with an onion service", &[1], onion),
        ok(
            "info-versions",
            "with sixteen versions",
            &core::array::from_fn::<_, 16, _>(|i| i as u16),
            None,
        ),
        refused("info-nonce", "an answer to another question").hex("nonce", [0x12; 32]),
        refused("info-authority", "dialled at another address").hex("authority", other_authority()),
        refused("info-port", "dialled at another port").hex("authority", other_port()),
        refused("info-key", "another relay").hex("key", other_relay().as_bytes()),
        refused("info-now", "another time").hex("now", 1_700_000_000_001u64.to_be_bytes()),
        refused("info-epoch", "another database").hex("epoch", [0xe1; 16]),
        refused("info-version", "another version").hex("versions", [0, 2]),
        refused("info-versions-added", "one more version").hex("versions", [0, 1, 0, 2]),
        refused("info-versions-none", "no version").hex("versions", []),
        refused("info-onion-added", "an onion service put in").hex("onion", [7; 32]),
        base(
            Vector::refused("info-onion-removed", &["RLY-01"], "the onion service taken out", {
                Verdict::Signature
            }),
            &[1],
            onion,
        )
        .hex("onion", []),
        refused("info-label", "signed as a receipt").hex("signature", of_receipt),
    ]
}

fn receipts() -> Vec<Vector> {
    let ids = |count: u16| -> Vec<EnvelopeId> {
        (0..count)
            .map(|i| {
                let mut id = [0xe1; 32];
                id[..2].copy_from_slice(&i.to_be_bytes());
                EnvelopeId::from_bytes(id)
            })
            .collect()
    };
    let concat =
        |ids: &[EnvelopeId]| -> Vec<u8> { ids.iter().flat_map(|id| *id.as_bytes()).collect() };
    let base = |vector: Vector, ids: &[EnvelopeId]| {
        let claim = receipt::ReceiptClaim {
            time: UnixMillis(1_700_000_000_000),
            store_until: UnixMillis(1_701_296_000_000),
            ids,
        };
        vector
            .text("proof", "relay-receipt")
            .hex("key", relay().public().as_bytes())
            .hex("time", claim.time.0.to_be_bytes())
            .hex("store_until", claim.store_until.0.to_be_bytes())
            .hex("ids", concat(ids))
            .hex("signature", receipt::sign(&relay(), &claim).as_bytes())
    };
    let ok = |id, comment, count| base(Vector::ok(id, &["RLY-02"], comment), &ids(count));
    let refused =
        |id, comment| base(Vector::refused(id, &["RLY-02"], comment, Verdict::Signature), &ids(2));
    let mut swapped = ids(2);
    swapped.swap(0, 1);
    vec![
        ok("receipt-one", "one envelope", 1),
        ok("receipt-two", "two envelopes", 2),
        ok("receipt-most", "as many as one receipt holds", 256),
        refused("receipt-none", "no envelope").hex("ids", []),
        refused("receipt-too-many", "one envelope too many").hex("ids", concat(&ids(257))),
        refused("receipt-other", "another envelope").hex("ids", concat(&ids(3)[1..])),
        refused("receipt-added", "an envelope put in").hex("ids", concat(&ids(3))),
        refused("receipt-removed", "an envelope taken out").hex("ids", concat(&ids(1))),
        refused("receipt-order", "in another order").hex("ids", concat(&swapped)),
        refused("receipt-time", "stored earlier").hex("time", 1u64.to_be_bytes()),
        refused("receipt-until", "kept longer").hex("store_until", u64::MAX.to_be_bytes()),
        refused("receipt-key", "another relay").hex("key", other_relay().as_bytes()),
    ]
}

fn pulls() -> Vec<Vector> {
    let base = |vector: Vector, deposit_key: Option<&[u8; 32]>| {
        let claim = pull::PullClaim {
            relay: relay().public(),
            authority: &authority(),
            challenge: &[0xc1; 32],
            client_nonce: &[0xc2; 32],
            mailbox: mailbox().public(),
            consumer: [0; 8],
            deposit_key,
        };
        vector
            .text("proof", "relay-pull")
            .hex("key", claim.mailbox.as_bytes())
            .hex("relay", claim.relay.as_bytes())
            .hex("authority", authority().to_bytes())
            .hex("challenge", claim.challenge)
            .hex("client_nonce", claim.client_nonce)
            .hex("consumer", claim.consumer)
            .hex("deposit_key", deposit_key.map_or(&[][..], |key| &key[..]))
            .hex("signature", pull::sign(&mailbox(), &claim).as_bytes())
    };
    let ok = |id, comment, key| base(Vector::ok(id, &["RLY-03"], comment), key);
    let refused = |id, comment| {
        let vector = Vector::refused(id, &["RLY-03"], comment, Verdict::Signature);
        base(vector, Some(&[0xde; 32]))
    };
    let other = MailboxSecret::from_seed([7; 32]).public();
    let of_link = mailbox_proof::sign(
        &mailbox(),
        tortalk_keys::link_auth::Role::Initiator,
        &core::array::from_fn(|i| if i < 32 { 0xc1 } else { 0xc2 }),
    );
    let mut small_order = [0; 32];
    small_order[0] = 1;
    vec![
        ok("pull", "without a deposit key", None),
        ok("pull-deposit", "with a deposit key", Some(&[0xde; 32])),
        refused("pull-relay", "meant for another relay").hex("relay", other_relay().as_bytes()),
        refused("pull-authority", "meant for another address").hex("authority", other_authority()),
        refused("pull-port", "meant for another port").hex("authority", other_port()),
        refused("pull-challenge", "an answer to another challenge").hex("challenge", [0xc3; 32]),
        refused("pull-nonce", "another nonce").hex("client_nonce", [0xc3; 32]),
        refused("pull-nonces-swapped", "the two nonces in the wrong order")
            .hex("challenge", [0xc2; 32])
            .hex("client_nonce", [0xc1; 32]),
        refused("pull-mailbox", "another mailbox").hex("key", other.as_bytes()),
        refused("pull-small-order", "a mailbox key of small order").hex("key", small_order),
        refused("pull-consumer", "another consumer").hex("consumer", [1; 8]),
        refused("pull-deposit-other", "another deposit key").hex("deposit_key", [0xdf; 32]),
        refused("pull-deposit-removed", "the deposit key taken out").hex("deposit_key", []),
        refused("pull-label", "signed as a mailbox proof of a link")
            .hex("signature", of_link.as_bytes()),
    ]
}

fn card_drops() -> Vec<Vector> {
    let base = |vector: Vector, blob: &[u8]| {
        let seq = 1_700_000_000_000u64;
        vector
            .text("proof", "card-drop")
            .hex("key", mailbox().public().as_bytes())
            .hex("seq", seq.to_be_bytes())
            .hex("blob", blob)
            .hex("signature", card_drop::sign(&mailbox(), seq, blob).as_bytes())
    };
    let ok = |id, comment, blob: &[u8]| base(Vector::ok(id, &["RLY-04"], comment), blob);
    let refused = |id, req: &[&str], comment| {
        base(Vector::refused(id, req, comment, Verdict::Signature), b"sealed card")
    };
    let other = MailboxSecret::from_seed([7; 32]).public();
    vec![
        ok("drop", "a drop", b"sealed card"),
        ok("drop-largest", "as long as it may be", &[0xab; 8192]),
        refused("drop-blob", &["RLY-04"], "another blob").hex("blob", b"sealed cars"),
        refused("drop-longer", &["RLY-04"], "a byte more").hex("blob", b"sealed card\0"),
        refused("drop-seq", &["RLY-04"], "another sequence").hex("seq", 1u64.to_be_bytes()),
        refused("drop-key", &["RLY-04"], "another mailbox").hex("key", other.as_bytes()),
        base(Vector::refused("drop-empty", &["RLY-46"], "an empty blob", Verdict::Signature), b""),
        refused("drop-too-long", &["RLY-46"], "a blob of 8,193 bytes").hex("blob", [0xab; 8193]),
    ]
}

fn relay() -> RelaySecret {
    RelaySecret::from_seed([3; 32])
}

fn other_relay() -> RelayKey {
    RelaySecret::from_seed([7; 32]).public()
}

fn mailbox() -> MailboxSecret {
    MailboxSecret::from_seed([2; 32])
}

fn authority() -> Authority {
    Authority::new(RelayHost::Name("relay.example".to_owned()), 8443).expect("well-formed")
}

fn other_authority() -> Vec<u8> {
    let host = RelayHost::Name("other.example".to_owned());
    Authority::new(host, 8443).expect("well-formed").to_bytes()
}

fn other_port() -> Vec<u8> {
    let host = RelayHost::Name("relay.example".to_owned());
    Authority::new(host, 8444).expect("well-formed").to_bytes()
}
