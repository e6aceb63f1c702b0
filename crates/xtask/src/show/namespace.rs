//! A network of our own: nothing in it reaches, or is reached from, outside.

use std::process::{Command, Stdio};

use super::Problem;

/// Set for the process that runs inside.
const INSIDE: &str = "TORTALK_SHOW_INSIDE_NAMESPACE";

/// Whether this process runs in a namespace that [`run_again_inside`] made.
pub(crate) fn is_ours() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program again with `arguments`, in a new network namespace with one
/// pair of joined interfaces; whether it succeeded.
pub(crate) fn run_again_inside(arguments: &[&str]) -> Result<bool, Problem> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    let setup = "set -e\n\
        ip link set lo up\n\
        ip link add lan0 type veth peer name lan1\n\
        ip addr add 10.77.0.1/24 dev lan0\n\
        ip link set lan0 up\n\
        ip link set lan1 up\n\
        exec \"$@\"";
    // As root without, as a user with a user namespace around it.
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    let flags = if is_root { "-n" } else { "-rn" };
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", setup, "sh"]).arg(this).args(arguments);
    command.env(INSIDE, "1").stdin(Stdio::null());
    let status = command.status().map_err(|error| {
        format!("unshare does not start ({error}): install util-linux and iproute2")
    })?;
    Ok(status.success())
}
