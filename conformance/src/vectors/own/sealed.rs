//! Sealed messages as the vectors write them.

use serde_json::{Value, json};

use super::{Input, hex};
use crate::stack::envelope::{Envelope, envelope_id, key_id, purge_hash};
use crate::stack::seal::{self, Encapsulation, SealingKey, Signed};
use crate::stack::{Taken, body, crypto};

/// What `seal-long` gives.
const LONG_OUTPUT: [&str; 4] = ["enc", "message_id", "signed_hash", "envelope_id"];

pub(super) fn answer(input: &Input<'_>) -> Taken<Value> {
    let key = || SealingKey::new(&input.array("recipient_seed"));
    let info = input.bytes("info");
    match input.text("op") {
        "key" => {
            let public = input.bytes("public");
            seal::check_public(&public)?;
            Ok(json!({"key_id": hex(&key_id(&public))}))
        }
        "hpke-seal" => {
            let key = key();
            let encapsulation = Encapsulation::new(&key.public, &input.array("eseed"))?;
            let ciphertext = encapsulation.seal(&info, &[], &input.bytes("plaintext"));
            Ok(json!({
                "public": hex(&key.public),
                "enc": hex(&encapsulation.enc),
                "ciphertext": hex(&ciphertext),
            }))
        }
        "hpke-open" => {
            let (aad, ciphertext) = (input.bytes("aad"), input.bytes("ciphertext"));
            let plain = key().open(&input.bytes("enc"), &info, &aad, &ciphertext)?;
            Ok(json!({"plaintext": hex(&plain)}))
        }
        "seal" => seal_draft(input, &key()),
        "seal-long" => {
            let mut output = seal_draft(input, &key())?;
            let fields = output.as_object_mut().expect("an object");
            fields.retain(|name, _| LONG_OUTPUT.contains(&name.as_str()));
            Ok(output)
        }
        _ => {
            let envelope = Envelope::read(&input.bytes("envelope"))?;
            let opened = seal::open(&envelope, &key(), &input.array("me"))?;
            Ok(opened_output(&opened))
        }
    }
}

fn seal_draft(input: &Input<'_>, key: &SealingKey) -> Taken<Value> {
    let public = key.public.as_slice();
    const HOUR: u64 = crate::stack::envelope::HOUR_MS;
    let seed = input.array("sender_seed");
    let body_type = input.number("body_type") as u16;
    let visible = body::visible(body_type);
    let signed = Signed {
        layout: 1,
        audience_kind: 0,
        audience: input.array("audience"),
        sender: crypto::public(&seed),
        device_id: input.array("device_id"),
        nonce: input.array("nonce"),
        sent_at: input.number("sent_at"),
        chain_id: if visible { input.array("chain_id") } else { [0; 8] },
        counter: if visible { input.number("counter") } else { 0 },
        body_type,
        body: [input.bytes("body"), vec![0; input.number("zeros") as usize]].concat(),
    };
    let bytes = signed.bytes();
    let signature = seal::sign_message(&seed, &bytes);
    let purge_key = input.array("purge_key");
    let mut envelope = Envelope {
        layout: 1,
        suite: 1,
        mailbox: input.array("mailbox"),
        key_id: key_id(public),
        expires_at: input.number("expires_at").div_ceil(HOUR) * HOUR,
        purge_hash: purge_hash(&purge_key),
        ext: Vec::new(),
        sealed: Vec::new(),
    };
    let plain = seal::plaintext(&purge_key, &bytes, &signature);
    seal::seal_into(&mut envelope, public, &input.array("eseed"), &plain)?;
    let again = Envelope::read(&envelope.bytes())?;
    seal::open(&again, key, &signed.audience)?;
    let (enc, ciphertext) = envelope.sealed.split_at(seal::ENC_LEN);
    Ok(json!({
        "signed": hex(&bytes),
        "signature": hex(&signature),
        "message_id": hex(&signed.message_id()),
        "signed_hash": hex(&seal::signed_hash(&bytes)),
        "info": hex(&seal::info(&envelope.header())),
        "key_id": hex(&envelope.key_id),
        "enc": hex(enc),
        "ciphertext": hex(ciphertext),
        "envelope_id": hex(&envelope_id(&envelope.bytes())),
    }))
}

fn opened_output(opened: &seal::Opened) -> Value {
    let signed = &opened.signed;
    json!({
        "sender": hex(&signed.sender),
        "device_id": hex(&signed.device_id),
        "sent_at": signed.sent_at,
        "chain_id": hex(&signed.chain_id),
        "counter": signed.counter,
        "body_type": signed.body_type,
        "body": hex(&signed.body),
        "purge_key": hex(&opened.purge_key),
        "message_id": hex(&signed.message_id()),
        "signed_hash": hex(&seal::signed_hash(&opened.signed_bytes)),
    })
}
