//! One self-contained page for people: what was asked, what came back, byte by byte.

use std::fmt::Write as _;

use super::{Claim, escaped, notable};
use crate::dissect::{self, Part};
use crate::peer::{Direction, Entry};
use crate::runner::{Outcome, Report};
use crate::spec;
use crate::verdict::Verdict;

/// How much of a transcript is shown.
struct Bounds {
    entries: usize,
    lines: usize,
    lines_per_field: usize,
}

/// Where something has to be looked at.
const WHOLE: Bounds = Bounds { entries: 120, lines: 200, lines_per_field: 40 };
/// Where it has not.
const SHORT: Bounds = Bounds { entries: 8, lines: 18, lines_per_field: 2 };

/// The page.
#[must_use]
pub fn html(report: &Report) -> String {
    let claim = Claim::of(report);
    let mut page = String::new();
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    put(&mut page, format_args!("<title>torTalk conformance: {}</title>\n", claim.headline()));
    put(
        &mut page,
        format_args!("<style>\n{}</style>\n</head>\n<body>\n", include_str!("page.css")),
    );
    head(&mut page, report, &claim);
    filters(&mut page, report);
    page += "<main>\n";
    for (document, _) in spec::DOCUMENTS {
        section(&mut page, report, document);
    }
    page += "</main>\n</body>\n</html>\n";
    page
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a String");
}

fn head(page: &mut String, report: &Report, claim: &Claim) {
    let options = &report.options;
    put(
        page,
        format_args!(
            "<header>\n<p class=\"kicker\">torTalk conformance · {} · profile {}</p>\n\
         <h1 class=\"{}\">{}</h1>\n",
            options.role.word(),
            options.profile.word(),
            if report.exit.code() == 0 { "good" } else { "bad" },
            escaped(&claim.headline()),
        ),
    );
    if let Some(remark) = &report.remark {
        put(page, format_args!("<p class=\"remark\">{}</p>\n", escaped(remark)));
    }
    page.push_str("<div class=\"bar\" role=\"img\" aria-label=\"verdicts\">");
    for (word, count) in &claim.verdicts {
        put(
            page,
            format_args!(
                "<span class=\"v-{word}\" style=\"flex:{count}\" title=\"{count} {word}\"></span>"
            ),
        );
    }
    page.push_str("</div>\n<dl class=\"facts\">\n");
    for (name, value) in claim.facts(report) {
        put(page, format_args!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escaped(&value)));
    }
    page.push_str("</dl>\n<div class=\"claims\">\n<section><h2>What this run claims</h2>\n");
    paragraphs(page, &claim.claims(report));
    page.push_str("</section>\n<section><h2>What it does not claim</h2>\n");
    paragraphs(page, &claim.disclaims(report));
    page.push_str("</section>\n</div>\n</header>\n");
}

fn paragraphs(page: &mut String, texts: &[String]) {
    for text in texts {
        put(page, format_args!("<p>{}</p>\n", escaped(text)));
    }
}

/// Radio buttons that hide rows by CSS alone: the page has no script.
fn filters(page: &mut String, report: &Report) {
    let count = |pick: fn(&Outcome) -> bool| report.outcomes.iter().filter(|o| pick(o)).count();
    let rows = [
        ("all", "all", count(|_| true)),
        ("look", "to look at", count(|o| notable(&o.verdict))),
        ("pass", "passed", count(|o| o.verdict == Verdict::Pass)),
        ("not-tested", "not tested", count(|o| matches!(o.verdict, Verdict::NotTested(_)))),
    ];
    for (at, (id, ..)) in rows.iter().enumerate() {
        let checked = if at == 0 { " checked" } else { "" };
        put(page, format_args!("<input type=\"radio\" name=\"show\" id=\"show-{id}\"{checked}>"));
    }
    page.push_str("\n<nav aria-label=\"Which cases\">");
    for (id, label, count) in rows {
        put(page, format_args!("<label for=\"show-{id}\">{label} <b>{count}</b></label>"));
    }
    page.push_str("</nav>\n");
}

fn section(page: &mut String, report: &Report, document: &str) {
    let of = |outcome: &&Outcome| {
        spec::requirement(outcome.case.req).is_some_and(|found| found.document == document)
    };
    let outcomes: Vec<&Outcome> = report.outcomes.iter().filter(of).collect();
    if outcomes.is_empty() {
        return;
    }
    let passed = outcomes.iter().filter(|o| o.verdict == Verdict::Pass).count();
    put(
        page,
        format_args!(
            "<section class=\"document\">\n\
             <h2>{document} <small>{passed} of {} passed</small></h2>\n",
            outcomes.len()
        ),
    );
    for outcome in outcomes {
        case(page, report, outcome);
    }
    page.push_str("</section>\n");
}

