-- The tables of a profile's database.
--
-- Every `sealed` column is a byte layout of src/rows.rs under the profile key
-- (src/vault.rs). Its associated data are the table and the other columns of
-- its row, as src/cell.rs draws them, so no sealed value opens in another row
-- or beside changed columns. What stands in clear is named here with its reason.
-- Times in clear are unix milliseconds and stand there to be compared.

-- What exists once.
CREATE TABLE meta (
    name   TEXT PRIMARY KEY,  -- 'store', 'cards' or 'relays': which thing this is
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Everybody who is named anywhere. Other tables say only the number.
CREATE TABLE person (
    id     INTEGER PRIMARY KEY,
    tag    BLOB NOT NULL UNIQUE,  -- keyed hash of the identity: found, not shown
    sealed BLOB NOT NULL          -- the identity
) STRICT;

-- Contacts, in the order in which they were added.
CREATE TABLE contact (
    id     INTEGER PRIMARY KEY,
    person INTEGER NOT NULL UNIQUE REFERENCES person,  -- to find and replace it
    sealed BLOB NOT NULL
) STRICT;

-- Who asks to be a contact, in the order in which they first asked.
CREATE TABLE request (
    id     INTEGER PRIMARY KEY,
    person INTEGER NOT NULL UNIQUE REFERENCES person,  -- to find and replace it
    sealed BLOB NOT NULL
) STRICT;

-- Requests that were declined: they may come again.
CREATE TABLE declined (
    message_id BLOB PRIMARY KEY,  -- as in `message`
    until      INTEGER NOT NULL   -- when that may be forgotten
) STRICT, WITHOUT ROWID;
CREATE INDEX declined_until ON declined (until);

-- The part of messages that never changes, both ways, in the order in which
-- they were stored. No row is ever deleted: ids are remembered for ever.
CREATE TABLE message (
    id         INTEGER PRIMARY KEY,
    person     INTEGER NOT NULL REFERENCES person,  -- one conversation's page
    direction  INTEGER NOT NULL CHECK (direction IN (0, 1)),  -- 0 to us, 1 from us
    shown      INTEGER NOT NULL CHECK (shown IN (0, 1)),  -- 1: people see it
    message_id BLOB NOT NULL,  -- a hash that includes a random nonce: shows nobody
    number     INTEGER,  -- from us: its place in our chain to that person, if it has one
    sealed     BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_by_id ON message (message_id, direction);
CREATE INDEX message_of ON message (person, id) WHERE shown = 1;
CREATE INDEX message_number ON message (person, number) WHERE number IS NOT NULL;

-- What changes about a message from us.
CREATE TABLE outgoing (
    message     INTEGER PRIMARY KEY REFERENCES message,
    waiting_for INTEGER REFERENCES person,  -- whose key it waits for, if it does
    retry_at    INTEGER,  -- when it is due; none once there is a receipt
    sealed      BLOB NOT NULL
) STRICT;
CREATE INDEX outgoing_waiting ON outgoing (waiting_for, message)
    WHERE waiting_for IS NOT NULL;
CREATE INDEX outgoing_due ON outgoing (retry_at, message)
    WHERE retry_at IS NOT NULL;

-- What changes about a message to us.
CREATE TABLE incoming (
    message     INTEGER PRIMARY KEY REFERENCES message,
    unread_from INTEGER REFERENCES person,  -- whose unread message it is, if it is one
    sealed      BLOB NOT NULL
) STRICT;
CREATE INDEX incoming_unread ON incoming (unread_from) WHERE unread_from IS NOT NULL;

-- What is known about the way of messages from us, oldest first.
CREATE TABLE evidence (
    id      INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES outgoing,
    tag     BLOB NOT NULL,  -- keyed hash of what makes it the same evidence
    sealed  BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX evidence_of ON evidence (message, tag);

-- Envelopes to be handed over, in the order in which they were made or came.
CREATE TABLE envelope (
    id          INTEGER PRIMARY KEY,
    envelope_id BLOB NOT NULL UNIQUE,  -- the hash of bytes that strangers may see
    person      INTEGER NOT NULL REFERENCES person,  -- for whom; if carried, who gave it
    carried     INTEGER NOT NULL CHECK (carried IN (0, 1)),  -- 1: for others, within quotas
    pending     INTEGER NOT NULL CHECK (pending IN (0, 1)),  -- 0: `handed` to its recipient
    spreads     INTEGER NOT NULL CHECK (spreads IN (0, 1)),  -- 1: more copies may be made
    at_relay    INTEGER NOT NULL DEFAULT 0 CHECK (at_relay IN (0, 1)),  -- 1: a relay has it
    size        INTEGER NOT NULL,  -- quotas are sums of it; `sealed` is little longer
    mailbox     BLOB NOT NULL,  -- keyed hash: found for who proves it, not shown
    purge       BLOB NOT NULL,  -- keyed hash of purge_hash: found by its key, not shown
    forget_at   INTEGER,  -- expiry, where it is forgotten for that alone
    sealed      BLOB NOT NULL
) STRICT;
CREATE INDEX envelope_pending ON envelope (person, pending, id);
CREATE INDEX envelope_spreads ON envelope (spreads) WHERE spreads = 1;
CREATE INDEX envelope_carried ON envelope (person, size) WHERE carried = 1;
CREATE INDEX envelope_mailbox ON envelope (mailbox) WHERE carried = 1;
CREATE INDEX envelope_purge ON envelope (purge);
CREATE INDEX envelope_expiry ON envelope (forget_at) WHERE forget_at IS NOT NULL;

-- Who has said that they stored an envelope that is held here.
CREATE TABLE handed (
    envelope INTEGER NOT NULL REFERENCES envelope ON DELETE CASCADE,
    peer     INTEGER NOT NULL REFERENCES person,
    PRIMARY KEY (envelope, peer)
) STRICT, WITHOUT ROWID;

-- Envelopes from others that have been dealt with.
CREATE TABLE seen (
    envelope_id BLOB PRIMARY KEY,  -- as in `envelope`
    until       INTEGER NOT NULL,  -- when that may be forgotten
    sealed      BLOB               -- the key that purges it, where it is known
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_until ON seen (until);

-- Envelopes for us that were fetched from a relay and cannot be opened yet, in the
-- order in which they came.
CREATE TABLE unopened (
    id          INTEGER PRIMARY KEY,
    envelope_id BLOB NOT NULL UNIQUE,  -- as in `envelope`
    forget_at   INTEGER NOT NULL,      -- when waiting ends
    sealed      BLOB NOT NULL
) STRICT;
CREATE INDEX unopened_expiry ON unopened (forget_at);

-- Who is to be told, when they are linked, that a seen envelope has arrived.
CREATE TABLE owed (
    peer        INTEGER NOT NULL REFERENCES person,
    envelope_id BLOB NOT NULL REFERENCES seen ON DELETE CASCADE,
    PRIMARY KEY (peer, envelope_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_envelope ON owed (envelope_id);
