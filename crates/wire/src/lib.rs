//! Frames of the torTalk protocol: protobuf, framing, conversions.
