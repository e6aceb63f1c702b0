//! A running node: what is started, in which order it ends.

mod neighbourhood;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tortalk_link::LinkSelf;
use tortalk_mesh::{MeshConfig, Visibility};
use tortalk_model::entropy;
use tortalk_model::{InstanceId, StoreId};
use tortalk_settings::{SETTINGS_FILE, Settings};
use tortalk_store::{Store, StoreError};

use crate::clock::Clock;
use crate::control::event::{EventLine, NodeEvent};
use crate::control::server::{ControlError, ControlSocket};
use crate::discovery::beacon::Groups;
use crate::discovery::interfaces::Interface;
use crate::engine::{About, Engine, INPUTS_WAITING_MAX, Surroundings};
use crate::entropy::OsEntropy;
use crate::handle::{EVENTS_KEPT, Events, Handle, Phase, Shared, unix_now};
use crate::links::Links;
use crate::links::listener::{ListenError, Listeners, Port};
use crate::profile::Profile;
use crate::relays::{self, Common, OwnRelay, Relays, TcpDialler, Times, Tls};
use crate::sabotage::Sabotage;
use neighbourhood::Neighbourhood;

/// Links get this long to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(3);
/// Connections with relays are gone by then.
const RELAYS_GOODBYE_MAX: Duration = Duration::from_secs(2);

/// How to run a node; what else it needs stands in its settings.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// What holds for this run in place of the profile's own settings.
    pub settings: Option<Settings>,
    /// Whether to meet others at all.
    pub network: Network,
    /// Whether other processes may talk to the node.
    pub control: Control,
    /// Where beacons go; only tests have others than the protocol's.
    pub groups: Groups,
    /// What tells the time.
    pub clock: Clock,
    /// What is broken on purpose; nothing, in a normal build.
    pub sabotage: Sabotage,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            settings: None,
            network: Network::On,
            control: Control::Socket,
            groups: Groups::PROTOCOL,
            clock: Clock::system(),
            sabotage: Sabotage::None,
        }
    }
}

/// Whether a node meets others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// It listens, looks for neighbours and dials.
    On,
    /// No socket is opened: for work on the profile alone.
    Off,
}

/// Whether other processes may talk to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Over `control.sock` in the profile's folder, its owner only.
    Socket,
    /// Not at all.
    Off,
}

/// Why a node did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no port for links.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The system does not give what a node needs.
    #[error("the node cannot be started ({0}): close other programs and try again")]
    System(io::Error),
}

/// Why a node has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The store is beyond use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mistake in torTalk.
    #[error("the node has ended because of an error in torTalk itself: please report it")]
    Crashed,
}

/// A running node. Dropping it lets it end; [`Node::wait`] waits for that.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    supervisor: JoinHandle<Result<(), NodeError>>,
    ended: Option<Result<(), NodeError>>,
    port: u16,
    /// Until somebody wants them.
    from_start: Option<Events>,
}

impl Node {
    /// Starts a node on a profile. Call it inside a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; what was started is ended again.
    pub async fn start(profile: Profile, options: NodeOptions) -> Result<Self, StartError> {
        let settings = options.settings.unwrap_or_else(|| profile.settings().clone());
        let store = open_store(&profile).await?;
        let listeners = match options.network {
            Network::On => Some(Listeners::bind(port(&settings))?),
            Network::Off => None,
        };
        let control = match options.control {
            Control::Socket => Some(ControlSocket::bind(profile.dir())?),
            Control::Off => None,
        };
        let port = listeners.as_ref().map_or(0, Listeners::port);
        let mut parts = Parts::new(&profile, &settings, store.store_id(), port, options.clock);
        parts.surroundings.sabotage = options.sabotage;
        let Parts { handle, mut surroundings, mut config, gone, from_start } = parts;
        let links = surroundings.links.clone();
        let (mut helpers, mut relays_gone) = (Vec::new(), None);
        // Also without a network: the card goes on naming them.
        surroundings.own_relays = relays::own_relays(&settings);
        config.relays = surroundings.own_relays.iter().filter_map(OwnRelay::address).collect();
        config.awaits_relays = config.relays.len() < surroundings.own_relays.len();
        if let (Some(listeners), Some(links)) = (listeners, links.clone()) {
            let neighbourhood =
                Neighbourhood::start(&settings, &config, &surroundings, options.groups);
            let safety = settings.server.safety_mode;
            if safety {
                links.stay_on_lan(neighbourhood.interfaces());
            }
            listeners.start(&links, &neighbourhood.interfaces()).map_err(StartError::System)?;
            let lan_only = safety.then(|| neighbourhood.interfaces());
            relays_gone = Some(start_relays(&settings, &profile, &mut surroundings, lan_only));
            helpers.push(tokio::spawn(neighbourhood.run(Arc::clone(&links))));
            let (peers, to_engine) = (settings.network.peers, surroundings.to_self.clone());
            helpers.push(tokio::spawn(neighbourhood::name_peers(peers, safety, to_engine, links)));
        }
        let engine_ended = start_engine(store, profile, config, surroundings)?;
        if let Some(control) = control {
            helpers.push(tokio::spawn(control.serve(handle.clone())));
        }
        let supervisor = Supervisor { handle: handle.clone(), links, gone, relays_gone, helpers };
        let supervisor = tokio::spawn(supervisor.run(engine_ended));
        Ok(Self { handle, supervisor, ended: None, port, from_start: Some(from_start) })
    }

