//! How long sealing and opening take on this machine:
//! `cargo run --release -p tortalk-seal --example seal_speed`.

// A stopwatch is the point of this program.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::time::Instant;

use tortalk_keys::IdentitySecret;
use tortalk_model::limits::BUCKETS;
use tortalk_model::{ChainId, DeviceId, MailboxKey, Nonce, UnixMillis};
use tortalk_seal::{Body, Draft, Recipient, SealingSecret, SignedMessage, open, seal};
use tortalk_testkit::Seeded;

const ROUNDS: usize = 300;

fn main() {
    let alice = IdentitySecret::from_seed([1; 32]);
    let bob = IdentitySecret::from_seed([2; 32]).public();
    let key = SealingSecret::from_seed([3; 32]);
    let to = Recipient { mailbox: MailboxKey::from_bytes([4; 32]), key: key.public() };
    let mut entropy = Seeded::new(1);

    println!("expanding a sealing key: {:.0} µs", micros(|| SealingSecret::from_seed([5; 32])));
    println!("bucket    sign    seal    open   (median of {ROUNDS}, µs)");
    for bucket in [BUCKETS[0], BUCKETS[2], BUCKETS[5], BUCKETS[8]] {
        let draft = Draft {
            audience: bob,
            device_id: DeviceId::from_bytes([5; 8]),
            nonce: Nonce::from_bytes([6; 16]),
            sent_at: UnixMillis(7),
            chain_id: ChainId::from_bytes([8; 8]),
            counter: 9,
            body: Body::Text("x".repeat(bucket - 216)),
        };
        let message = SignedMessage::sign(&alice, draft.clone()).expect("it fits");
        let sealed = seal(&message, &to, UnixMillis(0), &mut entropy).expect("a good key");
        let sign = micros(|| SignedMessage::sign(&alice, draft.clone()));
        let sealing = micros(|| seal(&message, &to, UnixMillis(0), &mut entropy));
        let opening = micros(|| open(&sealed.envelope, &key, &bob));
        println!("{bucket:>6} {sign:>7.0} {sealing:>7.0} {opening:>7.0}");
    }
}

/// The median time of one call, in microseconds.
fn micros<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(call());
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
