//! The decisions by themselves.

use tortalk_keys::relay::{Authority, RelayHost};
use tortalk_keys::relay_proof::info::{self as signed_info, InfoClaim};
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_keys::{RelaySecret, Signature};
use tortalk_model::limits::relay::{EXPIRY_AHEAD_MAX, WINDOW_BYTES_MAX};
use tortalk_model::{Envelope, EnvelopeId, Epoch, UnixMillis};
use tortalk_relay::rules::config::{Config, Quotas};
use tortalk_relay::rules::info::{self, InfoError};
use tortalk_relay::rules::pull::{AckError, ProofError, SendWindow, check_proof};
use tortalk_relay::rules::quota::{Class, DepositKey, Mailbox, check_expiry, retry_after_s};
use tortalk_relay::rules::sync::{Outcome, TooManyMalformed, Window, answer};
use tortalk_rpc::{
    AuthorityBytes, Deposit, DepositRefusal, EnvelopeBytes, InfoQuestion, PullAck, StampBytes,
};

use crate::support::client::proof;
use crate::support::{DAY, HOUR, Maker, Owner, START};

const QUOTAS: Quotas = Quotas { mailbox_bytes: 80_000, total_bytes: 1_000_000, mailboxes: 10 };
const COST: u64 = 1_000;

// req: RLY-12
#[test]
fn an_expiry_is_neither_long_past_nor_far_ahead() {
    let mut maker = Maker::new(1);
    let mut check = |expires_at: UnixMillis, now| {
        maker.expires_at = expires_at;
        check_expiry(&maker.envelope(Owner::new(1).mailbox()), now)
    };
    let hour = START.ceil_to_hour();
    assert_eq!(check(hour, hour), Ok(()));
    assert_eq!(check(hour, hour.saturating_add(DAY)), Ok(()), "a day of wrong clocks");
    let late = UnixMillis(hour.saturating_add(DAY).0 + 1);
    assert_eq!(check(hour, late), Err(DepositRefusal::Expiry));
    let far = hour.saturating_add(EXPIRY_AHEAD_MAX);
    assert_eq!(check(far, hour), Ok(()));
    assert_eq!(check(far.saturating_add(HOUR), hour), Err(DepositRefusal::Expiry));
    assert_eq!(check(UnixMillis(0), hour), Err(DepositRefusal::Expiry));
    let end = UnixMillis(u64::MAX).saturating_sub(HOUR).ceil_to_hour();
    assert_eq!(check(end, hour), Err(DepositRefusal::Expiry));
}

// req: RLY-16
#[test]
fn only_the_stamp_of_the_registered_key_counts() {
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let envelope = Maker::new(1).envelope(owner.mailbox());
    let mut mailbox = Mailbox::new(1);
    let stamp = owner.stamp(&envelope);
    assert_eq!(mailbox.class_of(&envelope, &stamp), Class::Stranger, "no key is registered");
    mailbox.register(START, Some(DepositKey::from_bytes(owner.deposit_key)));
    assert_eq!(mailbox.class_of(&envelope, &stamp), Class::Stamped);
    for stamp in [&[][..], &stamp[..15], &other.stamp(&envelope), &[0; 16]] {
        assert_eq!(mailbox.class_of(&envelope, stamp), Class::Stranger);
    }
    let another = Maker::new(2).envelope(owner.mailbox());
    assert_eq!(mailbox.class_of(&another, &stamp), Class::Stranger);
    mailbox.register(START, None);
    assert_eq!(mailbox.class_of(&envelope, &stamp), Class::Stamped, "the key stays");
    mailbox.register(START, Some(DepositKey::from_bytes(other.deposit_key)));
    assert_eq!(mailbox.class_of(&envelope, &stamp), Class::Stranger, "the key was changed");
}

// req: RLY-17, RLY-18
#[test]
fn the_parts_of_a_quota_are_apart() {
    let mut mailbox = Mailbox::new(1);
    let mut seq = 0;
    while let Ok(taken) = mailbox.take(Class::Stranger, COST, &QUOTAS) {
        seq += 1;
        assert_eq!(taken, seq);
        assert!(seq < 1_000, "there is no end");
    }
    assert_eq!(mailbox.strangers.count, 10, "an eighth of the quota");
    let refused = mailbox.take(Class::Stranger, COST, &QUOTAS);
    assert_eq!(refused, Err(DepositRefusal::NoRoom));
    fill(&mut mailbox);
    assert_eq!(mailbox.stamped.count, 70, "seven eighths, whatever strangers do");
    assert_eq!(mailbox.take(Class::Stamped, COST, &QUOTAS), Err(DepositRefusal::Full));
    assert_eq!(mailbox.next_seq, 81, "refusals use no sequence up");

    let mut mailbox = Mailbox::new(1);
    fill(&mut mailbox);
    assert_eq!(mailbox.stamped.count, 70, "no more though strangers left theirs");
    assert_eq!(mailbox.take(Class::Stranger, COST, &QUOTAS), Ok(71));
}

