//! The discovery beacon (spec/discovery.md).

use prost::Message as _;
use tortalk_model::InstanceId;
use tortalk_model::limits::{BEACON_BYTES_MAX, BEACON_PORT_MIN};

use crate::proto;

/// The version that a node of this protocol version puts into its beacons.
pub const BEACON_VERSION: u32 = 1;

/// Why a datagram is not a beacon. Such a datagram is dropped without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeaconError {
    /// More bytes than a beacon may have.
    #[error("a datagram of {0} bytes is no beacon")]
    TooLong(usize),
    /// Not a protobuf message of the right shape.
    #[error("not protobuf")]
    NotProtobuf,
    /// The version is 0 or missing.
    #[error("the version is missing")]
    NoVersion,
    /// A port below 1024 or above 65535.
    #[error("port {0} is not allowed")]
    Port(u32),
    /// An instance id of another length than 16 bytes.
    #[error("an instance id of {0} bytes")]
    InstanceLength(usize),
}

/// "A node can be dialled at this datagram's source address": nothing more, and
/// none of it proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beacon {
    /// The beacon's version, at least 1.
    pub version: u32,
    /// The TCP port on which the sender listens, at least 1024.
    pub port: u16,
    /// This start of the sender.
    pub instance: InstanceId,
}

impl Beacon {
    /// The datagram; at most 28 bytes.
    pub fn encode(&self) -> Vec<u8> {
        proto::Beacon {
            version: self.version,
            port: self.port.into(),
            instance_id: self.instance.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads a datagram. A later version is accepted when its fields are those
    /// of this one; fields that are not known are ignored.
    ///
    /// # Errors
    /// [`BeaconError`], in checking order: size, protobuf, version, port,
    /// instance id.
    pub fn decode(datagram: &[u8]) -> Result<Self, BeaconError> {
        // req: DSC-02
        if datagram.len() > BEACON_BYTES_MAX {
            return Err(BeaconError::TooLong(datagram.len()));
        }
        // req: DSC-02
        let beacon = proto::Beacon::decode(datagram).map_err(|_| BeaconError::NotProtobuf)?;
        // req: DSC-03
        if beacon.version == 0 {
            return Err(BeaconError::NoVersion);
        }
        // req: DSC-03
        if beacon.port < BEACON_PORT_MIN.into() || beacon.port > u16::MAX.into() {
            return Err(BeaconError::Port(beacon.port));
        }
        // req: DSC-03
        let instance = InstanceId::try_from(&beacon.instance_id[..])
            .map_err(|_| BeaconError::InstanceLength(beacon.instance_id.len()))?;
        Ok(Self { version: beacon.version, port: beacon.port as u16, instance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beacon() -> Beacon {
        Beacon { version: 1, port: 40_000, instance: InstanceId::from_bytes([7; 16]) }
    }

    fn datagram(version: u32, port: u32, instance: &[u8]) -> Vec<u8> {
        proto::Beacon { version, port, instance_id: instance.to_vec() }.encode_to_vec()
    }

    #[test]
    fn a_beacon_survives_its_own_bytes() {
        assert_eq!(Beacon::decode(&beacon().encode()), Ok(beacon()));
        let largest = Beacon { version: u32::MAX, port: u16::MAX, ..beacon() };
        assert_eq!(largest.encode().len(), 28);
        assert_eq!(Beacon::decode(&largest.encode()), Ok(largest));
    }

    // req: DSC-02, DSC-03
    #[test]
    fn each_fault_has_its_error() {
        let decode = |bytes: &[u8]| Beacon::decode(bytes).expect_err("a broken beacon");
        assert_eq!(decode(&[0; 65]), BeaconError::TooLong(65));
        assert_eq!(decode(&[0xff; 64]), BeaconError::NotProtobuf);
        assert_eq!(decode(&[]), BeaconError::NoVersion);
        assert_eq!(decode(&datagram(0, 2000, &[7; 16])), BeaconError::NoVersion);
        assert_eq!(decode(&datagram(1, 1023, &[7; 16])), BeaconError::Port(1023));
        assert_eq!(decode(&datagram(1, 65_536, &[7; 16])), BeaconError::Port(65_536));
        assert_eq!(decode(&datagram(1, 2000, &[7; 15])), BeaconError::InstanceLength(15));
        assert_eq!(decode(&datagram(1, 2000, &[7; 17])), BeaconError::InstanceLength(17));
    }

    // req: DSC-04
    #[test]
    fn a_later_version_with_more_fields_is_understood() {
        let mut bytes = datagram(2, 40_000, &[7; 16]);
        bytes.extend_from_slice(&[0x7a, 2, 1, 2]); // Field 15, two bytes.
        assert_eq!(Beacon::decode(&bytes), Ok(Beacon { version: 2, ..beacon() }));
    }
}