    /// A handle on it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Events since the start, `ready` first: nothing is left out that came about before
    /// this was called. When called again it is [`Handle::events`].
    pub fn events(&mut self) -> Events {
        self.from_start.take().unwrap_or_else(|| self.handle.events())
    }

    /// The TCP port of its links; 0 without a network.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits until the node has ended; the profile is free then.
    ///
    /// # Errors
    /// Why it has ended, if nobody has asked it to. The same each time.
    pub async fn wait(&mut self) -> Result<(), NodeError> {
        if self.ended.is_none() {
            let ended = (&mut self.supervisor).await;
            self.ended = Some(ended.unwrap_or(Err(NodeError::Crashed)));
        }
        self.ended.clone().expect("it was put there just now")
    }

    /// Lets the node end and waits for that: links are told, what is queued for
    /// them is sent, at most for three seconds.
    ///
    /// # Errors
    /// As [`Node::wait`].
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.handle.stop();
        self.wait().await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

/// What the engine and everybody else have in common.
struct Parts {
    handle: Handle,
    surroundings: Surroundings,
    config: MeshConfig,
    gone: mpsc::Receiver<()>,
    from_start: Events,
}

impl Parts {
    fn new(
        profile: &Profile,
        settings: &Settings,
        store_id: StoreId,
        port: u16,
        clock: Clock,
    ) -> Self {
        let instance_id = InstanceId::from_bytes(entropy::array(&mut OsEntropy));
        let config = MeshConfig {
            name: settings.user.username.clone().unwrap_or_default(),
            visibility: visibility(settings),
            read_receipts: settings.messages.read_receipts,
            request_receipts: settings.messages.request_receipts,
            instance_id,
            relays: Vec::new(),
            awaits_relays: false,
        };
        let keyring = profile.keyring(store_id);
        let (to_engine, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let (phase_sender, phase) = watch::channel(Phase::Running);
        let (events, first_listener) = broadcast::channel(EVENTS_KEPT);
        let me = LinkSelf {
            identity: Arc::clone(&keyring.identity),
            device_id: keyring.device_id,
            instance_id,
        };
        let (links, gone) = Links::new(me, clock.clone(), to_engine.clone(), phase.clone());
        let links = (port != 0).then_some(links);
        let ready = NodeEvent::Ready {
            port,
            identity: keyring.identity.public().to_string(),
            instance: instance_id.to_string(),
        };
        let started_at = clock.wall().0;
        let surroundings = Surroundings {
            inputs,
            to_self: to_engine.clone(),
            phase,
            events: events.clone(),
            runtime: tokio::runtime::Handle::current(),
            clock,
            links: links.clone(),
            relays: None,
            own_relays: Vec::new(),
            beacon: Arc::new(Notify::new()),
            visibility: watch::channel(config.visibility).0,
            about: About { dir: profile.dir().to_owned(), port, started_at },
            sabotage: Sabotage::None,
        };
        let from_start = Events::new(ready.clone(), first_listener);
        let shared = Shared { to_engine, events, phase: phase_sender, ready, links };
        let handle = Handle { shared: Arc::new(shared) };
        Self { handle, surroundings, config, gone, from_start }
    }
}

/// Makes the connections with relays possible, and asks those of the settings
/// for their keys that have none there. The receiver learns when all are gone.
fn start_relays(
    settings: &Settings,
    profile: &Profile,
    surroundings: &mut Surroundings,
    lan_only: Option<watch::Receiver<Vec<Interface>>>,
) -> mpsc::Receiver<()> {
    let common = Arc::new(Common {
        unreached: relays::Reasons::default(),
        dialler: Box::new(TcpDialler { lan_only }),
        ways: relays::ways(settings),
        tls: Tls::of_this_machine(),
        times: Times::USUAL,
    });
    let to_engine = surroundings.to_self.clone();
    let runtime = surroundings.runtime.clone();
    let (relays, gone) = Relays::new(Arc::clone(&common), to_engine.clone(), runtime);
    surroundings.relays = Some(relays);
    for own in &surroundings.own_relays {
        if own.key.is_none() && own.trouble.is_none() {
            let file = profile.dir().join(SETTINGS_FILE);
            let pinning =
                relays::pin_own(Arc::clone(&common), own.clone(), file, to_engine.clone());
            let mut phase = surroundings.phase.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = pinning => {}
                    _ = phase.wait_for(|&phase| phase >= Phase::Stopping) => {}
                }
            });
        }
    }
    gone
}

