//! Gossip and delivery as a machine without sockets, clocks or files.
