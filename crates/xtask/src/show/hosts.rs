//! Hosts with networks of their own, on this machine: network namespaces, joined
//! by cables (veth pairs) to bridges.
//!
//! All of it is made inside one more namespace, in which this program runs itself
//! again ([`super::namespace::enter`]). No host has a route to anything but what it is joined to.
//! Nothing has a name outside: when the processes have ended, nothing is left.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Problem;

pub(crate) mod bytes;
pub(crate) mod carried;
mod holders;

/// Something like a switch, with the addresses 10.77.`number`.0/24.
pub(crate) struct Bridge {
    name: String,
    number: u8,
}

impl Bridge {
    pub(crate) fn new(number: u8) -> Result<Self, Problem> {
        let name = format!("br{number}");
        ip(&["link", "add", &name, "type", "bridge"])?;
        ip(&["link", "set", &name, "up"])?;
        Ok(Self { name, number })
    }

    /// The address of a host on it.
    pub(crate) fn address(&self, host: u8) -> String {
        format!("10.77.{}.{host}", self.number)
    }

    /// Lets this program reach one address behind a host on it.
    pub(crate) fn look_in(&self, to: &str, host: u8) -> Result<(), Problem> {
        ip(&["addr", "add", &format!("{}/24", self.address(254)), "dev", &self.name])?;
        ip(&["route", "add", to, "via", &self.address(host)])
    }
}

/// A network namespace. It is there as long as a process in it lives.
pub(crate) struct Host {
    keeper: Child,
    cables: usize,
}

impl Host {
    pub(crate) fn new() -> Result<Self, Problem> {
        // `cat` ends with its input, so also when this program is killed.
        let mut keeper = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare does not start: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.map_err(|error| format!("no namespace: {error}"))?;
        }
        let host = Self { keeper, cables: 0 };
        if line == "up\n" {
            Ok(host)
        } else {
            Err("a namespace was not made: see above".to_owned())
        }
    }

    /// Joins it to a bridge, with the address of this number there. Returns the
    /// cable's other end, in the bridge.
    pub(crate) fn join(&mut self, bridge: &Bridge, number: u8) -> Result<Port, Problem> {
        let inner = format!("lan{}", self.cables);
        let outer = format!("{}p{number}", bridge.name);
        self.cables += 1;
        let pid = self.keeper.id().to_string();
        ip(&["link", "add", &outer, "type", "veth", "peer", "name", &inner, "netns", &pid])?;
        ip(&["link", "set", &outer, "master", &bridge.name, "up"])?;
        let address = bridge.address(number);
        // One segment a packet, as on a real cable: every header is counted.
        self.shell(&format!(
            "ip addr add {address}/24 dev {inner} && \
             ip link set {inner} gso_max_segs 1 && ip link set {inner} up"
        ))?;
        Ok(Port(outer))
    }

    /// Lets the host reach one address through a neighbour.
    pub(crate) fn route(&self, to: &str, through: &str) -> Result<(), Problem> {
        self.shell(&format!("ip route add {to} via {through}")).map(|_| ())
    }

    /// What the system says about the way to an address; `Err` where there is none.
    pub(crate) fn way_to(&self, address: &str) -> Result<String, Problem> {
        self.shell(&format!("ip route get {address}"))
    }

    /// Runs a line of shell there and returns what it prints.
    pub(crate) fn shell(&self, line: &str) -> Result<String, Problem> {
        let wrapper = self.wrapper();
        let (program, options) = wrapper.split_first().ok_or("no wrapper")?;
        done(Command::new(program).args(options).args(["sh", "-c", line]))
    }

    /// What stands before a command that is to run there. The process keeps its id.
    pub(crate) fn wrapper(&self) -> Vec<String> {
        let target = self.keeper.id().to_string();
        ["nsenter", "--target", &target, "--net", "--"].map(str::to_owned).to_vec()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ended = self.keeper.kill();
        let _reaped = self.keeper.wait();
    }
}

/// Where a host's cable goes into its bridge.
pub(crate) struct Port(String);

/// What went over cables, Ethernet headers included.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
}

impl Traffic {
    /// What the hosts behind these ports have sent so far. What is sent to several
    /// counts once.
    pub(crate) fn from_hosts(ports: &[Port]) -> Result<Self, Problem> {
        let text = done(Command::new("ip").args(["-s", "-j", "link", "show"]))?;
        let links: Vec<Value> =
            serde_json::from_str(&text).map_err(|error| format!("ip -j: no JSON: {error}"))?;
        let mut all = Self::default();
        for port in ports {
            let link = links.iter().find(|link| link["ifname"] == *port.0);
            let received = link.map(|link| &link["stats64"]["rx"]).ok_or("a cable is gone")?;
            all.bytes += received["bytes"].as_u64().ok_or("ip -s -j shows no bytes")?;
            all.packets += received["packets"].as_u64().ok_or("ip -s -j shows no packets")?;
        }
        Ok(all)
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self { bytes: self.bytes - before.bytes, packets: self.packets - before.packets }
    }
}

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Whatever is at rest at all is at rest by then.
const REST_MAX: Duration = Duration::from_secs(180);

/// Looks until what is seen fits and has stayed the same for a while.
fn unchanged<T: PartialEq + Debug>(
    what: &str,
    at_rest_after: Duration,
    mut look: impl FnMut() -> Result<T, Problem>,
    fits: impl Fn(&T) -> bool,
) -> Result<T, Problem> {
    let deadline = Instant::now() + REST_MAX;
    let (mut seen, mut since) = (look()?, Instant::now());
    loop {
        std::thread::sleep(LOOK_AGAIN_AFTER);
        let now = look()?;
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if fits(&seen) && since.elapsed() >= at_rest_after {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            return Err(format!("waited in vain for {what}; seen at last: {seen:?}"));
        }
    }
}

/// How many envelopes a node carries for others.
fn carried(node: &mut super::child::Child) -> Result<u64, Problem> {
    let status = node.request(json!({"do": "status"}))?;
    let carried = status["carried"]["envelopes"].as_u64();
    carried.ok_or_else(|| "`status` does not say what is carried".to_owned())
}

fn ip(arguments: &[&str]) -> Result<(), Problem> {
    done(Command::new("ip").args(arguments)).map(|_| ())
}

fn done(command: &mut Command) -> Result<String, Problem> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(why.trim().to_owned())
}
