//! Runs a test in a network of its own, so that nothing of it is ever sent on a
//! network of this machine.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use super::interfaces::{self, Interface};

/// Set in the copy of the test program that runs inside the namespace.
const INSIDE: &str = "TORTALK_TEST_INSIDE_NAMESPACE";

/// Two joined interfaces, `ta0` with an IPv4 address, in a network without a way out.
const SET_UP: &str = "ip link set lo up \
    && ip link add ta0 type veth peer name ta1 \
    && ip addr add 10.77.0.1/24 dev ta0 \
    && ip -6 addr add fe80::7701/64 dev ta0 nodad \
    && ip -6 addr add fe80::7702/64 dev ta1 nodad \
    && ip link set ta0 up && ip link set ta1 up";

/// Whether this process was started by [`run`].
pub(super) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs one test of this program, by its full name, inside a new namespace.
///
/// Where no namespace can be made, the test is skipped with a line that is seen
/// even when every test passes.
pub(super) fn run(test: &str) {
    let program = std::env::current_exe().expect("this test program");
    for flags in ["-n", "-rn"] {
        let probe = Command::new("unshare").args([flags, "sh", "-c", SET_UP]).output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            continue;
        }
        let script = format!("{SET_UP} && exec \"$0\" --exact \"$1\" --nocapture");
        let output = Command::new("unshare")
            .args([flags, "sh", "-c", &script])
            .arg(&program)
            .arg(test)
            .env(INSIDE, "1")
            .output()
            .expect("what worked in the probe");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "inside the namespace:\n{text}\n{errors}");
        assert!(text.contains("1 passed"), "no such test: {test}\n{text}\n{errors}");
        return;
    }
    // The harness would keep what the print macros write.
    writeln!(std::io::stderr(), "skipped 1 test: {test} (no network namespace can be made here)")
        .expect("stderr is open");
}

/// The interfaces inside the namespace, as soon as both ends are up: the system
/// notices the cable a moment after it was plugged in.
pub(super) fn interfaces() -> Vec<Interface> {
    assert!(is_inside(), "only in a network of our own");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let all = interfaces::all().expect("interfaces");
        let is_up = |name, v6: bool| all.iter().any(|i| i.name == name && i.ip.is_ipv6() == v6);
        if is_up("ta0", false) && is_up("ta0", true) && is_up("ta1", true) {
            return all;
        }
        assert!(Instant::now() < deadline, "the link does not come up: {all:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Changes the network inside the namespace.
pub(super) fn ip(arguments: &[&str]) {
    assert!(is_inside(), "only in a network of our own");
    let status = Command::new("ip").args(arguments).status().expect("ip was there before");
    assert!(status.success(), "ip {arguments:?}");
}
