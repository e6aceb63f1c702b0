//! One way to a node, whether it runs already or is started for this command.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tortalk_node::control::client::{Client, ClientError};
use tortalk_node::control::event::EventLine;
use tortalk_node::control::protocol::{Request, Response};
use tortalk_node::profile::{OpenError, Profile};
use tortalk_node::{Control, Events, LockError, Network, Node, NodeOptions};

use crate::context::{Context, OpenProfileError};
use crate::exit::Failure;

/// How long another command may have the profile before we give up. A node that
/// is just starting opens its socket within this time.
const IN_USE_FOR: Duration = Duration::from_secs(3);
/// How often it is looked whether the profile is free, or the socket open.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A node to talk to.
#[derive(Debug)]
pub(crate) enum Session {
    /// The one that runs on the profile.
    Running(Client),
    /// One of this process alone, which ends with the command.
    Own(Node),
}

/// What a node started for one command may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing leaves the profile.
    Profile,
    /// It listens and looks for others, and serves other commands meanwhile.
    Network,
}

impl Session {
    /// Does something with a node and closes it again.
    pub(crate) async fn with<T>(
        context: &Context,
        reach: Reach,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let session = Self::open(context, reach).await?;
        let result = work(&session).await;
        let closed = session.close().await;
        let value = result?;
        closed.map(|()| value)
    }

    /// Finds the running node, or starts one.
    pub(crate) async fn open(context: &Context, reach: Reach) -> Result<Self, Failure> {
        match find(context).await? {
            Found::Node(client) => Ok(Self::Running(client)),
            Found::Profile(profile) => Self::start(*profile, reach).await,
        }
    }

    /// Starts a node on a profile that is open.
    pub(crate) async fn start(profile: Profile, reach: Reach) -> Result<Self, Failure> {
        let options = match reach {
            Reach::Profile => NodeOptions {
                network: Network::Off,
                control: Control::Off,
                ..NodeOptions::default()
            },
            Reach::Network => NodeOptions::default(),
        };
        Ok(Self::Own(Node::start(profile, options).await?))
    }

    /// Whether the node was there before.
    pub(crate) const fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// Asks for something.
    pub(crate) async fn request(&self, request: Request) -> Result<Response, Failure> {
        match self {
            Self::Running(client) => Ok(client.request(request).await?),
            Self::Own(node) => Ok(node.handle().request(request).await?),
        }
    }

    /// Events from now on.
    pub(crate) async fn events(&self) -> Result<EventStream, Failure> {
        Ok(match self {
            Self::Running(client) => EventStream::Running(client.events().await?),
            Self::Own(node) => EventStream::Own(node.handle().events()),
        })
    }

    /// Ends the node if it is this command's own.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Own(node) => Ok(node.stop().await?),
        }
    }
}

/// What there is on a profile.
pub(crate) enum Found {
    /// A node that answers.
    Node(Client),
    /// None, so the profile is ours.
    Profile(Box<Profile>),
}

/// Finds the running node, or takes the profile.
pub(crate) async fn find(context: &Context) -> Result<Found, Failure> {
    let began = Instant::now();
    loop {
        match Client::connect(&context.dir).await {
            Ok(client) => return Ok(Found::Node(client)),
            Err(ClientError::NotRunning) => {}
            Err(error) => return Err(error.into()),
        }
        match context.open_profile() {
            Ok(profile) => return Ok(Found::Profile(Box::new(profile))),
            // A node that starts or ends, or a command that takes a moment.
            Err(OpenProfileError::Open(OpenError::Lock(LockError::InUse { .. })))
                if began.elapsed() < IN_USE_FOR => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Events of a node.
#[derive(Debug)]
pub(crate) enum EventStream {
    Running(mpsc::Receiver<EventLine>),
    Own(Events),
}

impl EventStream {
    /// The next one; `None` when the node is gone.
    pub(crate) async fn next(&mut self) -> Option<EventLine> {
        match self {
            Self::Running(events) => events.recv().await,
            Self::Own(events) => events.next().await,
        }
    }
}
