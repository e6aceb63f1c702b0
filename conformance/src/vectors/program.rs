//! The vectors against any program that answers on its standard output, so that an
//! implementer can start before there is a socket. The lines are described in
//! `conformance/README.md`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{Answer, FILES, Vector, all, difference, own};
use crate::verdict::Exit;

/// What a program says of an object or operation that it does not have.
pub const UNSUPPORTED: &str = "unsupported";

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many vectors agree.
    pub agreed: usize,
    /// How many the program said that it has no part for.
    pub unsupported: usize,
    /// A line for each that differs.
    pub differing: Vec<String>,
}

impl Tally {
    /// One line.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{} vectors: {} agree, {} differ, {} not supported",
            self.agreed + self.unsupported + self.differing.len(),
            self.agreed,
            self.differing.len(),
            self.unsupported,
        )
    }

    /// How the run ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.differing.len(), self.agreed) {
            (0, 0) => Exit::NothingSelected,
            (0, _) => Exit::Passed,
            _ => Exit::Failed,
        }
    }
}

/// A program that is asked line by line.
struct Asked {
    /// Ends with this value.
    _child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    count: u64,
}

/// Asks a program everything.
///
/// # Errors
/// A line when it cannot be started, ends early, or answers something that is no answer.
pub async fn run(command: &str) -> Result<Tally, String> {
    let mut asked = Asked::start(command)?;
    // What does not exist: a program that knows it is believed nowhere else.
    let probe = asked.ask("no-such-object-5f0c", &json!({})).await?;
    let honest = probe.verdict == UNSUPPORTED;
    let mut tally = Tally::default();
    for vector in all() {
        let answer = asked.ask(vector.object, &vector.input).await?;
        let name = format!("{}/{}", vector.object, vector.id);
        match difference(&vector, &answer) {
            None => tally.agreed += 1,
            Some(_) if answer.verdict == UNSUPPORTED && honest => tally.unsupported += 1,
            Some(_) if answer.verdict == UNSUPPORTED => tally.differing.push(format!(
                "{name}: \"unsupported\", which is not believed: the program did not say so of \
                 an object that does not exist"
            )),
            Some(text) => tally.differing.push(format!("{name} [{}]: {text}", ids(&vector))),
        }
    }
    Ok(tally)
}

fn ids(vector: &Vector) -> String {
    vector.req.join(", ")
}

impl Asked {
    fn start(command: &str) -> Result<Self, String> {
        let mut words = command.split_whitespace();
        let program = words.next().ok_or("--impl is empty")?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(questions), Some(output)) = (input, output) else {
            return Err("no pipes to the program".to_owned());
        };
        let answers = BufReader::new(output).lines();
        Ok(Self { _child: child, questions, answers, count: 0 })
    }

    async fn ask(&mut self, object: &str, input: &Value) -> Result<Answer, String> {
        self.count += 1;
        let number = self.count;
        let question = json!({"n": number, "object": object, "input": input});
        let ended = |error: std::io::Error| format!("question {number}: {error}");
        self.questions.write_all(format!("{question}\n").as_bytes()).await.map_err(ended)?;
        self.questions.flush().await.map_err(ended)?;
        let line = timeout(PATIENCE, self.answers.next_line())
            .await
            .map_err(|_| format!("question {number} ({object}): no answer within {PATIENCE:?}"))?
            .map_err(ended)?
            .ok_or_else(|| format!("question {number} ({object}): the program ended"))?;
        let wrong = || format!("question {number} ({object}): no answer to it: {line}");
        let answer: Value = serde_json::from_str(&line).map_err(|_| wrong())?;
        let verdict = answer["verdict"].as_str().ok_or_else(wrong)?;
        if answer["n"] != number {
            return Err(wrong());
        }
        let output = answer.get("output").and_then(Value::as_object).cloned();
        Ok(Answer { verdict: verdict.to_owned(), output: output.unwrap_or_default() })
    }
}

/// The suite's own stack as such a program: one line in, one line out.
///
/// # Errors
/// When the line is no question.
pub fn answer(line: &str) -> Result<String, String> {
    let question: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let object = question["object"].as_str().ok_or("no object")?;
    let answer = if FILES.iter().any(|(known, _)| *known == object) {
        own::answer(object, &question["input"])
    } else {
        Answer { verdict: UNSUPPORTED.to_owned(), output: Map::new() }
    };
    let mut said = json!({"n": question["n"], "verdict": answer.verdict});
    if !answer.output.is_empty() {
        said["output"] = Value::Object(answer.output);
    }
    Ok(said.to_string())
}
