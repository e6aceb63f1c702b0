-- One row: this life of the relay, and what all mailboxes have together.
CREATE TABLE relay (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    mailboxes INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    next_row INTEGER NOT NULL
) STRICT;

-- `cursor`: the owner holds all up to this sequence.
-- `swept`: the bytes of all up to this sequence are gone.
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    registered_until INTEGER NOT NULL,
    deposit_key BLOB,
    next_seq INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    swept INTEGER NOT NULL,
    stamped_count INTEGER NOT NULL,
    stamped_bytes INTEGER NOT NULL,
    stranger_count INTEGER NOT NULL,
    stranger_bytes INTEGER NOT NULL,
    purged INTEGER NOT NULL
) STRICT;

CREATE INDEX mailbox_unswept ON mailbox (id) WHERE swept < cursor;
CREATE INDEX mailbox_empty ON mailbox (registered_until)
    WHERE stamped_count = 0 AND stranger_count = 0;

-- The bytes of envelopes, in the order in which they came: appending is cheap.
-- A row's number (`relay.next_row`) is never given again, because what is
-- remembered of a forgotten envelope still has it.
CREATE TABLE content (
    row INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

-- What is known of an envelope; small, so that a mailbox's queue lies together.
-- `class`: 0 stamped, 1 stranger, 2 purged. `purge` and `tag`: the first eight
-- bytes of its purge hash and of its id.
CREATE TABLE envelope (
    mailbox INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    row INTEGER NOT NULL,
    class INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    purge INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (mailbox, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX envelope_known ON envelope (purge, tag);
CREATE INDEX envelope_expiry ON envelope (expires_at);

CREATE TABLE card (
    mailbox INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    blob BLOB NOT NULL,
    signature BLOB NOT NULL,
    put_at INTEGER NOT NULL
) STRICT;

CREATE INDEX card_age ON card (put_at);
