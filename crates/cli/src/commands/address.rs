//! `tortalk address`

use tortalk_node::control::protocol::{Request, Response};

use crate::args;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::qr;
use crate::session::{Reach, Session};

pub(crate) async fn address(context: &Context, args: &args::Address) -> Result<(), Failure> {
    let answer = Session::with(context, Reach::Profile, async |session| {
        session.request(Request::Address).await
    });
    let Response::Address(address) = answer.await? else { return Err(Failure::strange_answer()) };
    let out = context.out;
    if out.is_json() {
        return out.object(&address);
    }
    let text = if args.bare { &address.bare } else { &address.address };
    if args.qr {
        // Capitals and digits alone need a third less room.
        let lines = qr::lines(&text.to_ascii_uppercase()).ok_or_else(|| {
            Failure::new(Exit::Data, "the address does not fit into a QR code: copy the text")
        })?;
        for line in lines {
            // White on black, whatever the terminal's own colours are.
            let line = match out.has_colours() {
                true => format!("\x1b[38;5;231;48;5;16m{line}\x1b[0m"),
                false => line,
            };
            out.line(&line)?;
        }
    }
    out.line(text)
}
