//! Signed layouts of the torTalk protocol: invite, cards, proofs.
