//! Sealing and opening messages: HPKE and the sealed message.
