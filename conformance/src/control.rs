//! The control channel of a target (`spec/annex-targets.md`, section 5), from the client's side.

use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};

use crate::case::Ctx;
use crate::peer::{Direction, Log};
use crate::people::Person;
use crate::stack::card::Card;
use crate::target::Spawned;
use crate::verdict::{Judged, Verdict, check};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long what the user is shown may lag behind what was said on a wire.
const SHOWN_WITHIN: Duration = Duration::from_secs(4);
/// What no target has.
const NO_SUCH_THING: &str = "no-such-thing-5f0c";

/// A channel with a target.
#[derive(Debug)]
pub struct Control {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    asked: u64,
    log: Log,
}

/// A target of a case's own, and the user who sits before it.
#[derive(Debug)]
pub struct Operated {
    /// Its process.
    pub spawned: Spawned,
    /// What its user does and is shown.
    pub control: Control,
}

/// What a target answers that it did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// `unsupported`, `unknown` or `refused`.
    pub error: String,
    /// For people.
    pub why: String,
}

impl Control {
    /// Connects, and sees that it is a channel that does not say yes to everything.
    ///
    /// # Errors
    /// A failure when it is none.
    pub async fn connect(path: &Path, log: Log) -> Result<Self, Verdict> {
        let stream = UnixStream::connect(path).await.map_err(|error| {
            Verdict::Fail(format!("no control channel, though {{control}} is there: {error}"))
        })?;
        let (read, write) = stream.into_split();
        let mut control = Self { read: BufReader::new(read), write, asked: 0, log };
        match control.ask(NO_SUCH_THING, json!({})).await? {
            Err(declined) if declined.error == "unsupported" => Ok(control),
            other => Err(Verdict::Fail(format!("it knows {NO_SUCH_THING}: {other:?}"))),
        }
    }

    /// Asks for something.
    ///
    /// # Errors
    /// A verdict when the channel does not answer as it should.
    pub async fn ask(
        &mut self,
        what: &str,
        arguments: Value,
    ) -> Result<Result<Value, Declined>, Verdict> {
        self.asked += 1;
        let mut line = match arguments {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        line.insert("id".to_owned(), json!(self.asked));
        line.insert("do".to_owned(), json!(what));
        let line = Value::Object(line).to_string();
        self.log.add(Direction::Note, format!("control → {line}"), &[]);
        let broken = |error| Verdict::Fail(format!("the control channel breaks: {error}"));
        self.write.write_all(format!("{line}\n").as_bytes()).await.map_err(broken)?;
        let mut answer = String::new();
        let read = timeout(ANSWER_WITHIN, self.read.read_line(&mut answer)).await;
        let late = || Verdict::Inconclusive(format!("the control channel does not answer {what}"));
        read.map_err(|_late| late())?.map_err(broken)?;
        self.log.add(Direction::Note, format!("control ← {}", answer.trim_end()), &[]);
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|error| Verdict::Fail(format!("no answer of a control channel: {error}")))?;
        check(answer["id"] == self.asked, || "an answer with another id".to_owned())?;
        if let Some(error) = answer["error"].as_str() {
            let why = answer["why"].as_str().unwrap_or_default().to_owned();
            return Ok(Err(Declined { error: error.to_owned(), why }));
        }
        check(answer["ok"].is_object(), || "an answer without `ok`".to_owned())?;
        Ok(Ok(answer["ok"].clone()))
    }

    /// Has something done.
    ///
    /// # Errors
    /// `not-tested` where the target cannot do it; a failure when it does not.
    pub async fn have(&mut self, what: &str, arguments: Value) -> Result<Value, Verdict> {
        self.ask(what, arguments).await?.map_err(|declined| match declined.error.as_str() {
            "unsupported" => Verdict::NotTested(format!("the target cannot {what}")),
            error => Verdict::Fail(format!("{what}: {error}: {}", declined.why)),
        })
    }

