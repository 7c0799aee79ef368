//! `postrider openapi`: the document of the HTTP API, as the server gives it out at `/openapi.json`.

use std::io::Write as _;

use crate::complaint::Complaint;

pub(crate) fn run() -> Result<(), Complaint> {
    let document = postrider_api::openapi_json();
    let mut out = std::io::stdout().lock();
    // A reader that goes away (`| head`) is no failure of ours.
    let _ = out.write_all(document.as_bytes()).and_then(|()| out.write_all(b"\n"));
    Ok(())
}
