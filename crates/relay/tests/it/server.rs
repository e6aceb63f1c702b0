//! What generic gRPC tools ask a server.

use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::TestRelay;

#[tokio::test]
async fn a_relay_says_that_it_serves_and_what() {
    let test = TestRelay::start().await;
    let endpoint = Endpoint::from_shared(format!("http://{}", test.address)).expect("a URI");
    let channel = endpoint.connect().await.expect("a relay that listens");
    for service in ["", "tortalk.v1.RelayService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(channel.clone()).check(request).await.expect("known");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
    }

    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    requests.send(request).await.expect("it is open");
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(ReceiverStream::new(receiver)).await;
    let mut answers = answers.expect("served").into_inner();
    let answer = answers.next().await.expect("an answer").expect("no error").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?} in place of a list")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"tortalk.v1.RelayService"), "{names:?}");
    drop((requests, answers, client));
    test.stop().await;
}
