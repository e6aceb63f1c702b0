//! The key of a relay that the user typed in without one.

use tortalk_keys::relay::{Authority, RelayAddress};
use tortalk_mesh::relay::RelayDown;

use super::Common;
use super::open::open;

/// Asks whoever answers there for their key, and has it proved.
///
/// # Errors
/// Why nobody could be asked.
pub(crate) async fn learn(
    common: &Common,
    authority: &Authority,
) -> Result<RelayAddress, RelayDown> {
    let opened = open(common, authority, None).await?;
    let key = opened.info.relay_key;
    RelayAddress::new(authority.host().clone(), authority.port(), key)
        .map_err(|_| RelayDown::Protocol)
}
