//! Other implementations as oracles: the reference library of Standard Webhooks, and RSA signatures made by Python's
//! cryptography (the private keys were thrown away).

use domain::inbound::sign::{Draft, SystemRandom, content_type, sign};
use domain::inbound::{Incoming, Preset, RefusalCode, Verifier, preset};
use domain::time::Timestamp;
use http::{HeaderMap, HeaderValue};
use postrider_domain as domain;

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoKlSRrvAgP2z/pFe6GzC\nmzuKBxJbtyI0NHIO9BstHZGzQ3DI8cT3au2SRPToZvaaV37ufoeM2HmmrPNlrp/D\nV5jhXn5bQKut7oWM7QxJxPO3AU3/ShInB/Hu4YqaN/9j4/OdXuhLJrfTGGp18gPn\nd2V+3r6Z2le1wFmPbePpNcW5SC8mncRIhwJ4rrdqFA7RdgCSxcVD+rbp6AouAqE6\npCeN4/fZi3tkptBXYaV5iUQafry5OXP+/izkZP/Ks+TO3s9XOFpLKjRi/ZE1CBHX\n33el3Yb0ekdYWTER9Bt1H28gGEqrnXkAfnoVw1VkpkoqjUtpQH8WqUMLmlC47lCB\naQIDAQAB\n-----END PUBLIC KEY-----";
const SIGNATURE: &str = "cnX/1hcr9TSEkOAFH0ey1DBbRreyv6jvqzQFYLZBZTPWsW3DqKIwMMolH6RAwUMQOjWI2KQG4yYOnj2vycTXUip4VsIZXnlWo0Cxh7iSz/jVFpFI3T+qS+w2vkAGTnbrLRxVq2W2lOlIMcyGR0nZRvHhiK2lD1MrV2iJ9SlJw/4TmU9ckHc9uDvNGgoQRNhNtsrcO4lqN4HJRQgUIeeEhtnH+C6tAOKI0iSikfD/phq0oqRimDWivjUiXG6uFJmgoY8s3JAHzOkPprbbbEkdBy49PO6ZgOf5pyL6luN3nUYbnuUYHJP/PXKXPOWOLXXbDE9YqzZhkvj3oBfr9MvHNg==";
const SIGNATURE_PSS: &str = "isE3EbEquMFTA5ft7923rtV4wntekxKXIylA4LJz/Oa0oAL6NmDyNXK+/8W1tk/w/Ja4BL0KFvIWCyfYGLDKhwveH4E/qPokvPL7w+HnF1kZr4FuBGVsD3BI1RoHCccFaEZ13Lukm2H5eGVriY20EF828FgfTKvzNNmCzl3iB7DkmX4u+ZtmGCj5TQt8RpOAcNwBJAaiSlr2fZa2vcnkMmkNyIRVSxLc6ajGvs51ct6OU7hbSCEvQTm8OmrJiRNSn4wWevWXcfK8HYhI0lJKaBHinqU5gfQTlv9/ff3vcP/SXuDgWGlQtkDg1fbzUOzkOlzS/g7LGZz1hGtVzSEJDg==";
const SHORT_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC08Z/dw9za+hdaIQiENBv+cqH1\nAaw1qMR4VjUljZSviUBTc65BvNfn8sNkGL3lPzkQEI8ccZho+XSUJBszUWHjuZl3\nsxoPle3vlEFPemdxR9HtBWQ/rbF9eTYirUSx719rA+5jYYSzuUKvIBngnFQoKGFB\niQhtZ1+ZlmB3fKqm6QIDAQAB\n-----END PUBLIC KEY-----";
const SHORT_SIGNATURE: &str = "jeuXsPpl4C+QsvUJkutQCbcQw7hDBv+CvVRlyTIIn3Ck71NTO+4UkGucPrI/J0HrOnVp4GsrWyQB7kS3o5MAhEyt3ViLVwFnE37MWkvhLKvmy+aqyLVPoDF3oL4SBh5K3TxXJhH83NlpPDFMnTSCcQv3DmsPdU4IFWsKY+MTMxk=";

fn rsa_verify(key: &str, signature: &str, body: &[u8]) -> Result<(), RefusalCode> {
    let spec = serde_json::json!({
        "scheme": [{
            "algorithm": "rsa-sha256",
            "signed": "{body}",
            "signature": { "header": "X-Sig", "encoding": "base64" },
        }],
    });
    let preset = Preset::custom(&spec).expect("good");
    let verifier = Verifier::new(preset.into(), &[key], None, None).expect("a key");
    let mut headers = HeaderMap::new();
    headers.insert("x-sig", HeaderValue::from_str(signature).expect("a value"));
    let incoming = Incoming { method: "POST", url: "https://a.example/", query: "", headers: &headers, body };
    verifier.verify(&incoming, Timestamp::default()).map(drop).map_err(|refusal| refusal.code)
}

#[test]
fn an_rsa_signature_of_another_implementation_holds() {
    const BODY: &[u8] = br#"{"id":"evt_1","type":"ping"}"#;
    assert_eq!(rsa_verify(KEY, SIGNATURE, BODY), Ok(()));
    let mismatch = Err(RefusalCode::SignatureMismatch);
    assert_eq!(rsa_verify(KEY, SIGNATURE, br#"{"id":"evt_2","type":"ping"}"#), mismatch);
    assert_eq!(rsa_verify(KEY, SIGNATURE_PSS, BODY), mismatch);
    assert_eq!(rsa_verify(SHORT_KEY, SIGNATURE, BODY), mismatch);
    // 1,024 bits are too few, however right the signature is.
    assert_eq!(rsa_verify(SHORT_KEY, SHORT_SIGNATURE, BODY), mismatch);
}

#[test]
fn the_reference_library_and_the_preset_agree() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let preset = preset("standard-webhooks").expect("a preset");
    let reference = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let body = "{\"ä\": [1.0]}".as_bytes();
    let draft = Draft {
        method: "POST",
        url: "https://a.example/",
        headers: content_type("application/json"),
        body,
        timestamp: Timestamp::from_unix_ms(1_700_000_000_999),
        id: "msg_1",
    };
    let sent = sign(preset, SECRET, &draft, &SystemRandom::new()).expect("signed");
    let expected = reference.sign("msg_1", 1_700_000_000, body).expect("a signature");
    assert_eq!(
        sent.headers.get("webhook-signature").and_then(|value| value.to_str().ok()),
        Some(expected.as_str())
    );
    let verifier = Verifier::new(preset.clone(), &[SECRET], None, None).expect("good");
    let verified = verifier.verify(&sent.incoming(), draft.timestamp).expect("holds");
    assert_eq!((verified.id.as_deref(), verified.secret), (Some("msg_1"), 0));
    assert_eq!(verified.timestamp, Some(Timestamp::from_unix_ms(1_700_000_000_000)));
}
