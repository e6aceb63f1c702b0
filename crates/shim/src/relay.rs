//! The relay as a target.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tortalk_relay::env::Clock;
use tortalk_relay::key_file;
use tortalk_relay::program::{self, Run};
use tortalk_relay::service::Relay;

use crate::Failure;
use crate::ask::{Answer, Ask, Refusal};
use crate::channel::{self, Target};

/// What its clocks are apart from those of the system, ms.
#[derive(Debug, Clone, Copy, Default)]
struct Shift {
    wall: i64,
    mono: u64,
}

struct Served {
    relay: Relay,
    key: String,
    shift: Arc<Mutex<Shift>>,
}

/// Serves until a signal asks for the end.
///
/// # Errors
/// What failed, in a line.
pub(crate) fn run(options: &Run, control: &Path) -> Result<(), Failure> {
    let shift = Arc::new(Mutex::new(Shift::default()));
    let (system, moved) = (Clock::system(), Arc::clone(&shift));
    let clock = Clock::new(move || {
        let shift = *moved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = system.now();
        now.wall.0 = now.wall.0.saturating_add_signed(shift.wall);
        now.mono.0 = now.mono.0.saturating_add(shift.mono);
        now
    });
    let key = key_file::read(&options.folder.data)?.public().to_string();
    let runs = program::run(options, clock, |relay| {
        let mut served = Served { relay: relay.clone(), key, shift };
        let listener = channel::listen(control).map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            if let Err(error) = channel::serve(&listener, &mut served).await {
                eprintln!("tortalk-shim: the control channel has ended: {error}");
            }
        });
        Ok(())
    });
    runs.map_err(|error| error.to_string().into())
}

impl Target for Served {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Hello => Ok(json!({
                "name": "tortalk-relay",
                "version": env!("CARGO_PKG_VERSION"),
                "role": "relay",
                "relay_key": self.key,
            })),
            Ask::ClockSet { unix_ms } => {
                let clock = self.relay.clock().now().wall.0;
                let by = i64::try_from(i128::from(unix_ms) - i128::from(clock));
                let by = by.map_err(|_| Refusal::Refused("no such time".to_owned()))?;
                self.shifted(|shift| shift.wall = shift.wall.saturating_add(by)).await
            }
            Ask::ClockAdvance { ms } => {
                let moved = |shift: &mut Shift| {
                    shift.wall = shift.wall.saturating_add_unsigned(ms);
                    shift.mono = shift.mono.saturating_add(ms);
                };
                self.shifted(moved).await
            }
            Ask::Counters => {
                let metrics = self.relay.metrics();
                Ok(json!({"bytes": metrics.held_bytes(), "mailboxes": metrics.mailboxes()}))
            }
            _ => Err(Refusal::Unsupported),
        }
    }
}

impl Served {
    async fn shifted(&self, change: impl FnOnce(&mut Shift)) -> Answer {
        change(&mut self.shift.lock().unwrap_or_else(PoisonError::into_inner));
        self.relay.sweep().await;
        Ok(json!({}))
    }
}