/// Contacts leave as much as is taken.
fn fill(mailbox: &mut Mailbox) {
    let taken = (0..1_000).take_while(|_| mailbox.take(Class::Stamped, COST, &QUOTAS).is_ok());
    assert!(taken.count() < 1_000, "there is no end");
}

// req: RLY-18
#[test]
fn the_sixty_fifth_envelope_of_strangers_is_refused() {
    let mut mailbox = Mailbox::new(1);
    for _ in 0..64 {
        assert!(mailbox.take(Class::Stranger, 1, &QUOTAS).is_ok());
    }
    assert_eq!(mailbox.take(Class::Stranger, 1, &QUOTAS), Err(DepositRefusal::NoRoom));
    assert_eq!(mailbox.take(Class::Stamped, 1, &QUOTAS), Ok(65));
}

fn deposit_of(bytes: &[u8]) -> Deposit {
    let envelope = EnvelopeBytes::try_from(bytes).expect("within the limit");
    Deposit { stamp: StampBytes::default(), envelope }
}

// req: RLY-11, RLY-21
#[test]
fn the_ninth_that_is_no_envelope_ends_the_stream() {
    let mut window = Window::default();
    for i in 0..8 {
        let refusal = window.take(deposit_of(&[i]), START).expect("not yet").expect_err("refused");
        assert_eq!(refusal.reason, DepositRefusal::Malformed);
        assert_eq!(refusal.id, Envelope::id_of(&[i]));
    }
    assert_eq!(window.take(deposit_of(&[8]), START), Err(TooManyMalformed));
    assert!(window.is_empty(), "refusals owe no answer of the store");
}

// req: RLY-25
#[test]
fn a_window_takes_256_envelopes_or_4_mib() {
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    let mut window = Window::default();
    let mut taken = 0;
    while window.has_room() {
        let envelope = maker.envelope(owner.mailbox());
        window.take(deposit_of(envelope.as_bytes()), START).expect("few").expect("valid");
        taken += 1;
    }
    assert_eq!(taken, 256);
    window.answered(1, 1481);
    assert!(window.has_room());

    let mut window = Window::default();
    let mut bytes = 0;
    while window.has_room() {
        let envelope = maker.of_bucket(owner.mailbox(), 65_536);
        bytes += envelope.as_bytes().len();
        window.take(deposit_of(envelope.as_bytes()), START).expect("few").expect("valid");
    }
    assert!((WINDOW_BYTES_MAX..WINDOW_BYTES_MAX + 67_017).contains(&bytes), "{bytes}");
}

// req: RLY-20, RLY-23, RLY-24
#[test]
fn one_receipt_covers_all_that_is_durable_and_promises_each_its_life() {
    let secret = RelaySecret::from_seed([1; 32]);
    let id = |i: u8| EnvelopeId::from_bytes([i; 32]);
    let refused = Outcome::Refused(DepositRefusal::Full);
    let outcomes = [(id(1), Outcome::Duplicate), (id(2), Outcome::Stored), (id(3), refused)];
    let said = answer(&secret, START, &outcomes);
    assert_eq!(said.now, START);
    assert_eq!((said.refusals[0].id, said.refusals[0].reason), (id(3), DepositRefusal::Full));
    let receipt = said.receipt.expect("two are durable");
    assert_eq!(receipt.ids(), [id(2), id(1)]);
    let claim = ReceiptClaim {
        time: START,
        store_until: START.saturating_add(EXPIRY_AHEAD_MAX),
        ids: &receipt.ids(),
    };
    let signature = Signature::from_bytes(receipt.signature);
    assert_eq!(receipt::verify(&secret.public(), &claim, &signature), Ok(()));
    assert_eq!(answer(&secret, START, &outcomes[2..]).receipt, None);
}

// req: RLY-19
#[test]
fn a_hint_depends_on_the_reason_alone() {
    assert_eq!(retry_after_s(DepositRefusal::NoRoom), 3_600);
    assert_eq!(retry_after_s(DepositRefusal::Expiry), 0);
}

fn authority(port: u16) -> Authority {
    Authority::new(RelayHost::Name("relay.example".to_owned()), port).expect("valid")
}

fn bytes_of(authority: &Authority) -> AuthorityBytes {
    AuthorityBytes::try_from(authority.to_bytes()).expect("within the limit")
}

