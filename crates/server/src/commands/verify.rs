//! `postrider verify`: whether the signature of a captured request holds and, if not, which part is wrong.
//!
//! The judgement and the reading of captures are the domain's; here the files are read. Exit status: 0 it holds, 1 it does not, 2 nothing to judge.

use std::fs;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use postrider_domain::capture::{self, Captured};
use postrider_domain::limits;
use postrider_domain::profile::{self, Profile};
use postrider_domain::time::Clock as _;
use postrider_domain::verify::{Capture, Finding, verify};

use crate::cli::{Freshness, VerifyCall};
use crate::complaint::Complaint;
use crate::os::SystemClock;

pub(crate) fn run(call: &VerifyCall) -> ExitCode {
    match judge(call) {
        Ok(Finding::Holds) => {
            println!("{}", Finding::Holds.sentence());
            ExitCode::SUCCESS
        }
        Ok(finding) => {
            println!("It does not hold for this request as it is.\n{}", finding.sentence());
            ExitCode::FAILURE
        }
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(2)
        }
    }
}

/// What is found with the secret that comes closest: with several secrets, one that holds is enough.
fn judge(call: &VerifyCall) -> Result<Finding, Complaint> {
    let profile = profile_of(&call.profile)?;
    let request = read(call)?;
    let received = match call.freshness {
        Freshness::Ignored => None,
        Freshness::Checked => Some(SystemClock.now()),
    };
    let capture = Capture { headers: &request.headers, body: &request.body, received };
    let mut findings: Vec<Finding> =
        call.secrets.iter().map(|secret| verify(&profile, capture, secret)).collect();
    // `Mismatch` says the least, so anything else that was found with another secret is the better answer.
    findings.sort_by_key(|finding| match finding {
        Finding::Holds => 0,
        Finding::Mismatch => 2,
        _ => 1,
    });
    Ok(findings.swap_remove(0))
}

fn profile_of(named: &str) -> Result<Profile, Complaint> {
    if let Some((_, source)) = profile::builtin().iter().find(|(name, _)| *name == named) {
        return Ok(Profile::parse(source).expect("because a test compiles every built-in profile"));
    }
    if Path::new(named).exists() {
        return super::profile::read(Path::new(named));
    }
    let names: Vec<&str> = profile::builtin().iter().map(|(name, _)| *name).collect();
    Err(Complaint::new(
        format!("there is no profile {named}"),
        "it is neither built in nor a file",
        format!("use one of {}, or the path of a profile", names.join(", ")),
    ))
}

fn read(call: &VerifyCall) -> Result<Captured, Complaint> {
    if let Some(path) = &call.body {
        return Ok(Captured { headers: given_headers(&call.headers)?, body: read_file(path)? });
    }
    let mut request = match &call.request {
        Some(path) => parsed(&read_file(path)?)?,
        None => parsed(&read_input()?)?,
    };
    request.headers.extend(given_headers(&call.headers)?);
    Ok(request)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Complaint> {
    fs::read(path).map_err(|error| {
        Complaint::new(format!("{} cannot be read", path.display()), error.to_string(), "check the path")
    })
}

fn read_input() -> Result<Vec<u8>, Complaint> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!(
            "Reading a request from standard input: headers, an empty line, the body; end with Ctrl-D."
        );
    }
    let mut bytes = Vec::new();
    input.take(limits::CAPTURE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        Complaint::new("standard input cannot be read", error.to_string(), "name a file with --request")
    })?;
    Ok(bytes)
}

fn given_headers(given: &[String]) -> Result<Vec<(String, String)>, Complaint> {
    given.iter().map(|line| header_line(line)).collect()
}

fn header_line(line: &str) -> Result<(String, String), Complaint> {
    capture::header_line(line).map_err(|_| {
        Complaint::new(
            format!("\"{line}\" is not a header"),
            "a header is a name, a colon and a value",
            "write it like X-SMTM-Signature: sha256=…",
        )
    })
}

fn parsed(bytes: &[u8]) -> Result<Captured, Complaint> {
    capture::parse(bytes).map_err(|why| {
        Complaint::new(
            "the captured request cannot be read",
            why.to_string(),
            "capture head and body as they were on the wire, or give them with --header and --body",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(secrets: &[&str], headers: &[&str], body: &Path) -> VerifyCall {
        VerifyCall {
            profile: "smartmaintenance".to_owned(),
            secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
            request: None,
            headers: headers.iter().map(|header| (*header).to_owned()).collect(),
            body: Some(body.to_owned()),
            freshness: Freshness::Ignored,
        }
    }

    #[test]
    fn one_secret_of_several_is_enough_and_a_changed_body_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let body = folder.path().join("body.json");
        // echo -n '{"a":1}' | openssl dgst -sha256 -hmac b
        let signature =
            "X-SMTM-Signature: sha256=d54c5d8ab6f9c901219ecd3daefa3caef1db488be95b5404767c7070889bcf04";
        fs::write(&body, "{\"a\":1}").expect("written");
        assert_eq!(judge(&call(&["other", "b"], &[signature], &body)), Ok(Finding::Holds));
        assert_eq!(judge(&call(&["other"], &[signature], &body)), Ok(Finding::Mismatch));
        fs::write(&body, "{\"a\":1}\n").expect("written");
        assert!(matches!(
            judge(&call(&["other", "b"], &[signature], &body)),
            Ok(Finding::BodyChanged { .. })
        ));
        assert!(matches!(judge(&call(&["b"], &[], &body)), Ok(Finding::HeaderMissing { .. })));
    }

    #[test]
    fn an_unknown_profile_is_told_with_the_ones_there_are() {
        let complaint = profile_of("smartmaintenence").expect_err("no such profile");
        assert!(complaint.remedy.contains("smartmaintenance"), "{complaint}");
    }
}