fn case(page: &mut String, report: &Report, outcome: &Outcome) {
    let Outcome { case, verdict, took, transcript } = outcome;
    let look = notable(verdict);
    put(
        page,
        format_args!(
            "<details class=\"case {}{}\" id=\"{}\"{}>\n\
             <summary><span class=\"verdict v-{}\">{}</span>\
         <code>{}</code><span class=\"req\">{}</span><span class=\"ms\">{} ms</span></summary>\n",
            verdict.word(),
            if look { " look" } else { "" },
            case.id,
            if look { " open" } else { "" },
            verdict.word(),
            verdict.word(),
            case.id,
            case.req,
            took.as_millis(),
        ),
    );
    if let Some(found) = spec::requirement(case.req) {
        put(
            page,
            format_args!(
                "<blockquote>{}<footer>{} · {} · {}</footer></blockquote>\n",
                prose(&found.sentence),
                found.id,
                found.document,
                found.level.word()
            ),
        );
    }
    put(page, format_args!("<p><b>The case.</b> {}</p>\n", escaped(case.about)));
    if !verdict.detail().is_empty() {
        let detail = escaped(verdict.detail());
        put(page, format_args!("<p class=\"detail\"><b>{}.</b> {detail}</p>\n", verdict.word()));
    }
    timeline(page, transcript, if look { &WHOLE } else { &SHORT });
    put(
        page,
        format_args!(
            "<p class=\"again\">Again: <code>{}</code></p>\n</details>\n",
            escaped(&super::again(report, case.id))
        ),
    );
}

/// A sentence of a document: its code and links, and nothing else of Markdown.
fn prose(sentence: &str) -> String {
    let mut text = String::new();
    for (at, piece) in sentence.split('`').enumerate() {
        let piece = escaped(piece);
        if at % 2 == 1 {
            text += &format!("<code>{piece}</code>");
        } else {
            // A link keeps its words.
            let mut rest = piece.as_str();
            while let Some((before, after)) = rest.split_once("](") {
                text += &before.replacen('[', "", 1);
                rest = after.split_once(')').map_or(after, |(_, behind)| behind);
            }
            text += rest;
        }
    }
    text
}

fn timeline(page: &mut String, transcript: &[Entry], bounds: &Bounds) {
    if transcript.is_empty() {
        return;
    }
    let left_out = transcript.len().saturating_sub(bounds.entries);
    page.push_str("<ol class=\"wire\">\n");
    if left_out > 0 {
        put(page, format_args!("<li class=\"note\">{left_out} earlier lines are left out</li>\n"));
    }
    for entry in &transcript[left_out..] {
        let (class, arrow) = match entry.direction {
            Direction::Sent => ("sent", "→"),
            Direction::Received => ("received", "←"),
            Direction::Note => ("note", "·"),
        };
        let what = escaped(entry.what.trim_end_matches(", in clear:"));
        let ms = entry.at.as_secs_f64() * 1000.0;
        put(page, format_args!("<li class=\"{class}\"><time>{ms:.1} ms</time> <i>{arrow}</i> "));
        if entry.bytes.is_empty() {
            put(page, format_args!("{what}</li>\n"));
            continue;
        }
        let parts = dissect::parts(&entry.what, &entry.bytes);
        put(
            page,
            format_args!(
                "<details><summary>{what} <small>{} bytes</small></summary>\n<pre>",
                entry.bytes.len()
            ),
        );
        hexdump(page, &parts, &entry.bytes, bounds);
        page.push_str("</pre></details></li>\n");
    }
    page.push_str("</ol>\n");
}

/// Eight bytes on a line, the field's name beside its first bytes.
fn hexdump(page: &mut String, parts: &[Part], bytes: &[u8], bounds: &Bounds) {
    let mut lines = 0;
    for part in parts {
        if lines >= bounds.lines {
            put(page, format_args!("…     {} more bytes\n", bytes.len() - part.at));
            return;
        }
        let all = &bytes[part.at..part.at + part.length];
        let shown = bounds.lines_per_field * 8;
        for (row, chunk) in all.chunks(8).take(bounds.lines_per_field).enumerate() {
            let pairs: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            put(page, format_args!("<s>{:04x}</s>  ", part.at + row * 8));
            if row > 0 {
                put(page, format_args!("{}\n", pairs.join(" ")));
            } else {
                let indent = "  ".repeat(part.depth);
                let (name, value) = (escaped(&part.name), escaped(&part.value));
                put(page, format_args!("{:<23}  {indent}<b>{name}</b>", pairs.join(" ")));
                page.push_str(if value.is_empty() { "\n" } else { "  " });
                if !value.is_empty() {
                    put(page, format_args!("<em>{value}</em>\n"));
                }
            }
            lines += 1;
        }
        if all.len() > shown {
            put(page, format_args!("      … {} more\n", all.len() - shown));
            lines += 1;
        }
    }
}
