//! One authenticated encrypted link as a machine without sockets.
