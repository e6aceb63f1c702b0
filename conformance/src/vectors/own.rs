//! The vectors' answers of this suite's own stack.

mod frames;
mod sealed;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::Answer;
use crate::stack::body::{self, Body};
use crate::stack::card::Card;
use crate::stack::envelope::{Envelope, envelope_id, key_id, purge_hash};
use crate::stack::invite::Invite;
use crate::stack::link::{End, Who};
use crate::stack::noise::Role;
use crate::stack::relay::{Authority, Info, PullProof, RelayEntry};
use crate::stack::{Taken, beacon, crypto, decode, drop, proofs, relay, rule, v1};

/// What the suite's stack says to a vector's input.
#[must_use]
pub fn answer(object: &str, input: &Value) -> Answer {
    let input = Input(input);
    let taken = match object {
        "beacon" => beacon(&input),
        "body" => body(&input),
        "card" => card(&input),
        "drop" => card_drop(&input),
        "envelope" => envelope(&input),
        "frame" => {
            let times = input.0.get("times").map_or(1, |_| input.number("times") as usize);
            frames::answer(&input.bytes("stream").repeat(times))
        }
        "invite" => invite(&input),
        "link" => link(&input),
        "proof" => proof(&input),
        "relay" => relay_object(&input),
        "rpc" => rpc(&input),
        "sealed" => sealed::answer(&input),
        _ => Err(decode("no such object")),
    };
    match taken {
        Ok(output) => Answer {
            verdict: "ok".to_owned(),
            output: output.as_object().cloned().unwrap_or_default(),
        },
        Err(refused) => Answer { verdict: refused.class.word().to_owned(), output: Map::new() },
    }
}

/// A vector's input, read leniently: what is missing is empty.
struct Input<'a>(&'a Value);

