//! Causes in words: what became of a request, and what to do.

use postrider_domain::run::RequestCause;

use crate::parts::Tone;

pub(super) struct Said {
    pub(super) tone: Tone,
    pub(super) label: &'static str,
    pub(super) meaning: &'static str,
}

const fn said(tone: Tone, label: &'static str, meaning: &'static str) -> Said {
    Said { tone, label, meaning }
}

pub(super) const fn said_of(cause: RequestCause) -> Said {
    match cause {
        RequestCause::Accepted => said(Tone::Good, "taken", "It started a run."),
        RequestCause::Disabled => said(
            Tone::Bad,
            "trigger off",
            "The trigger was off. Switch it on, and let the request be sent again.",
        ),
        RequestCause::VerificationFailed => said(
            Tone::Bad,
            "not verified",
            "Its secret, signature or time did not hold. Most often the secret here is not the sender's: compare them, or test the request on the trigger's page.",
        ),
        RequestCause::Method => said(
            Tone::Bad,
            "wrong method",
            "The trigger does not take this method. Change the sender, or the trigger's methods.",
        ),
        RequestCause::ContentType => said(
            Tone::Bad,
            "wrong content type",
            "The trigger takes JSON and forms. Let the sender say what it sends in Content-Type.",
        ),
        RequestCause::Unparsable => {
            said(Tone::Bad, "unreadable", "Its body is not what its content type says. Correct the sender.")
        }
        RequestCause::TooLarge => said(
            Tone::Bad,
            "too large",
            "Its body is longer than the trigger takes. Raise the trigger's largest body, or send less.",
        ),
        RequestCause::Duplicate => said(
            Tone::Plain,
            "seen before",
            "The same request came before and started a run; it started no second one.",
        ),
        RequestCause::Filtered => said(
            Tone::Plain,
            "filtered",
            "It was verified, and the trigger's filter did not let it through. Change the filter if it should have.",
        ),
        RequestCause::RateLimited => said(
            Tone::Bad,
            "too many",
            "More came than the trigger's rate allows. The sender was asked to come again; raise the rate if this is usual.",
        ),
        RequestCause::Handshake => said(
            Tone::Plain,
            "handshake",
            "The provider asked whether the URL is real, and was answered. It starts no run.",
        ),
        RequestCause::Address => said(
            Tone::Bad,
            "wrong address",
            "It came from an address that the trigger does not allow. Add the address if it is the sender's.",
        ),
        RequestCause::Failed => said(
            Tone::Bad,
            "our trouble",
            "Postrider could not take it just then, and asked the sender to come again. Replay it if it did not.",
        ),
    }
}