    /// The target's contact card.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn card(&mut self) -> Result<Card, Verdict> {
        let answer = self.have("card.export", json!({})).await?;
        let bytes = bytes(&answer["card"])?;
        Card::read(&bytes).map_err(|refusal| Verdict::Fail(format!("its own card: {refusal}")))
    }

    /// The user writes to somebody; gives the message's id.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn send(&mut self, to: &Person, text: &str) -> Result<[u8; 32], Verdict> {
        let arguments = json!({"identity": hex(&to.identity()), "text": text});
        let answer = self.have("send", arguments).await?;
        let id = bytes(&answer["message_id"])?;
        id.try_into().map_err(|_| Verdict::Fail("a message_id has 32 bytes".to_owned()))
    }

    /// What the user is shown of a message: the state's word, and how many have it.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn state(&mut self, message_id: &[u8; 32]) -> Result<(String, u64), Verdict> {
        let answer = self.have("state", json!({"message_id": hex(message_id)})).await?;
        let word = answer["state"].as_str().unwrap_or_default().to_owned();
        Ok((word, answer["handed"].as_u64().unwrap_or_default()))
    }

    /// Waits until a message is shown like this.
    ///
    /// # Errors
    /// A failure when it is not, in 4 s.
    pub async fn shows(&mut self, message_id: &[u8; 32], word: &str) -> Judged {
        let until = Instant::now() + SHOWN_WITHIN;
        loop {
            let (shown, _) = self.state(message_id).await?;
            if shown == word {
                return Ok(());
            }
            check(Instant::now() < until, || format!("shown as {shown} and not as {word}"))?;
            // The condition is the word; this only keeps the loop from spinning.
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is asked about one person.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn about(&mut self, what: &str, who: &Person) -> Result<Value, Verdict> {
        self.have(what, json!({"identity": hex(&who.identity())})).await
    }

    /// The texts that were stored of somebody, in order.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn inbox(&mut self, who: &Person) -> Result<Vec<String>, Verdict> {
        let answer = self.about("inbox", who).await?;
        let texts = answer["messages"].as_array().into_iter().flatten();
        Ok(texts.filter_map(|message| message["text"].as_str().map(str::to_owned)).collect())
    }

    /// How many messages of somebody the user is told to be missing.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn missing(&mut self, who: &Person) -> Result<u64, Verdict> {
        Ok(self.about("missing", who).await?["count"].as_u64().unwrap_or_default())
    }

    /// One of the target's counters.
    ///
    /// # Errors
    /// As [`Self::have`]; `not-tested` where the target does not count that.
    pub async fn counter(&mut self, name: &str) -> Result<u64, Verdict> {
        let answer = self.have("counters", json!({})).await?;
        let none = || Verdict::NotTested(format!("the target does not count {name}"));
        answer[name].as_u64().ok_or_else(none)
    }

    /// The identities of open requests.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn requests(&mut self) -> Result<Vec<String>, Verdict> {
        let answer = self.have("requests.list", json!({})).await?;
        let lines = answer["requests"].as_array().into_iter().flatten();
        Ok(lines.filter_map(|line| line["identity"].as_str().map(str::to_owned)).collect())
    }

    /// Lets time go by for the target, and for the case with it.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn advance(&mut self, ctx: &mut Ctx, ms: u64) -> Judged {
        self.have("clock.advance", json!({"ms": ms})).await?;
        ctx.ahead += ms;
        Ok(())
    }

    /// Sets the target's wall clock alone to so much from where the case's stands.
    ///
    /// # Errors
    /// As [`Self::have`].
    pub async fn set_clock(&mut self, ctx: &Ctx, by: i64) -> Judged {
        let unix_ms = ctx.now().saturating_add_signed(by);
        self.have("clock.set", json!({"unix_ms": unix_ms})).await.map(drop)
    }
}

impl Operated {
    /// SIGKILL, a start with what was stored, and a new channel. The clocks are right again.
    ///
    /// # Errors
    /// A failure when it does not start.
    pub async fn restart(&mut self, ctx: &mut Ctx) -> Judged {
        let started = self.spawned.restart().await;
        started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))?;
        ctx.ahead = 0;
        self.control = Control::connect(&self.spawned.control, ctx.log.clone()).await?;
        Ok(())
    }
}

/// As the channel writes bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn bytes(value: &Value) -> Result<Vec<u8>, Verdict> {
    let text = value.as_str().unwrap_or_default();
    let none = |_| Verdict::Fail(format!("no hexadecimal bytes: {value}"));
    HEXLOWER.decode(text.as_bytes()).map_err(none)
}