impl Input<'_> {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        HEXLOWER.decode(self.text(name).as_bytes()).unwrap_or_default()
    }

    /// Bytes of a fixed length; others give zeros, which no vector wants.
    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or([0; N])
    }

    fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_default()
    }

    /// A `u64` that is written as 8 bytes.
    fn big(&self, name: &str) -> u64 {
        u64::from_be_bytes(self.array(name))
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn beacon(input: &Input<'_>) -> Taken<Value> {
    let beacon = beacon::read(&input.bytes("datagram"))?;
    let instance_id = hex(&beacon.instance_id);
    Ok(json!({"version": beacon.version, "port": beacon.port, "instance_id": instance_id}))
}

fn body(input: &Input<'_>) -> Taken<Value> {
    let kind = input.number("body_type") as u16;
    let bytes = input.bytes("bytes");
    let mut output = match Body::read(kind, &bytes)? {
        Body::Text(text) => json!({"text": text}),
        Body::Receipt(entries) => {
            let last = entries.last().expect("a receipt has an entry");
            json!({
                "count": entries.len(),
                "last_kind": last.kind,
                "last_message_id": hex(&last.message_id),
                "last_signed_hash": hex(&last.signed_hash),
            })
        }
        Body::ContactRequest { text, card } => json!({"text": text, "card": hex(&card)}),
        Body::ContactAccept { request, card } => {
            json!({"request": hex(&request), "card": hex(&card)})
        }
        Body::Card(card) => json!({"card": hex(&card)}),
        Body::ResendRequest { chain_id, from, to } => {
            json!({"chain_id": hex(&chain_id), "from": from, "to": to})
        }
        Body::Unknown => json!({"unknown": hex(&bytes)}),
    };
    output["visible"] = body::visible(kind).into();
    output["receipt"] = body::confirmed(kind).into();
    Ok(output)
}

fn card(input: &Input<'_>) -> Taken<Value> {
    /// One hour after 2026-01-01T00:00:00Z.
    const NOW: u64 = 1_767_225_600_000 + 3_600_000;
    let card = Card::read(&input.bytes("card"))?;
    let mailbox = |kind| card.mailbox(kind).map(|key| hex(&key));
    let newest = card.sealing_at(NOW).map(|key| hex(&key_id(&key.public))).unwrap_or_default();
    let contact = card.contact.as_ref().map(|part| {
        json!({
            "deposit_key": hex(&part.deposit_key),
            "read_key": hex(&part.read_key),
            "relays": part.relays.len(),
            "onion_port": part.onion.as_ref().map(|onion| onion.port),
        })
    });
    Ok(json!({
        "kind": if card.kind == 0 { "intro" } else { "contact" },
        "identity": hex(&card.identity),
        "seq": hex(&card.seq.to_be_bytes()),
        "name": String::from_utf8_lossy(&card.name),
        "intro_mailbox": mailbox(0),
        "contact_mailbox": mailbox(1),
        "newest_key_id": newest,
        "contact": contact,
        "features": hex(&card.features),
        "ext": hex(&card.ext),
    }))
}

fn card_drop(input: &Input<'_>) -> Taken<Value> {
    let (mailbox, seq) = (input.array("mailbox"), input.number("seq"));
    let bytes = drop::open(&input.array("read_key"), &mailbox, seq, &input.bytes("blob"))?;
    let card = Card::read(&bytes)?;
    if (card.identity, card.kind) != (input.array("identity"), kind_of(input.text("kind"))) {
        return Err(rule("RLC-19: another card than the one that is looked for"));
    }
    if card.seq != seq {
        return Err(rule("RLC-19: another sequence than the drop's"));
    }
    Ok(json!({"card": hex(&bytes)}))
}

fn envelope(input: &Input<'_>) -> Taken<Value> {
    let bytes = [input.bytes("bytes"), vec![0; input.number("zeros") as usize]].concat();
    match input.text("op") {
        "parse" => {
            let envelope = Envelope::read(&bytes)?;
            Ok(json!({
                "envelope_id": hex(&envelope_id(&bytes)),
                "suite": envelope.suite,
                "mailbox": hex(&envelope.mailbox),
                "key_id": hex(&envelope.key_id),
                "expires_at": envelope.expires_at,
                "purge_hash": hex(&envelope.purge_hash),
                "ext": hex(&envelope.ext),
                "sealed_len": envelope.sealed.len(),
            }))
        }
        "purge" => {
            if purge_hash(&input.array("purge_key")) != Envelope::read(&bytes)?.purge_hash {
                return Err(rule("ENV-06: not the purge key"));
            }
            Ok(json!({}))
        }
        "purge-hash" => Ok(json!({"purge_hash": hex(&purge_hash(&input.array("purge_key")))})),
        _ => Ok(json!({"key_id": hex(&key_id(&input.bytes("public")))})),
    }
}

fn relay_entry(entry: &RelayEntry) -> Value {
    let Authority { kind, address, port } = &entry.authority;
    let key = hex(&entry.key);
    match kind {
        1 => json!({"host": String::from_utf8_lossy(address), "port": port, "key": key}),
        _ => json!({"onion": hex(address), "port": port, "key": key}),
    }
}

fn invite(input: &Input<'_>) -> Taken<Value> {
    let invite = match input.0.get("text") {
        Some(text) => Invite::read_text(text.as_str().unwrap_or_default())?,
        None => Invite::read(&input.bytes("bytes"))?,
    };
    let text = invite.text();
    let mut output = json!({"qr": text.to_uppercase(), "text": text});
    match &invite {
        Invite::Bare { identity } => output["identity"] = hex(identity).into(),
        Invite::Full { identity, intro_mailbox, read_key, relays } => {
            output["identity"] = hex(identity).into();
            output["intro_mailbox"] = hex(intro_mailbox).into();
            output["read_key"] = hex(read_key).into();
            output["relays"] = relays.iter().map(relay_entry).collect();
        }
    }
    Ok(output)
}

fn role(word: &str) -> Role {
    if word == "initiator" { Role::Initiator } else { Role::Responder }
}

fn link(input: &Input<'_>) -> Taken<Value> {
    let who = Who {
        identity_seed: input.array("identity_seed"),
        device_id: input.array("device_id"),
        instance_id: input.array("instance_id"),
    };
    let mut end = End::new(role(input.text("role")), who, input.array("ephemeral"));
    let mut writes = vec![hex(&end.start())];
    for flight in input.0["receives"].as_array().into_iter().flatten() {
        let bytes = HEXLOWER.decode(flight.as_str().unwrap_or_default().as_bytes());
        writes.push(hex(&end.flight(&bytes.unwrap_or_default())?));
    }
    let given: Vec<String> = end.given.iter().map(|frame| hex(&frame.bytes())).collect();
    Ok(json!({
        "writes": writes,
        "frames": given,
        "handshake_hash": end.handshake_hash().map(|hash| hex(&hash)),
        "peer": end.peer.map(|peer| hex(&peer)),
    }))
}

fn kind_of(word: &str) -> u8 {
    u8::from(word == "contact")
}

fn proof(input: &Input<'_>) -> Taken<Value> {
    let key: [u8; 32] = input.array("key");
    let signature: [u8; 64] = input.array("signature");
    let nothing = |()| json!({});
    match input.text("proof") {
        "key" => crypto::valid_key(&key).map(|_| json!({})),
        "hash" => {
            let label = match input.text("label") {
                "" => Vec::new(),
                text => HEXLOWER.decode(text.as_bytes()).unwrap_or_else(|_| text.into()),
            };
            let parts: [&[u8]; 2] = [&label, &input.bytes("data")];
            let hash = match input.0.get("key") {
                Some(_) => crypto::keyed(&key, &parts),
                None => crypto::blake2b_256(&parts),
            };
            Ok(json!({"hash": hex(&hash)}))
        }
        "message" => {
            let signed = input.bytes("signed");
            crypto::verify(&key, "sign/message", &[&signed], &signature).map(nothing)
        }
        "link-auth" => proofs::LinkAuth {
            role: role(input.text("role")),
            identity: key,
            device_id: input.array("device_id"),
            instance_id: input.array("instance_id"),
            initiator_payload: &input.bytes("initiator_payload"),
            responder_payload: &input.bytes("responder_payload"),
            handshake_hash: &input.bytes("handshake_hash"),
        }
        .verify(&signature)
        .map(nothing),
        "mailbox-proof" => {
            let hash = input.bytes("handshake_hash");
            proofs::verify_mailbox(&key, role(input.text("role")), &hash, &signature).map(nothing)
        }
        "mailbox-owner" => {
            let kind = kind_of(input.text("kind"));
            proofs::verify_owner(&key, &input.array("identity"), kind, &signature).map(nothing)
        }
        "stamp" => {
            let (deposit_key, id) = (input.array("deposit_key"), input.array("envelope_id"));
            proofs::check_stamp(&deposit_key, &id, &input.bytes("stamp")).map(nothing)
        }
        _ => Ok(json!({"number": proofs::safety_number(&input.array("a"), &input.array("b"))})),
    }
}

fn relay_object(input: &Input<'_>) -> Taken<Value> {
    let key: [u8; 32] = input.array("key");
    let signature: [u8; 64] = input.array("signature");
    let nothing = |()| json!({});
    match input.text("proof") {
        "authority" => {
            let authority = Authority::read(&input.bytes("authority"))?;
            Ok(json!({"again": hex(&authority.bytes())}))
        }
        "relay-info" => {
            let versions: Vec<u16> = input
                .bytes("versions")
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            let onion = input.bytes("onion");
            let port = input.number("onion_port") as u16;
            Info {
                nonce: &input.bytes("nonce"),
                authority: &input.bytes("authority"),
                now: input.big("now"),
                epoch: &input.bytes("epoch"),
                versions: &versions,
                onion: (!onion.is_empty()).then_some((onion.as_slice(), port)),
            }
            .verify(&key, &signature)
            .map(nothing)
        }
        "relay-receipt" => {
            let (time, until) = (input.big("time"), input.big("store_until"));
            relay::verify_receipt(&key, time, until, &input.bytes("ids"), &signature).map(nothing)
        }
        "relay-pull" => {
            let deposit_key = input.bytes("deposit_key");
            PullProof {
                relay: &input.bytes("relay"),
                authority: &input.bytes("authority"),
                challenge: &input.bytes("challenge"),
                client_nonce: &input.bytes("client_nonce"),
                mailbox: &key,
                consumer: &input.bytes("consumer"),
                deposit_key: (!deposit_key.is_empty()).then_some(deposit_key.as_slice()),
            }
            .verify(&signature)
            .map(nothing)
        }
        _ => relay::verify_drop(&key, input.big("seq"), &input.bytes("blob"), &signature)
            .map(nothing),
    }
}

/// A message of `relay.proto`, read and written anew.
fn rpc(input: &Input<'_>) -> Taken<Value> {
    fn again<M: prost::Message + Default>(bytes: &[u8]) -> Taken<Value> {
        let message = M::decode(bytes).map_err(|_| decode("CNV-18: it does not parse"))?;
        Ok(json!({"again": hex(&message.encode_to_vec())}))
    }
    let bytes = &input.bytes("bytes");
    match input.text("type") {
        "GetInfoRequest" => again::<v1::GetInfoRequest>(bytes),
        "GetInfoResponse" => again::<v1::GetInfoResponse>(bytes),
        "SyncRequest" => again::<v1::SyncRequest>(bytes),
        "SyncResponse" => again::<v1::SyncResponse>(bytes),
        "PullRequest" => again::<v1::PullRequest>(bytes),
        "PullResponse" => again::<v1::PullResponse>(bytes),
        "PurgeRequest" => again::<v1::PurgeRequest>(bytes),
        "PutCardRequest" => again::<v1::PutCardRequest>(bytes),
        "PutCardResponse" => again::<v1::PutCardResponse>(bytes),
        "GetCardRequest" => again::<v1::GetCardRequest>(bytes),
        "GetCardResponse" => again::<v1::GetCardResponse>(bytes),
        _ => Err(decode("no such message")),
    }
}