async fn open_store(profile: &Profile) -> Result<Store, StartError> {
    let (path, key) = (profile.store_path().to_owned(), profile.key().clone());
    // All messages are opened for searching: seconds, for a long history.
    let opening = tokio::task::spawn_blocking(move || Store::open(&path, key, Box::new(OsEntropy)));
    let opened = opening.await.map_err(|error| StartError::System(io::Error::other(error)))?;
    Ok(opened?)
}

/// What the engine's thread leaves behind: the profile, still locked.
type Ended = (Profile, Result<(), StoreError>);

/// Starts the engine's thread; the receiver learns how it ended, after it has
/// let go of the store.
fn start_engine(
    store: Store,
    profile: Profile,
    config: MeshConfig,
    surroundings: Surroundings,
) -> Result<oneshot::Receiver<Ended>, StartError> {
    let engine = Engine::new(store, profile, config, surroundings)?;
    let (ended, engine_ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let _nobody_waits = ended.send(engine.run());
        })
        .map_err(StartError::System)?;
    Ok(engine_ended)
}

/// Sees a node to its end.
struct Supervisor {
    handle: Handle,
    links: Option<Arc<Links>>,
    gone: mpsc::Receiver<()>,
    relays_gone: Option<mpsc::Receiver<()>>,
    helpers: Vec<JoinHandle<()>>,
}

impl Supervisor {
    async fn run(mut self, engine_ended: oneshot::Receiver<Ended>) -> Result<(), NodeError> {
        let (profile, outcome) = match engine_ended.await {
            Ok((profile, outcome)) => (Some(profile), outcome.map_err(NodeError::Store)),
            Err(_) => (None, Err(NodeError::Crashed)),
        };
        self.handle.stop();
        if let Some(links) = self.links.take() {
            links.close();
        }
        if tokio::time::timeout(GOODBYE_MAX, self.gone.recv()).await.is_err() {
            tracing::debug!("not every link could say goodbye");
        }
        // They have a bound of their own, and began to end before the links did.
        if let Some(relays_gone) = &mut self.relays_gone
            && tokio::time::timeout(RELAYS_GOODBYE_MAX, relays_gone.recv()).await.is_err()
        {
            tracing::debug!("not every relay could be let go of in order");
        }
        let shared = &self.handle.shared;
        // Nobody listening is no fault.
        let _heard_by = shared.events.send(EventLine { at: unix_now(), event: NodeEvent::Stopped });
        shared.phase.send_replace(Phase::Stopped);
        for helper in self.helpers {
            if helper.await.is_err() {
                tracing::error!("a part of the node has crashed: please report it");
            }
        }
        // Nothing of the node is left: now others may have the folder.
        drop(profile);
        outcome
    }
}

const fn port(settings: &Settings) -> Port {
    match settings.network.tcp_port {
        Some(port) => Port::Exactly(port),
        None => Port::Usual,
    }
}

const fn visibility(settings: &Settings) -> Visibility {
    match settings.network.visibility {
        tortalk_settings::Visibility::Everyone => Visibility::Everyone,
        tortalk_settings::Visibility::Contacts => Visibility::Contacts,
        tortalk_settings::Visibility::Nobody => Visibility::Nobody,
    }
}
