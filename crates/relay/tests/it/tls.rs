//! TLS with a certificate of a test authority, valid for a hundred years; its
//! private key is public and good for nothing else.

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tortalk_relay::server::TlsFiles;
use tortalk_rpc::v1::relay_service_client::RelayServiceClient;
use tortalk_rpc::{AuthorityBytes, InfoQuestion, v1};

use crate::support::client::{PullStream, Said, SyncStream};
use crate::support::{Maker, Options, Owner, TestRelay};

const AUTHORITY: &str = include_str!("tls/ca.pem");

fn files() -> TlsFiles {
    TlsFiles {
        certificate: include_str!("tls/relay.pem").to_owned(),
        key: include_str!("tls/relay-key.pem").to_owned(),
    }
}

#[tokio::test]
async fn a_relay_serves_over_tls_and_not_without() {
    let options = Options { tls: Some(files()), ..Options::default() };
    let test = TestRelay::with(options).await;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(AUTHORITY))
        .domain_name("relay.test");
    let endpoint = Endpoint::from_shared(format!("https://{}", test.address))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .expect("a valid configuration");
    let channel = endpoint.connect().await.expect("a handshake");
    let mut client = RelayServiceClient::new(channel);
    let owner = Owner::new(1);
    let pull = PullStream::open(&test, &mut client, &owner).await;
    let envelope = Maker::new(1).envelope(owner.mailbox());
    let mut stream = SyncStream::open(&mut client, test.key).await;
    stream.send(&envelope, &owner.stamp(&envelope)).await;
    assert_eq!(stream.outcomes(1).await, [(envelope.id(), Said::Stored)]);
    drop(pull);

    let authority = AuthorityBytes::try_from(test.authority.to_bytes()).expect("a short one");
    let question = InfoQuestion { nonce: [1; 32], authority };
    let plain = Endpoint::from_shared(format!("http://{}", test.address)).expect("a URI");
    let answered = match plain.connect().await {
        Ok(channel) => {
            let request = v1::GetInfoRequest::from(question);
            RelayServiceClient::new(channel).get_info(request).await.is_ok()
        }
        Err(_) => false,
    };
    assert!(!answered);
    drop((client, stream));
    test.stop().await;
}
