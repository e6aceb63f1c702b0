//! Readers beside the writer, a few for all streams.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::store::{Reader, StoreError};
use crate::writer::Unavailable;

/// A few connections that read.
#[derive(Clone)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(readers: Vec<Box<dyn Reader>>) -> Self {
        let turns = Arc::new(Semaphore::new(readers.len()));
        Self { idle: Arc::new(Mutex::new(readers)), turns }
    }

    /// Reads on a thread that may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Unavailable)?;
        let idle = Arc::clone(&self.idle);
        let task = tokio::task::spawn_blocking(move || {
            let mut reader = lock(&idle).pop().expect("there are as many readers as turns");
            let result = read(&mut *reader);
            lock(&idle).push(reader);
            drop(turn);
            result
        });
        match task.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store failed");
                Err(Unavailable)
            }
            Err(_) => Err(Unavailable),
        }
    }
}

fn lock(idle: &Mutex<Vec<Box<dyn Reader>>>) -> std::sync::MutexGuard<'_, Vec<Box<dyn Reader>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
