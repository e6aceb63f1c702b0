//! Listening, TLS, limits of connections, health, reflection, draining.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tortalk_model::limits::relay::CALLS_PER_CONNECTION_MAX;
use tortalk_rpc::DESCRIPTORS;
use tortalk_rpc::v1::relay_service_server::RelayServiceServer;

use crate::service::{MESSAGE_BYTES_MAX, Relay};

mod incoming;
mod metrics;

pub use metrics::serve_metrics;

/// How far a client may send ahead on one call.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// How far a client may send ahead on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// Names and values of a request's headers.
const HEADER_BYTES_MAX: u32 = 8 * 1024;
/// A connection that is silent for this long is asked for a sign of life, and
/// is dead when none comes in as long again.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A call that is no stream is over by then.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A TLS handshake is over by then.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often what is due is forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Why a relay does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The certificate or its key is not usable.
    #[error("the TLS certificate or key: {0}")]
    Tls(#[source] tonic::transport::Error),
    /// The descriptors of the service are broken: a mistake in torTalk.
    #[error("an error in torTalk itself: {0}")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The sockets failed.
    #[error("the network: {0}")]
    Transport(#[source] tonic::transport::Error),
}

/// A certificate chain and its key, both as PEM text.
#[derive(Clone)]
pub struct TlsFiles {
    /// The chain, the relay's own certificate first.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Serves until `stop` is ready, and then for `grace` at most until all calls
/// have ended in order.
///
/// # Errors
/// [`ServeError`] when it cannot begin or the sockets fail.
pub async fn serve(
    relay: Relay,
    listener: TcpListener,
    tls: Option<TlsFiles>,
    grace: Duration,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let mut server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        // req: RLY-60
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .timeout(CALL_TIMEOUT);
    if let Some(tls) = tls {
        let identity = Identity::from_pem(tls.certificate, tls.key);
        let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_TIMEOUT);
        server = server.tls_config(config).map_err(ServeError::Tls)?;
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<RelayServiceServer<Relay>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?;
    let service =
        RelayServiceServer::new(relay.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);

    let connections = incoming::listen(listener, &relay);
    let sweeper = tokio::spawn(sweep(relay.clone()));
    let (stopped, stopping) = oneshot::channel();
    let stop = async move {
        stop.await;
        health.set_not_serving::<RelayServiceServer<Relay>>().await;
        relay.drain();
        // Nobody waits when the server has ended by itself.
        let _ended = stopped.send(());
    };
    let serving = server
        .add_service(health_service)
        .add_service(reflection)
        .add_service(service)
        .serve_with_incoming_shutdown(connections, stop);
    let overtime = async {
        if stopping.await.is_ok() {
            tokio::time::sleep(grace).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let served = tokio::select! {
        served = serving => served.map_err(ServeError::Transport),
        () = overtime => Ok(()),
    };
    sweeper.abort();
    served
}

/// Opens the port.
///
/// # Errors
/// What the system says when it cannot.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn sweep(relay: Relay) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        relay.sweep().await;
    }
}
