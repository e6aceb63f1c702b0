//! A torTalk node: profile, sockets, clocks and the machines between them.
