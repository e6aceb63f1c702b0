//! A network of our own: nothing in it reaches, or is reached from, outside.

use std::process::{Command, Stdio};

use super::Problem;

/// Set for the process that runs inside.
const INSIDE: &str = "TORTALK_SHOW_INSIDE_NAMESPACE";

/// One pair of joined interfaces, for two nodes in one namespace.
pub(crate) const ONE_PAIR: &str = "ip link add lan0 type veth peer name lan1\n\
    ip addr add 10.77.0.1/24 dev lan0\n\
    ip link set lan0 up\n\
    ip link set lan1 up\n";

/// Goes on only inside a new network namespace that `setup`, lines of shell, has
/// furnished: outside, this process becomes `unshare` and then this program again,
/// with `arguments`.
///
/// The namespace has no name. It is gone, with all that is in it, as soon as the
/// last process in it has ended, whatever ended it.
pub(crate) fn enter(arguments: &[String], setup: &str) -> Result<(), Problem> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let this = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    // As root without, as a user with a user namespace around it.
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    let flags = if is_root { "-n" } else { "-rn" };
    check(flags)?;
    let setup = format!("set -e\nip link set lo up\n{setup}exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", &setup, "sh"]).arg(this).args(arguments);
    command.env(INSIDE, "1").stdin(Stdio::null());
    Err(become_it(&mut command))
}

/// Returns only when that fails.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Problem {
    use std::os::unix::process::CommandExt as _;
    format!("unshare does not start: {}", command.exec())
}

#[cfg(not(unix))]
fn become_it(_command: &mut Command) -> Problem {
    "network namespaces are a thing of Linux".to_owned()
}

/// Whether there can be namespaces here, and the program that furnishes them.
fn check(flags: &str) -> Result<(), Problem> {
    for (program, arguments, package) in
        [("unshare", [flags, "true"], "util-linux"), ("ip", ["-Version", ""], "iproute2")]
    {
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        let output = Command::new(program)
            .args(arguments)
            .output()
            .map_err(|error| format!("{program} does not start ({error}): install {package}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "no network namespaces here ({}): run as root, or allow user namespaces",
                why.trim()
            ));
        }
    }
    Ok(())
}
