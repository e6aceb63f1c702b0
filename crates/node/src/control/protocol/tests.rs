use super::*;

fn parse(line: &str) -> Result<RequestLine, (Option<u64>, RequestError)> {
    RequestLine::parse(line.as_bytes())
}

#[test]
fn a_request_survives_the_line() {
    for request in [
        Request::Status,
        Request::Add { address: "mesh:abc".into(), name: "Bob".into(), text: "hi".into() },
        Request::Requests,
        Request::Accept { who: "01234567".into(), name: String::new() },
        Request::Decline { who: "01234567".into() },
        Request::History { with: None, before: Some(9), limit: None, search: Some("a b".into()) },
        Request::Visibility { value: Visible::Contacts },
        Request::Verify { who: "bob".into(), yes: true },
        Request::Message { id: "ab".into() },
        Request::Cancel { id: "ab".into() },
        Request::MarkRead { id: "ab".into() },
    ] {
        let line = RequestLine { id: 7, request };
        let bytes = line.to_line();
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(RequestLine::parse(&bytes), Ok(line));
    }
}

#[test]
fn what_may_be_left_out_may_be_left_out() {
    assert_eq!(
        parse(r#"{"id":1,"do":"history"}"#).map(|line| line.request),
        Ok(Request::History { with: None, before: None, limit: None, search: None })
    );
    assert_eq!(
        parse(r#"{"id":1,"do":"add","address":"mesh:x"}"#).map(|line| line.request),
        Ok(Request::Add { address: "mesh:x".into(), name: String::new(), text: String::new() })
    );
}

#[test]
fn a_bad_line_is_told_what_is_wrong_with_it() {
    for (line, id, part) in [
        ("", None, "not a JSON object"),
        ("[1]", None, "not a JSON object"),
        ("{\"do\":\"status\"}", None, "`id` is missing"),
        ("{\"id\":-1,\"do\":\"status\"}", None, "`id` is missing"),
        ("{\"id\":4}", Some(4), "`do` is missing"),
        ("{\"id\":4,\"do\":\"fly\"}", Some(4), "unknown variant `fly`"),
        ("{\"id\":4,\"do\":\"send\",\"to\":\"b\"}", Some(4), "missing field `text`"),
        (
            "{\"id\":4,\"do\":\"send\",\"to\":\"b\",\"text\":\"\",\"x\":1}",
            Some(4),
            "unknown field `x`",
        ),
    ] {
        let (found, error) = parse(line).expect_err(line);
        assert_eq!((found, error.kind), (id, ErrorKind::BadRequest), "{line}");
        assert!(error.message.contains(part), "{line}: {}", error.message);
    }
}

#[test]
fn an_answer_is_read_as_what_its_request_is_answered_with() {
    let queued = Queued { message_id: "ab".into(), state: "queued".into() };
    let answer = AnswerLine { id: Some(3), outcome: Ok(Response::Queued(queued.clone())) };
    let line = answer.to_line();
    assert_eq!(line, b"{\"id\":3,\"ok\":{\"message_id\":\"ab\",\"state\":\"queued\"}}\n");
    let value: Value = serde_json::from_slice(&line).unwrap();
    let send = Request::Send { to: "b".into(), text: "t".into() };
    assert_eq!(
        Response::from_value(&send, value["ok"].clone()).ok(),
        Some(Response::Queued(queued))
    );
    assert!(Response::from_value(&Request::Status, value["ok"].clone()).is_err());
}

#[test]
fn a_kind_of_a_newer_node_is_other() {
    let error: RequestError =
        serde_json::from_str(r#"{"kind":"from_the_future","message":"m"}"#).unwrap();
    assert_eq!(error.kind, ErrorKind::Other);
}

#[test]
fn what_is_quoted_of_a_bad_line_breaks_no_line_and_has_an_end() {
    let long = "x".repeat(100_000);
    for word in ["s\\nnd", "\\u001b[2J", "\\u0085", &long] {
        let line = format!("{{\"id\":4,\"do\":\"{word}\"}}");
        let (_, error) = parse(&line).expect_err(word);
        assert!(!error.message.contains(char::is_control), "{:?}", error.message);
        assert!(error.message.starts_with("unknown variant") && error.message.len() < 2_000);
    }
}
