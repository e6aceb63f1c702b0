//! Machines on one network: network namespaces, joined by cables (veth pairs) to
//! a switch (a bridge in a namespace of its own).
//!
//! Nothing has a name outside, and nothing in it reaches or is reached from
//! outside. When the processes in it have ended, nothing is left.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::common::skip::skipped;
use crate::common::{Outcome, Profile, Running};

/// The multicast of beacons and of mDNS.
const MULTICAST: &str = "{ 239.1.2.3, 224.0.0.251 }";
const MULTICAST_V6: &str = "{ ff12::7474:5441, ff02::fb }";

/// A process that keeps a namespace.
struct Keeper(Child);

/// A switch.
pub(crate) struct Lan(Keeper);

/// A machine.
pub(crate) struct Host {
    keeper: Keeper,
    number: u8,
}

impl Keeper {
    /// `None` where there can be none.
    fn start(mut unshare: Command) -> Option<Self> {
        // `cat` ends with its input, so also when this program is killed.
        let script = "ip link set lo up && echo up && exec cat";
        unshare.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = unshare.spawn().ok()?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take()?).read_line(&mut line);
        let keeper = Self(child);
        (read.is_ok() && line == "up\n").then_some(keeper)
    }

    /// The same command in the namespace. The process keeps its number.
    fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.0.id().to_string(), "--net"]);
        if !is_root() {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg("--").arg(command.get_program()).args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(Stdio::null());
        inside
    }

    #[track_caller]
    fn shell(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-ec", script]);
        let output = self.command(&command).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Lan {
    /// `None`, and said so, where this machine has no namespaces or programs.
    pub(crate) fn new(what: &str) -> Option<Self> {
        for (program, option) in [("ip", "-V"), ("nft", "-v"), ("nsenter", "-V"), ("unshare", "-V")]
        {
            if Command::new(program).arg(option).output().is_err() {
                skipped(what, &format!("the program {program} is not there"));
                return None;
            }
        }
        let mut unshare = Command::new("unshare");
        // As a user with a user namespace around it.
        unshare.arg(if is_root() { "-n" } else { "-rn" });
        let Some(keeper) = Keeper::start(unshare) else {
            skipped(what, "no network namespace can be made here");
            return None;
        };
        keeper.shell("ip link add sw type bridge mcast_snooping 0; ip link set sw up");
        Some(Self(keeper))
    }

    /// A machine on it, with the address 10.77.0.`number` and its IPv6 twin.
    pub(crate) fn host(&self, number: u8) -> Host {
        let mut unshare = Command::new("unshare");
        unshare.arg("-n");
        let host = Host { keeper: Keeper::start(self.0.command(&unshare)).unwrap(), number };
        let target = host.keeper.0.id();
        self.0.shell(&format!(
            "ip link add p{number} type veth peer name lan0 netns {target}; \
             ip link set p{number} master sw up"
        ));
        // Without waiting for a twin, so that the addresses are good at once.
        host.shell("ip link set lan0 addrgenmode none");
        host.plug_in();
        host
    }

    /// Frames from one machine to another are dropped, those to all are not: a
    /// Wi-Fi with client isolation.
    pub(crate) fn isolate(&self) {
        self.filter("ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 drop");
    }

    /// Multicast of beacons and mDNS does not go from one machine to another.
    pub(crate) fn drop_multicast(&self) {
        self.filter(&format!("ip daddr {MULTICAST} drop"));
        self.filter(&format!("ip6 daddr {MULTICAST_V6} drop"));
    }

    /// Everything gets through again.
    pub(crate) fn let_through(&self) {
        self.0.shell("nft 'delete table bridge t'");
    }

    fn filter(&self, rule: &str) {
        self.0.shell(&format!(
            "nft 'add table bridge t; \
             add chain bridge t c {{ type filter hook forward priority 0; }}; \
             add rule bridge t c {rule}'"
        ));
    }
}

impl Host {
    /// Takes the cable out.
    pub(crate) fn unplug(&self) {
        self.shell("ip link set lan0 down; ip addr flush dev lan0");
    }

    /// Puts it in.
    pub(crate) fn plug_in(&self) {
        let number = self.number;
        self.shell(&format!(
            "ip addr add 10.77.0.{number}/24 dev lan0; \
             ip -6 addr add fe80::77:{number}/64 dev lan0 nodad; \
             ip link set lan0 up"
        ));
    }

    pub(crate) fn ip(&self) -> String {
        format!("10.77.0.{}", self.number)
    }

    /// Both addresses: by which of them somebody is heard first is not settled.
    pub(crate) fn ips(&self) -> [String; 2] {
        [self.ip(), format!("fe80::77:{}", self.number)]
    }

    #[track_caller]
    pub(crate) fn shell(&self, script: &str) {
        self.keeper.shell(script);
    }

    /// A rule of this machine's firewall, at `input` or `output`.
    #[track_caller]
    pub(crate) fn filter(&self, hook: &str, rule: &str) {
        self.shell(&format!(
            "nft 'add table inet t; \
             add chain inet t {hook} {{ type filter hook {hook} priority 0; }}; \
             add rule inet t {hook} {rule}'"
        ));
    }

    /// Takes all rules out.
    #[track_caller]
    pub(crate) fn let_through(&self) {
        self.shell("nft 'delete table inet t'");
    }

    pub(crate) fn command(&self, command: &Command) -> Command {
        self.keeper.command(command)
    }

    #[track_caller]
    pub(crate) fn run(&self, profile: &Profile<'_>, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(&profile.command(arguments)))
    }

    #[track_caller]
    pub(crate) fn start(&self, profile: &Profile<'_>) -> Running {
        Running::start(self.command(&profile.command(&["run", "--json"])))
    }
}
