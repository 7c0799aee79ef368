//! Code that checks a profile's signature, in six languages: written from the profile's recipe, so that it is right for every
//! profile, also for one that an operator brought.

use postrider_domain::profile::{Recipe, SecretForm, Stretch};

/// How old a signed time may be, in seconds: what Standard Webhooks recommends.
const TOLERANCE_SECONDS: u32 = 300;

/// A language, and what of it differs from the others.
struct Language {
    name: &'static str,
    template: &'static str,
    /// Around a header's name, in an expression that gives its text.
    header: (&'static str, &'static str),
    /// The raw body as bytes.
    body: &'static str,
    /// A text as bytes, around the literal.
    text: (&'static str, &'static str),
    /// Around all stretches, and between them.
    join: (&'static str, &'static str, &'static str),
    hex: &'static str,
    base64: &'static str,
    key_utf8: &'static str,
    key_whsec: &'static str,
    /// Several signatures in one value; `SEP` stands for what divides them.
    many: &'static str,
    one: &'static str,
    /// Refuses what was signed too long ago; `TIME` stands for the header's expression.
    time: &'static str,
}

/// Name and code for each language.
pub(super) fn codes(recipe: &Recipe) -> Vec<(&'static str, String)> {
    LANGUAGES.iter().map(|language| (language.name, write(language, recipe))).collect()
}

fn write(language: &Language, recipe: &Recipe) -> String {
    let header =
        |name: &str| format!("{}{}{}", language.header.0, name.to_ascii_lowercase(), language.header.1);
    let mut stretches = Vec::with_capacity(recipe.signed.len());
    for stretch in &recipe.signed {
        stretches.push(match stretch {
            Stretch::Text(text) => format!("{}{}{}", language.text.0, quoted(text), language.text.1),
            Stretch::Header(name) => as_bytes(language, &header(name)),
            Stretch::Body => language.body.to_owned(),
        });
    }
    let (open, between, close) = language.join;
    let signed = format!("{open}{}{close}", stretches.join(between));
    let encoding = if recipe.encoding == "hex" { language.hex } else { language.base64 };
    let key = match recipe.secret_form {
        SecretForm::Utf8 => language.key_utf8,
        SecretForm::Whsec => language.key_whsec,
    };
    let values = match &recipe.separator {
        Some(separator) => language.many.replace("SEP", &quoted(separator)),
        None => language.one.to_owned(),
    };
    let time = recipe.time_header.as_ref().map(|name| language.time.replace("TIME", &header(name)));
    let tolerance = TOLERANCE_SECONDS.to_string();
    let code = language
        .template
        .replace("@TIME_CHECK\n", &time.unwrap_or_default())
        .replace("@SIGNED", &signed)
        .replace("@ENCODED", encoding)
        .replace("@KEY", key)
        .replace("@VALUES", &values)
        .replace("@GIVEN", &header(&recipe.header))
        .replace("@PREFIX", &quoted(&recipe.prefix))
        .replace("@TOLERANCE", &tolerance);
    code.trim().to_owned()
}

/// A header's text where bytes are wanted.
fn as_bytes(language: &Language, header: &str) -> String {
    match language.name {
        "Python" => format!("{header}.encode()"),
        "Go" => format!("[]byte({header})"),
        "Rust" => format!("{header}.as_bytes()"),
        _ => header.to_owned(),
    }
}

/// Within double quotes. What profiles have here is short and plain.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

static LANGUAGES: &[Language] = &[
    Language {
        name: "Node",
        template: r#"
import { createHmac, timingSafeEqual } from "node:crypto";

// `headers`: request.headers, with names in small letters. `body`: the raw body as a Buffer, before any parsing:
// with Express, express.raw({ type: "*/*" }).
export function verify(secret, headers, body) {
@TIME_CHECK
  const key = @KEY;
  const signed = @SIGNED;
  const expected = Buffer.from("@PREFIX" + createHmac("sha256", key).update(signed).@ENCODED);
  const given = @GIVEN;
  return @VALUES;
}
"#,
        header: ("(headers[\"", "\"] ?? \"\")"),
        body: "body",
        text: ("\"", "\""),
        join: ("Buffer.concat([", ", ", "].map((part) => Buffer.from(part)))"),
        hex: "digest(\"hex\")",
        base64: "digest(\"base64\")",
        key_utf8: "secret",
        key_whsec: "Buffer.from(secret.replace(/^whsec_/, \"\"), \"base64\")",
        many: "given.split(\"SEP\").some((one) => one.length === expected.length && timingSafeEqual(Buffer.from(one), expected))",
        one: "given.length === expected.length && timingSafeEqual(Buffer.from(given), expected)",
        time: "  if (!(Math.abs(Date.now() / 1000 - Number(TIME)) <= @TOLERANCE)) return false;\n",
    },
    Language {
        name: "Python",
        template: r#"
import base64, hashlib, hmac, time

# headers: the request's headers, found without regard to case. body: the raw body as bytes, before any parsing:
# in Flask, request.get_data(); in Django, request.body.
def verify(secret: str, headers, body: bytes) -> bool:
@TIME_CHECK
    key = @KEY
    signed = @SIGNED
    expected = "@PREFIX" + @ENCODED
    given = @GIVEN
    return @VALUES
"#,
        header: ("headers.get(\"", "\", \"\")"),
        body: "body",
        text: ("b\"", "\""),
        join: ("b\"\".join([", ", ", "])"),
        hex: "hmac.new(key, signed, hashlib.sha256).hexdigest()",
        base64: "base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()",
        key_utf8: "secret.encode()",
        key_whsec: "base64.b64decode(secret.removeprefix(\"whsec_\"))",
        many: "any(hmac.compare_digest(one.encode(), expected.encode()) for one in given.split(\"SEP\"))",
        one: "hmac.compare_digest(given.encode(), expected.encode())",
        time: "    if abs(time.time() - int(TIME or 0)) > @TOLERANCE:\n        return False\n",
    },
    Language {
        name: "Go",
        template: r#"
// import: bytes, crypto/hmac, crypto/sha256, encoding/base64, encoding/hex, math, net/http, strconv, strings, time
// body: the raw body, before any parsing: io.ReadAll(r.Body).
func Verify(secret string, headers http.Header, body []byte) bool {
@TIME_CHECK
@KEY
	mac := hmac.New(sha256.New, key)
	mac.Write(@SIGNED)
	expected := "@PREFIX" + @ENCODED
	given := @GIVEN
@VALUES
}
"#,
        header: ("headers.Get(\"", "\")"),
        body: "body",
        text: ("[]byte(\"", "\")"),
        join: ("bytes.Join([][]byte{", ", ", "}, nil)"),
        hex: "hex.EncodeToString(mac.Sum(nil))",
        base64: "base64.StdEncoding.EncodeToString(mac.Sum(nil))",
        key_utf8: "\tkey := []byte(secret)",
        key_whsec: "\tkey, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, \"whsec_\"))\n\tif err != nil {\n\t\treturn false\n\t}",
        many: "\tfor _, one := range strings.Split(given, \"SEP\") {\n\t\tif hmac.Equal([]byte(one), []byte(expected)) {\n\t\t\treturn true\n\t\t}\n\t}\n\treturn false",
        one: "\treturn hmac.Equal([]byte(given), []byte(expected))",
        time: "\tsent, err := strconv.ParseInt(TIME, 10, 64)\n\tif err != nil || math.Abs(float64(time.Now().Unix()-sent)) > @TOLERANCE {\n\t\treturn false\n\t}\n",
    },
    Language {
        name: "PHP",
        template: r#"
// $headers: array_change_key_case(getallheaders()). $body: the raw body, before any parsing: file_get_contents("php://input").
function verify(string $secret, array $headers, string $body): bool {
@TIME_CHECK
    $key = @KEY;
    $signed = @SIGNED;
    $expected = "@PREFIX" . @ENCODED;
    $given = @GIVEN;
@VALUES
}
"#,
        header: ("($headers[\"", "\"] ?? \"\")"),
        body: "$body",
        text: ("\"", "\""),
        join: ("", " . ", ""),
        hex: "hash_hmac(\"sha256\", $signed, $key)",
        base64: "base64_encode(hash_hmac(\"sha256\", $signed, $key, true))",
        key_utf8: "$secret",
        key_whsec: "base64_decode(preg_replace(\"/^whsec_/\", \"\", $secret))",
        many: "    foreach (explode(\"SEP\", $given) as $one) {\n        if (hash_equals($expected, $one)) return true;\n    }\n    return false;",
        one: "    return hash_equals($expected, $given);",
        time: "    if (abs(time() - (int) TIME) > @TOLERANCE) return false;\n",
    },
    Language {
        name: "Ruby",
        template: r#"
require "openssl"
require "base64"

# headers: names in small letters. body: the raw body, before any parsing: request.body.read, in Rails request.raw_post.
def verify(secret, headers, body)
@TIME_CHECK
  key = @KEY
  signed = @SIGNED
  expected = "@PREFIX" + @ENCODED
  given = @GIVEN
  @VALUES
end
"#,
        header: ("headers.fetch(\"", "\", \"\")"),
        body: "body",
        text: ("\"", "\""),
        join: ("[", ", ", "].map(&:b).join"),
        hex: "OpenSSL::HMAC.hexdigest(\"SHA256\", key, signed)",
        base64: "Base64.strict_encode64(OpenSSL::HMAC.digest(\"SHA256\", key, signed))",
        key_utf8: "secret",
        key_whsec: "Base64.decode64(secret.delete_prefix(\"whsec_\"))",
        many: "given.split(\"SEP\").any? { |one| OpenSSL.secure_compare(one, expected) }",
        one: "OpenSSL.secure_compare(given, expected)",
        time: "  return false if (Time.now.to_i - TIME.to_i).abs > @TOLERANCE\n",
    },
    Language {
        name: "Rust",
        template: r#"
// crates: base64, hex, hmac, http, sha2, subtle. body: the raw body, before any parsing.
pub fn verify(secret: &str, headers: &http::HeaderMap, body: &[u8]) -> bool {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, Mac};
    use subtle::ConstantTimeEq;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
@TIME_CHECK
    let Ok(key) = @KEY else { return false };
    let signed: Vec<u8> = @SIGNED;
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(&key) else { return false };
    mac.update(&signed);
    let expected = format!("@PREFIX{}", @ENCODED);
    let given = @GIVEN;
    @VALUES
}
"#,
        header: ("header(\"", "\")"),
        body: "body",
        text: ("&b\"", "\"[..]"),
        join: ("[", ", ", "].concat()"),
        hex: "hex::encode(mac.finalize().into_bytes())",
        base64: "STANDARD.encode(mac.finalize().into_bytes())",
        key_utf8: "Ok::<_, ()>(secret.as_bytes().to_vec())",
        key_whsec: "STANDARD.decode(secret.trim_start_matches(\"whsec_\"))",
        many: "given.split(\"SEP\").any(|one| one.as_bytes().ct_eq(expected.as_bytes()).into())",
        one: "given.as_bytes().ct_eq(expected.as_bytes()).into()",
        time: "    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs());\n    if TIME.parse::<u64>().map_or(true, |sent| now.abs_diff(sent) > @TOLERANCE) { return false; }\n",
    },
];

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use postrider_domain::profile::builtin_profiles;

    use super::*;

    /// A key of Standard Webhooks, and a text like any other for the rest.
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn every_profile_has_code_in_every_language_without_a_hole() {
        for profile in builtin_profiles() {
            let recipe = profile.recipe().expect("it signs");
            let codes = codes(&recipe);
            assert_eq!(codes.len(), 6);
            for (language, code) in codes {
                assert!(code.contains(&recipe.header.to_ascii_lowercase()), "{language}: {code}");
                assert!(
                    !code.contains('@') || language == "Node" && !code.contains("@H"),
                    "{language}: {code}"
                );
                assert!(!code.contains("SEP") && !code.contains("TIME"), "{language}: {code}");
            }
        }
    }

    /// Both are on most machines that build this; where one is not, there is nothing to try.
    #[test]
    fn the_code_takes_what_is_signed_and_refuses_what_is_changed() {
        for profile in builtin_profiles() {
            let recipe = profile.recipe().expect("it signs");
            let script = python(&recipe);
            check("python3", &["-"], &script, &profile.name);
            check("node", &["--input-type=module", "-"], &node(&recipe), &profile.name);
        }
    }

    fn python(recipe: &Recipe) -> String {
        let code = write(&LANGUAGES[1], recipe);
        let key = match recipe.secret_form {
            SecretForm::Utf8 => "SECRET.encode()",
            SecretForm::Whsec => "base64.b64decode(SECRET[6:])",
        };
        let encoded = match recipe.encoding {
            "hex" => "mac.hexdigest()",
            _ => "base64.b64encode(mac.digest()).decode()",
        };
        let signed =
            if recipe.time_header.is_some() { "b'evt_1.' + now.encode() + b'.' + body" } else { "body" };
        let (header, prefix) = (recipe.header.to_ascii_lowercase(), &recipe.prefix);
        format!(
            "{code}\nSECRET = '{SECRET}'\nbody = b'{{\"a\": 1}}'\nnow = str(int(time.time()))\n\
             mac = hmac.new({key}, {signed}, hashlib.sha256)\n\
             headers = {{'webhook-id': 'evt_1', 'webhook-timestamp': now, '{header}': '{prefix}' + {encoded}}}\n\
             assert verify(SECRET, headers, body)\nassert not verify(SECRET, headers, body + b' ')\n\
             assert not verify(SECRET, {{}}, body)\nprint('held')\n"
        )
    }

    fn node(recipe: &Recipe) -> String {
        let code = write(&LANGUAGES[0], recipe);
        let key = match recipe.secret_form {
            SecretForm::Utf8 => "SECRET",
            SecretForm::Whsec => "Buffer.from(SECRET.slice(6), 'base64')",
        };
        let signed = if recipe.time_header.is_some() { "`evt_1.${now}.${body}`" } else { "body" };
        let (header, prefix, encoding) =
            (recipe.header.to_ascii_lowercase(), &recipe.prefix, recipe.encoding);
        format!(
            "{code}\nconst SECRET = '{SECRET}', body = Buffer.from('{{\"a\": 1}}'), now = `${{Math.floor(Date.now() / 1000)}}`;\n\
             const mac = createHmac('sha256', {key}).update({signed}).digest('{encoding}');\n\
             const headers = {{'webhook-id': 'evt_1', 'webhook-timestamp': now, '{header}': '{prefix}' + mac}};\n\
             const changed = Buffer.concat([body, Buffer.from(' ')]);\n\
             console.log(verify(SECRET, headers, body) && !verify(SECRET, headers, changed) && !verify(SECRET, {{}}, body) ? 'held' : 'broken');\n"
        )
    }

    fn check(program: &str, arguments: &[&str], script: &str, profile: &str) {
        let child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{program} cannot be run ({error}): on Debian, sudo apt-get install --yes nodejs python3")
        });
        let mut input = child.stdin.take().expect("its input is ours");
        input.write_all(script.as_bytes()).expect("it reads its script");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "held\n", "{program}, {profile}: {script}");
    }
}
