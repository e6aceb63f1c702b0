//! The beacon (`spec/discovery.md`).

use prost::Message;

use super::{Taken, decode, rule, v1};

/// Reads a datagram by DSC-02 to DSC-04.
///
/// # Errors
/// `decode` or `rule`.
pub fn read(datagram: &[u8]) -> Taken<v1::Beacon> {
    if datagram.len() > 64 {
        return Err(decode("DSC-02: more than 64 bytes"));
    }
    let beacon = v1::Beacon::decode(datagram).map_err(|_| decode("DSC-02: no protobuf"))?;
    if beacon.version == 0 {
        return Err(rule("DSC-03: version 0"));
    }
    if !(1024..=65_535).contains(&beacon.port) {
        return Err(rule("DSC-03: the port"));
    }
    if beacon.instance_id.len() != 16 {
        return Err(rule("DSC-03: the instance id"));
    }
    Ok(beacon)
}
