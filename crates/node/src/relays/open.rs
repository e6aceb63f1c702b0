//! A connection on which the relay has proved its key.

use std::io;
use std::net::Ipv6Addr;
use std::sync::{Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint, Uri};
use tortalk_keys::Signature;
use tortalk_keys::relay::{Authority, RelayHost};
use tortalk_keys::relay_proof::info::{self, InfoClaim};
use tortalk_mesh::relay::RelayDown;
use tortalk_model::RelayKey;
use tortalk_model::entropy::Entropy as _;
use tortalk_model::limits::relay::NONCE_BYTES;
use tortalk_rpc::v1::relay_service_client::RelayServiceClient;
use tortalk_rpc::{AuthorityBytes, Info, InfoQuestion, v1};

use super::Common;
use super::dial::{Stream, Watched};
use super::fault::of_first_status;
use super::way::Way;
use crate::entropy::OsEntropy;

/// The version of the relay's service that is spoken here.
const VERSION: u16 = 1;
/// The largest message of a relay.
const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// How far a relay may send ahead on one call.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// How far on one connection: calls that are not read leave room for the others.
const CONNECTION_WINDOW_BYTES: u32 = 16 * STREAM_WINDOW_BYTES;
/// Names and values of an answer's headers.
const HEADER_BYTES_MAX: u32 = 8 * 1024;

pub(super) type Client = RelayServiceClient<Channel>;

/// A connection, ready for more than `GetInfo`.
pub(super) struct Opened {
    pub(super) client: Client,
    /// What the relay says of itself, verified.
    pub(super) info: Info,
    /// Ends when the connection does.
    pub(super) gone: oneshot::Receiver<()>,
}

/// Connects and has the relay prove its key: `pinned`, or the one that it claims
/// where none is known yet.
pub(super) async fn open(
    common: &Common,
    authority: &Authority,
    pinned: Option<&RelayKey>,
) -> Result<Opened, RelayDown> {
    let way = common.ways.to(authority)?;
    let stream =
        timeout(common.times.connect, connect(common, authority, way)).await.map_err(|_| {
            common.unreached.note(authority, Err(io::ErrorKind::TimedOut));
            RelayDown::Unreachable
        })??;
    let (stream, gone) = Watched::new(stream);
    let mut client = client(common, authority, stream).await?;
    let info = timeout(common.times.proof, prove(&mut client, authority, pinned))
        .await
        .map_err(|_| RelayDown::Unreachable)??;
    Ok(Opened { client, info, gone })
}

async fn connect(common: &Common, authority: &Authority, way: Way) -> Result<Stream, RelayDown> {
    let dialled = common.dialler.dial(authority).await;
    common.unreached.note(authority, dialled.as_ref().map(drop).map_err(io::Error::kind));
    let stream = dialled.map_err(|error| {
        tracing::debug!(kind = %error.kind(), "a relay is not reached");
        RelayDown::Unreachable
    })?;
    let host = match authority.host() {
        RelayHost::Name(name) => name.as_str(),
        // No certificate stands for an onion service; its name is its key.
        RelayHost::Onion(_) => return Ok(stream),
    };
    let secured = match way {
        Way::Plain => return Ok(stream),
        Way::Verified => common.tls.verified(host, stream).await,
        Way::Unverified => common.tls.unverified(host, stream).await,
    };
    secured.map_err(|error| match error.kind() {
        // What rustls finds wrong comes as this.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            tracing::info!("a relay has no TLS, or no certificate that is good for its name");
            RelayDown::NotPrivate
        }
        _ => RelayDown::Unreachable,
    })
}

/// HTTP/2 on one stream. There is no second: when it ends, so do all calls, and
/// nothing is ever sent on a connection whose relay has not proved its key.
// req: RLY-08
async fn client(
    common: &Common,
    authority: &Authority,
    stream: Watched,
) -> Result<Client, RelayDown> {
    let times = &common.times;
    let endpoint = Endpoint::from(uri(authority)?)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keep_alive_interval(times.ping_every)
        .keep_alive_timeout(times.ping)
        .keep_alive_while_idle(true);
    let only = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = only.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream.map(TokioIo::new);
        async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    let connecting = timeout(times.connect, endpoint.connect_with_connector(connector));
    match connecting.await {
        Ok(Ok(channel)) => {
            Ok(RelayServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
        }
        _ => Err(RelayDown::Unreachable),
    }
}

fn uri(authority: &Authority) -> Result<Uri, RelayDown> {
    let port = authority.port();
    let text = match authority.host() {
        RelayHost::Name(name) if name.parse::<Ipv6Addr>().is_ok() => format!("[{name}]:{port}"),
        RelayHost::Name(name) => format!("{name}:{port}"),
        // Whoever dials it knows its name; the service behind it needs none.
        RelayHost::Onion(_) => format!("relay.onion:{port}"),
    };
    let uri = Uri::builder().scheme("http").authority(text).path_and_query("/").build();
    uri.map_err(|_| RelayDown::Unreachable)
}

async fn prove(
    client: &mut Client,
    authority: &Authority,
    pinned: Option<&RelayKey>,
) -> Result<Info, RelayDown> {
    let nonce: [u8; NONCE_BYTES] = OsEntropy.bytes();
    let bytes = AuthorityBytes::try_from(authority.to_bytes()).expect("an authority's length");
    let question = InfoQuestion { nonce, authority: bytes };
    let answer = client
        .get_info(v1::GetInfoRequest::from(question))
        .await
        .map_err(|status| of_first_status(&status))?;
    let info = Info::try_from(answer.into_inner()).map_err(|_| RelayDown::Protocol)?;
    let pinned = *pinned.unwrap_or(&info.relay_key);
    // req: RLY-08
    if !is_proved(&info, &pinned, &nonce, authority) && !tortalk_model::deviate!(unproved_relay) {
        return Err(RelayDown::OtherKey);
    }
    // req: VER-02
    if !info.versions.contains(&VERSION) && !tortalk_model::deviate!(skip_ver_02) {
        return Err(RelayDown::Protocol);
    }
    Ok(info)
}

fn is_proved(
    info: &Info,
    pinned: &RelayKey,
    nonce: &[u8; NONCE_BYTES],
    authority: &Authority,
) -> bool {
    let claim = InfoClaim {
        nonce,
        authority,
        now: info.now,
        epoch: info.epoch,
        versions: &info.versions,
        onion: info.onion,
    };
    info::verify(pinned, &claim, &Signature::from_bytes(info.signature)).is_ok()
}
