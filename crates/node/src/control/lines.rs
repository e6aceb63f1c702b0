//! Serving the control lines on any pair of a reader and a writer.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::LINE_BYTES_MAX;
use super::event::NodeEvent;
use super::protocol::{AnswerLine, ErrorKind, Request, RequestError, RequestLine, Response};
use crate::handle::{Events, Handle};

/// Requests of one connection that are not answered yet.
const IN_FLIGHT_MAX: usize = 64;
/// Lines that wait for a client that reads slowly.
const LINES_WAITING_MAX: usize = 64;

/// What happens when the reader has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Whatever is not answered yet is answered, then serving ends.
    Close,
    /// As [`AtEnd::Close`], but events are written until the node ends.
    KeepEvents,
}

/// From when on events are written.
#[derive(Debug)]
pub enum EventsFrom {
    /// From the beginning: all of these.
    Start(Events),
    /// From the first `events` request.
    Request,
}

/// Serves requests from `reader` on `writer` until the reader ends, the writer
/// fails or the node has stopped.
///
/// Requests take effect in the order of their lines; answers may come in another
/// order and bear the id of their request.
///
/// # Errors
/// When the reader fails. A writer that is gone is no error.
pub async fn serve<R, W>(
    handle: Handle,
    reader: R,
    writer: W,
    from: EventsFrom,
    at_end: AtEnd,
) -> io::Result<()>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (lines, to_write) = mpsc::channel(LINES_WAITING_MAX);
    let mut writing = tokio::spawn(write_lines(writer, to_write));
    let mut session = Session {
        handle: handle.clone(),
        lines,
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        answers: JoinSet::new(),
        events: None,
    };
    if let EventsFrom::Start(events) = from {
        session.listen(events);
    }
    let result = tokio::select! {
        result = session.read(LineReader::new(reader, LINE_BYTES_MAX)) => result,
        () = handle.stopped() => Ok(()),
        _ = &mut writing => return Ok(()),
    };
    while session.answers.join_next().await.is_some() {}
    if let Some(events) = session.events.take() {
        // The forwarder ends by itself after the node's last event.
        if at_end == AtEnd::Close && !handle.has_stopped() {
            events.abort();
        }
        let _aborted = events.await;
    }
    drop(session);
    let _written = writing.await;
    result
}

struct Session {
    handle: Handle,
    lines: mpsc::Sender<Vec<u8>>,
    in_flight: Arc<Semaphore>,
    answers: JoinSet<()>,
    events: Option<JoinHandle<()>>,
}

impl Session {
    async fn read<R: AsyncBufRead + Unpin>(&mut self, mut reader: LineReader<R>) -> io::Result<()> {
        while let Some(line) = reader.next().await? {
            while self.answers.try_join_next().is_some() {}
            let parsed = match &line {
                Line::Whole(bytes) if bytes.trim_ascii().is_empty() => continue,
                Line::Whole(bytes) => RequestLine::parse(bytes),
                Line::TooLong => Err((None, too_long())),
            };
            match parsed {
                Ok(RequestLine { id, request }) => self.take(id, request).await,
                Err((id, error)) => self.answer(id, Err(error)).await,
            }
        }
        Ok(())
    }

    async fn take(&mut self, id: u64, request: Request) {
        let permit = Arc::clone(&self.in_flight).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let events = matches!(request, Request::Events);
        // Handed in here and not in the task: order of lines is order of effect.
        let pending = self.handle.submit(request).await;
        if events {
            self.answer(Some(id), pending.outcome().await).await;
            self.listen(self.handle.events());
            return;
        }
        let lines = self.lines.clone();
        self.answers.spawn(async move {
            let line = AnswerLine { id: Some(id), outcome: pending.outcome().await }.to_line();
            let _client_gone = lines.send(line).await;
            drop(permit);
        });
    }

    async fn answer(&self, id: Option<u64>, outcome: Result<Response, RequestError>) {
        let _client_gone = self.lines.send(AnswerLine { id, outcome }.to_line()).await;
    }

    fn listen(&mut self, events: Events) {
        if self.events.is_none() {
            let lines = self.lines.clone();
            self.events = Some(tokio::spawn(forward_events(events, lines)));
        }
    }
}

async fn forward_events(mut events: Events, lines: mpsc::Sender<Vec<u8>>) {
    while let Some(event) = events.next().await {
        let last = event.event == NodeEvent::Stopped;
        if lines.send(event.to_line()).await.is_err() || last {
            return;
        }
    }
}

async fn write_lines<W: AsyncWrite + Unpin>(mut writer: W, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if writer.write_all(&line).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
    let _gone = writer.shutdown().await;
}

fn too_long() -> RequestError {
    let message = format!("the line is longer than {LINE_BYTES_MAX} bytes: send less in one line");
    RequestError::new(ErrorKind::TooLong, message)
}

/// One line, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// It was over the limit and was read past, not kept.
    TooLong,
}

/// Reads lines and never holds more than the limit and one buffer.
pub(super) struct LineReader<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
    skipping: bool,
}

impl<R: AsyncBufRead + Unpin> LineReader<R> {
    pub(super) const fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, line: Vec::new(), skipping: false }
    }

    /// The next line, or `None` at the end; a last line without a newline counts.
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let buffer = self.reader.fill_buf().await?;
            if buffer.is_empty() {
                let nothing = self.line.is_empty() && !self.skipping;
                return Ok(if nothing { None } else { Some(self.complete()) });
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if self.line.len() + part.len() > self.limit {
                self.skipping = true;
                self.line = Vec::new();
            } else if !self.skipping {
                self.line.extend_from_slice(part);
            }
            let consumed = part.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            if end.is_some() {
                return Ok(Some(self.complete()));
            }
        }
    }

    fn complete(&mut self) -> Line {
        let line = core::mem::take(&mut self.line);
        if core::mem::take(&mut self.skipping) { Line::TooLong } else { Line::Whole(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], limit: usize, buffer: usize) -> Vec<Line> {
        let reader = tokio::io::BufReader::with_capacity(buffer, input);
        let mut reader = LineReader::new(reader, limit);
        let mut found = Vec::new();
        while let Some(line) = reader.next().await.expect("memory does not fail") {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_skipped_and_the_next_one_read() {
        for buffer in [1, 3, 64] {
            let found = lines(b"abc\n\nabcdefgh\nab", 4, buffer).await;
            let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
            assert_eq!(found, [whole("abc"), whole(""), Line::TooLong, whole("ab")]);
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_takes_no_memory() {
        let input = vec![b'x'; 100_000];
        let mut reader = LineReader::new(&input[..], 10);
        assert_eq!(reader.next().await.ok().flatten(), Some(Line::TooLong));
        assert!(reader.line.capacity() < 1_000);
    }
}
