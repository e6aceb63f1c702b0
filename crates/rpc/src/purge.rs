//! Purge.

use tortalk_model::PurgeKey;
use tortalk_model::limits::relay::PURGE_KEYS_MAX;
use tortalk_wire::{BodyError, FieldFault, LengthError};

use crate::field::{fault, fixed};
use crate::v1;

/// At most 256 purge keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PurgeKeys(Vec<PurgeKey>);

impl PurgeKeys {
    /// Takes the keys.
    ///
    /// # Errors
    /// [`LengthError`] (it counts keys, not bytes) for more than 256 (RLY-43).
    pub fn new(keys: Vec<PurgeKey>) -> Result<Self, LengthError> {
        let found = keys.len();
        // req: RLY-43
        if found > PURGE_KEYS_MAX && !tortalk_model::deviate!(skip_rly_43) {
            return Err(LengthError { found, min: 0, max: PURGE_KEYS_MAX });
        }
        Ok(Self(keys))
    }

    /// The keys.
    pub fn into_vec(self) -> Vec<PurgeKey> {
        self.0
    }
}

impl TryFrom<v1::PurgeRequest> for PurgeKeys {
    type Error = BodyError;

    fn try_from(request: v1::PurgeRequest) -> Result<Self, BodyError> {
        const M: &str = "PurgeRequest";
        let keys = request
            .keys
            .iter()
            .map(|key| fixed(M, "keys", key).map(PurgeKey::from_bytes))
            .collect::<Result<_, _>>()?;
        Self::new(keys).map_err(|error| fault(M, "keys", FieldFault::Length(error.found)))
    }
}

impl From<PurgeKeys> for v1::PurgeRequest {
    fn from(keys: PurgeKeys) -> Self {
        Self { keys: keys.0.iter().map(|key| key.as_bytes().to_vec()).collect() }
    }
}
