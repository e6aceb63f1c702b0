//! gRPC's protobuf codec, with every message in the transcript of the case that calls.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::transcript::{Direction, Log};

tokio::task_local! {
    /// The transcript of the case that runs in this task.
    pub static CASE_LOG: Log;
}

/// What the generated stubs use for each call.
#[derive(Debug, Clone)]
pub struct Codec<T, U> {
    log: Option<Log>,
    kinds: PhantomData<(T, U)>,
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        // A call is made in the case's task; its messages are written in another one.
        Self { log: CASE_LOG.try_with(Log::clone).ok(), kinds: PhantomData }
    }
}

/// One direction of [`Codec`].
#[derive(Debug, Clone)]
pub struct Half<T> {
    log: Option<Log>,
    kind: PhantomData<T>,
}

impl<T> Half<T> {
    fn add(&self, direction: Direction, bytes: &[u8]) {
        if let Some(log) = &self.log {
            let name = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
            log.add(direction, name, bytes);
        }
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Half<T>;
    type Decoder = Half<U>;

    fn encoder(&mut self) -> Half<T> {
        Half { log: self.log.clone(), kind: PhantomData }
    }

    fn decoder(&mut self) -> Half<U> {
        Half { log: self.log.clone(), kind: PhantomData }
    }
}

impl<T: Message> Encoder for Half<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.add(Direction::Sent, &item.encode_to_vec());
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<T: Message + Default> Decoder for Half<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        self.add(Direction::Received, &bytes);
        T::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
