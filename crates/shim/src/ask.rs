//! What a client asks, and how it is answered: lines of JSON.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One request of the client.
#[derive(Debug, Deserialize)]
#[serde(tag = "do")]
pub(crate) enum Ask {
    #[serde(rename = "hello")]
    Hello,
    #[serde(rename = "clock.set")]
    ClockSet { unix_ms: u64 },
    #[serde(rename = "clock.advance")]
    ClockAdvance { ms: u64 },
    #[serde(rename = "identity.import")]
    IdentityImport { seed: Hex32, intro: Hex32, contact: Hex32, sealing: Hex32 },
    #[serde(rename = "card.export")]
    CardExport,
    #[serde(rename = "contacts.add")]
    ContactsAdd {
        invite: String,
        #[serde(default)]
        text: String,
    },
    #[serde(rename = "contacts.import")]
    ContactsImport { card: String },
    #[serde(rename = "contacts.remove")]
    ContactsRemove { identity: String },
    #[serde(rename = "contacts.block")]
    ContactsBlock { identity: String },
    #[serde(rename = "contacts.unblock")]
    ContactsUnblock { identity: String },
    #[serde(rename = "requests.list")]
    RequestsList,
    #[serde(rename = "requests.accept")]
    RequestsAccept { identity: String },
    #[serde(rename = "requests.decline")]
    RequestsDecline { identity: String },
    #[serde(rename = "send")]
    Send { identity: String, text: String },
    #[serde(rename = "state")]
    State { message_id: String },
    #[serde(rename = "cancel")]
    Cancel { message_id: String },
    #[serde(rename = "inbox")]
    Inbox { identity: String },
    #[serde(rename = "missing")]
    Missing { identity: String },
    #[serde(rename = "counters")]
    Counters,
    /// Something that no version of the annex has, or a newer one.
    #[serde(other)]
    Unknown,
}

/// 32 bytes, as 64 hexadecimal digits.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Hex32(pub(crate) [u8; 32]);

impl TryFrom<String> for Hex32 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = zeroize::Zeroizing::new(text);
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.map(zeroize::Zeroizing::new).ok();
        let array = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        array.map(Self).ok_or_else(|| "a seed has 64 hexadecimal digits".to_owned())
    }
}

/// They are secrets.
impl core::fmt::Debug for Hex32 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hex32")
    }
}

/// Why something was not done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This target has no such thing.
    Unsupported,
    /// No such person, message or request.
    Unknown,
    /// Why, for people.
    Refused(String),
}

/// What is answered.
pub(crate) type Answer = Result<Value, Refusal>;

/// The request of a line, with the number that its answer bears.
///
/// # Errors
/// The answer to a line that is none.
pub(crate) fn read(line: &[u8]) -> Result<(u64, Ask), (Value, Refusal)> {
    let refused = |id: Value, why: String| (id, Refusal::Refused(why));
    let mut fields: Map<String, Value> = serde_json::from_slice(line)
        .map_err(|error| refused(Value::Null, format!("not a JSON object ({error})")))?;
    let id = fields.remove("id").and_then(|id| id.as_u64());
    let id = id.ok_or_else(|| refused(Value::Null, "`id` is no whole number".to_owned()))?;
    let ask = serde_json::from_value(Value::Object(fields));
    Ok((id, ask.map_err(|error| refused(json!(id), error.to_string()))?))
}

/// The line of an answer, with its newline.
pub(crate) fn line(id: &Value, answer: &Answer) -> Vec<u8> {
    let value = match answer {
        Ok(ok) => json!({"id": id, "ok": ok}),
        Err(Refusal::Unsupported) => json!({"id": id, "error": "unsupported"}),
        Err(Refusal::Unknown) => json!({"id": id, "error": "unknown"}),
        Err(Refusal::Refused(why)) => json!({"id": id, "error": "refused", "why": why}),
    };
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_request_is_unsupported_and_a_bad_one_is_refused() {
        let (id, ask) = read(br#"{"id":2,"do":"no-such-thing-5f0c","x":1}"#).unwrap();
        assert!(id == 2 && matches!(ask, Ask::Unknown));
        let (id, refusal) = read(br#"{"id":3,"do":"send","identity":"aa"}"#).unwrap_err();
        assert!(id == 3 && matches!(&refusal, Refusal::Refused(why) if why.contains("text")));
        let (id, _) = read(b"nonsense").unwrap_err();
        assert_eq!(id, Value::Null);
        let seed = "00".repeat(31);
        let short = json!({"id": 4, "do": "identity.import", "seed": seed, "intro": seed,
            "contact": seed, "sealing": seed});
        assert!(read(short.to_string().as_bytes()).is_err());
    }

    #[test]
    fn answers_are_lines() {
        assert_eq!(line(&json!(1), &Ok(json!({}))), b"{\"id\":1,\"ok\":{}}\n");
        let unsupported = line(&json!(2), &Err(Refusal::Unsupported));
        assert_eq!(unsupported, b"{\"error\":\"unsupported\",\"id\":2}\n");
    }
}
