//! The counters over HTTP, for the operator alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::metrics::Metrics;

/// A reader of counters is served within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers every request with the counters, one connection after the other.
/// Never returns. The port is the operator's: not to be opened to strangers.
pub async fn serve_metrics(listener: TcpListener, metrics: Arc<Metrics>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PATIENCE).await;
            continue;
        };
        // Who does not take the answer asks again.
        drop(timeout(PATIENCE, answer(stream, &metrics)).await);
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    let mut request = [0; 1_024];
    let mut filled = 0;
    while !request[..filled].windows(4).any(|end| end == b"\r\n\r\n") && filled < request.len() {
        let read = stream.read(&mut request[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
    }
    let body = metrics.render();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