// req: RLY-06, RLY-07
#[test]
fn a_relay_says_who_it_is_under_its_own_name_only() {
    let secret = RelaySecret::from_seed([1; 32]);
    let onion = Authority::new(RelayHost::Onion([8; 32]), 80).expect("valid");
    let config = Config::new(vec![authority(1), authority(2), onion.clone()]);
    let epoch = Epoch::from_bytes([5; 16]);
    let ask = |authority: &Authority| {
        let question = InfoQuestion { nonce: [3; 32], authority: bytes_of(authority) };
        info::answer(&question, &config, &secret, epoch, START)
    };
    for dialled in [authority(1), authority(2), onion] {
        let said = ask(&dialled).expect("its own");
        assert_eq!(said.onion, Some(([8; 32], 80)));
        assert_eq!((said.relay_key, said.now, said.epoch), (secret.public(), START, epoch));
        let claim = InfoClaim {
            nonce: &[3; 32],
            authority: &dialled,
            now: START,
            epoch,
            versions: &said.versions,
            onion: said.onion,
        };
        let signature = Signature::from_bytes(said.signature);
        assert_eq!(signed_info::verify(&secret.public(), &claim, &signature), Ok(()));
    }
    assert_eq!(ask(&authority(3)), Err(InfoError::OtherAuthority));
    let question = InfoQuestion {
        nonce: [3; 32],
        authority: AuthorityBytes::try_from(&[9; 9][..]).expect("within the limit"),
    };
    let said = info::answer(&question, &config, &secret, epoch, START);
    assert_eq!(said, Err(InfoError::MalformedAuthority));
}

// req: RLY-30, RLY-31
#[test]
fn a_proof_is_good_for_one_relay_address_and_challenge() {
    let relay = RelaySecret::from_seed([1; 32]).public();
    let other = RelaySecret::from_seed([2; 32]).public();
    let (owner, stranger) = (Owner::new(1), Owner::new(2));
    let challenge = [7; 32];
    let own = [authority(1), authority(2)];
    let good = proof(&owner, relay, &own[1], challenge);
    let proved = check_proof(&good, &challenge, relay, &own).expect("a good proof");
    assert_eq!(proved.mailbox, owner.mailbox());
    assert_eq!(proved.deposit_key, Some(DepositKey::from_bytes(owner.deposit_key)));

    let invalid = Err(ProofError::Invalid);
    assert_eq!(check_proof(&good, &[8; 32], relay, &own), invalid);
    assert_eq!(check_proof(&good, &challenge, other, &own), invalid);
    assert_eq!(check_proof(&good, &challenge, relay, &own[..1]), Err(ProofError::OtherAuthority));
    let mut changed = good.clone();
    changed.authority = bytes_of(&own[0]);
    assert_eq!(check_proof(&changed, &challenge, relay, &own), invalid);
    changed = good.clone();
    changed.mailbox = stranger.mailbox();
    assert_eq!(check_proof(&changed, &challenge, relay, &own), invalid);
    changed = good.clone();
    changed.deposit_key = None;
    assert_eq!(check_proof(&changed, &challenge, relay, &own), invalid);
    changed = good;
    let mut small_order = [0; 32];
    small_order[0] = 1;
    changed.mailbox = tortalk_model::MailboxKey::from_bytes(small_order);
    assert_eq!(check_proof(&changed, &challenge, relay, &own), invalid);
    changed.authority = AuthorityBytes::try_from(&[1; 6][..]).expect("within the limit");
    let malformed = Err(ProofError::MalformedAuthority);
    assert_eq!(check_proof(&changed, &challenge, relay, &own), malformed);
}

// req: RLY-38, RLY-41
#[test]
fn a_send_window_opens_with_acknowledgements_of_what_was_sent() {
    let epoch = Epoch::from_bytes([1; 16]);
    let ack = |up_to| PullAck { epoch, up_to };
    let mut window = SendWindow::new(epoch);
    assert_eq!(window.room(), (256, 4 * 1024 * 1024));
    for seq in 1..=10 {
        window.sent(seq * 10, 1_000);
    }
    assert_eq!(window.room(), (246, 4 * 1024 * 1024 - 10_000));
    assert_eq!(window.ack(&ack(101)), Err(AckError::NotSent));
    let other = PullAck { epoch: Epoch::from_bytes([2; 16]), up_to: 10 };
    assert_eq!(window.ack(&other), Err(AckError::OtherEpoch));
    assert_eq!(window.ack(&ack(35)), Ok(Some(30)), "a gap releases what is below it");
    assert_eq!(window.room(), (249, 4 * 1024 * 1024 - 7_000));
    assert_eq!(window.ack(&ack(20)), Ok(None), "less than before says nothing");
    assert_eq!(window.ack(&ack(100)), Ok(Some(100)));
    assert_eq!(window.room(), (256, 4 * 1024 * 1024));
}
