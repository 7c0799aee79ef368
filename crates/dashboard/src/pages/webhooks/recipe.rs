//! Code that checks a profile's signature, in six languages: written from the profile's recipe, so that it is right for every
//! profile, also for one that an operator brought.

use postrider_domain::profile::{Recipe, SecretForm, Stretch};
use postrider_domain::signature::KeyKind;

/// How old a signed time may be, in seconds: what Standard Webhooks recommends.
const TOLERANCE_SECONDS: u32 = 300;

/// A language, and what of it differs from the others.
struct Language {
    name: &'static str,
    /// For a shared secret.
    template: &'static str,
    /// For the public half of an Ed25519 key. `PREFIX` and `VALUES` stand in it as in the other.
    public_template: &'static str,
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
    /// The same for a public key: the signatures to try.
    public_many: &'static str,
    public_one: &'static str,
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
    let (template, many, one) = match recipe.kind {
        KeyKind::Shared => (language.template, language.many, language.one),
        KeyKind::Ed25519 => (language.public_template, language.public_many, language.public_one),
    };
    let values = match &recipe.separator {
        Some(separator) => many.replace("SEP", &quoted(separator)),
        None => one.to_owned(),
    };
    let time = recipe.time_header.as_ref().map(|name| language.time.replace("TIME", &header(name)));
    let tolerance = TOLERANCE_SECONDS.to_string();
    let code = template
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
  const same = (one) => one.length === expected.length && timingSafeEqual(one, expected);
  const given = @GIVEN;
  return @VALUES;
}
"#,
        public_template: r#"
import { createPublicKey, verify as holds } from "node:crypto";

// `headers`: request.headers, with names in small letters. `body`: the raw body as a Buffer, before any parsing:
// with Express, express.raw({ type: "*/*" }).
export function verify(publicKey, headers, body) {
@TIME_CHECK
  // What stands before the key says that it is one of Ed25519 (RFC 8410).
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(publicKey.replace(/^whpk_/, ""), "base64")]);
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const signed = @SIGNED;
  const given = @GIVEN;
  return @VALUES.some((one) => one.startsWith("@PREFIX") && holds(null, signed, key, Buffer.from(one.slice("@PREFIX".length), "base64")));
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
        many: "given.split(\"SEP\").some((one) => same(Buffer.from(one)))",
        one: "same(Buffer.from(given))",
        public_many: "given.split(\"SEP\")",
        public_one: "[given]",
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
        public_template: r#"
import base64, time
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# headers: the request's headers, found without regard to case. body: the raw body as bytes, before any parsing:
# in Flask, request.get_data(); in Django, request.body.
def verify(public_key: str, headers, body: bytes) -> bool:
@TIME_CHECK
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = @SIGNED
    given = @GIVEN
    for one in @VALUES:
        try:
            if one.startswith("@PREFIX"):
                key.verify(base64.b64decode(one.removeprefix("@PREFIX")), signed)
                return True
        except (InvalidSignature, ValueError):
            pass
    return False
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
        public_many: "given.split(\"SEP\")",
        public_one: "[given]",
        time: "    try:\n        sent = int(TIME)\n    except ValueError:\n        return False\n    if abs(time.time() - sent) > @TOLERANCE:\n        return False\n",
    },
    Language {
        name: "Go",
        template: r#"
// import, of these, what is used: bytes, crypto/hmac, crypto/sha256, encoding/base64, encoding/hex, math, net/http, strconv, strings, time
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
        public_template: r#"
// import, of these, what is used: bytes, crypto/ed25519, encoding/base64, math, net/http, strconv, strings, time
// body: the raw body, before any parsing: io.ReadAll(r.Body).
func Verify(publicKey string, headers http.Header, body []byte) bool {
@TIME_CHECK
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(publicKey, "whpk_"))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	signed := @SIGNED
	given := @GIVEN
	for _, one := range @VALUES {
		signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "@PREFIX"))
		if err == nil && strings.HasPrefix(one, "@PREFIX") && ed25519.Verify(key, signed, signature) {
			return true
		}
	}
	return false
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
        public_many: "strings.Split(given, \"SEP\")",
        public_one: "[]string{given}",
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
        public_template: r#"
// $headers: array_change_key_case(getallheaders()). $body: the raw body, before any parsing: file_get_contents("php://input").
function verify(string $publicKey, array $headers, string $body): bool {
@TIME_CHECK
    $key = base64_decode(preg_replace("/^whpk_/", "", $publicKey));
    if (strlen($key) !== SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES) return false;
    $signed = @SIGNED;
    $given = @GIVEN;
    foreach (@VALUES as $one) {
        $signature = base64_decode(substr($one, strlen("@PREFIX")));
        if (str_starts_with($one, "@PREFIX") && strlen($signature) === SODIUM_CRYPTO_SIGN_BYTES
            && sodium_crypto_sign_verify_detached($signature, $signed, $key)) return true;
    }
    return false;
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
        public_many: "explode(\"SEP\", $given)",
        public_one: "[$given]",
        time: "    if (abs(time() - (int) TIME) > @TOLERANCE) return false;\n",
    },
    Language {
        name: "Ruby",
        template: r#"
require "openssl"

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
        public_template: r#"
require "openssl"

# Ruby 3.1 or later. headers: names in small letters. body: the raw body, before any parsing: request.body.read,
# in Rails request.raw_post.
def verify(public_key, headers, body)
@TIME_CHECK
  # What stands before the key says that it is one of Ed25519 (RFC 8410).
  spki = ["302a300506032b6570032100"].pack("H*") + public_key.delete_prefix("whpk_").unpack1("m")
  key = OpenSSL::PKey.read(spki)
  signed = @SIGNED
  given = @GIVEN
  @VALUES.any? do |one|
    one.start_with?("@PREFIX") && key.verify(nil, one.delete_prefix("@PREFIX").unpack1("m"), signed)
  rescue OpenSSL::PKey::PKeyError
    false
  end
end
"#,
        header: ("headers.fetch(\"", "\", \"\")"),
        body: "body",
        text: ("\"", "\""),
        join: ("[", ", ", "].map(&:b).join"),
        hex: "OpenSSL::HMAC.hexdigest(\"SHA256\", key, signed)",
        base64: "[OpenSSL::HMAC.digest(\"SHA256\", key, signed)].pack(\"m0\")",
        key_utf8: "secret",
        key_whsec: "secret.delete_prefix(\"whsec_\").unpack1(\"m\")",
        many: "given.split(\"SEP\").any? { |one| OpenSSL.secure_compare(one, expected) }",
        one: "OpenSSL.secure_compare(given, expected)",
        public_many: "given.split(\"SEP\")",
        public_one: "[given]",
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
        public_template: r#"
// crates: base64, ed25519-dalek, http. body: the raw body, before any parsing.
pub fn verify(public_key: &str, headers: &http::HeaderMap, body: &[u8]) -> bool {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use ed25519_dalek::{Signature, VerifyingKey};
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
@TIME_CHECK
    let Ok(key) = STANDARD.decode(public_key.trim_start_matches("whpk_")) else { return false };
    let Ok(key) = VerifyingKey::try_from(key.as_slice()) else { return false };
    let signed: Vec<u8> = @SIGNED;
    let given = @GIVEN;
    let holds = |one: &str| {
        let signature = one.strip_prefix("@PREFIX").and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| key.verify_strict(&signed, &signature).is_ok())
    };
    @VALUES.any(holds)
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
        public_many: "given.split(\"SEP\")",
        public_one: "std::iter::once(given)",
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
        let kinds = [KeyKind::Shared, KeyKind::Ed25519];
        let profiles = builtin_profiles();
        let recipes: Vec<_> =
            profiles.iter().flat_map(|profile| kinds.map(|kind| profile.recipe(kind))).flatten().collect();
        assert_eq!(recipes.len(), profiles.len() + 1);
        for recipe in recipes {
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

    #[test]
    fn the_code_of_node_and_python_takes_what_is_signed_and_refuses_what_is_changed() {
        for profile in builtin_profiles() {
            let recipe = profile.recipe(KeyKind::Shared).expect("it signs");
            let script = python(&recipe);
            check("python3", &["-"], &script, &profile.name);
            check("node", &["--input-type=module", "-"], &node(&recipe), &profile.name);
        }
    }

    /// Python has no Ed25519 without a package: its code is only compiled.
    #[test]
    fn with_a_public_key_the_code_of_node_takes_what_is_signed_and_refuses_what_is_changed() {
        for profile in builtin_profiles() {
            let Some(recipe) = profile.recipe(KeyKind::Ed25519) else { continue };
            let code = serde_json::to_string(&write(&LANGUAGES[1], &recipe)).expect("a string");
            let read = format!("compile({code}, 'verify', 'exec')\nprint('held')\n");
            check("python3", &["-"], &read, &profile.name);
            check("node", &["--input-type=module", "-"], &node_public(&recipe), &profile.name);
        }
    }

    fn node_public(recipe: &Recipe) -> String {
        let code = write(&LANGUAGES[0], recipe);
        let (header, prefix) = (recipe.header.to_ascii_lowercase(), &recipe.prefix);
        format!(
            "{code}\nimport {{ generateKeyPairSync, sign }} from 'node:crypto';\n\
             const {{ publicKey, privateKey }} = generateKeyPairSync('ed25519');\n\
             const key = 'whpk_' + publicKey.export({{ format: 'der', type: 'spki' }}).subarray(-32).toString('base64');\n\
             const body = Buffer.from('{{\"a\": 1}}'), now = `${{Math.floor(Date.now() / 1000)}}`;\n\
             const made = sign(null, Buffer.from(`evt_1.${{now}}.${{body}}`), privateKey).toString('base64');\n\
             const with_ = (value) => ({{'webhook-id': 'evt_1', 'webhook-timestamp': now, '{header}': value}});\n\
             const taken = ['{prefix}' + made, 'v1,AAAA {prefix}' + made].every((value) => verify(key, with_(value), body));\n\
             const refused = ['', made, 'v1,' + made, '{prefix}', '{prefix}AAAA'].every((value) => !verify(key, with_(value), body));\n\
             const changed = verify(key, with_('{prefix}' + made), Buffer.concat([body, Buffer.from(' ')]));\n\
             const old = String(now - 301), late = sign(null, Buffer.from(`evt_1.${{old}}.${{body}}`), privateKey).toString('base64');\n\
             const stale = [old, '', 'x'].some((time) => verify(key, {{...with_('{prefix}' + late), 'webhook-timestamp': time}}, body));\n\
             console.log(taken && refused && !changed && !stale ? 'held' : 'broken');\n"
        )
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
        let when = match &recipe.time_header {
            Some(name) => format!("assert not verify(SECRET, {{**headers, '{name}': 'x'}}, body)\n"),
            None => String::new(),
        };
        let (header, prefix) = (recipe.header.to_ascii_lowercase(), &recipe.prefix);
        format!(
            "{code}\nSECRET = '{SECRET}'\nbody = b'{{\"a\": 1}}'\nnow = str(int(time.time()))\n\
             mac = hmac.new({key}, {signed}, hashlib.sha256)\n\
             headers = {{'webhook-id': 'evt_1', 'webhook-timestamp': now, '{header}': '{prefix}' + {encoded}}}\n\
             assert verify(SECRET, headers, body)\nassert not verify(SECRET, headers, body + b' ')\n\
             assert not verify(SECRET, {{}}, body)\n\
             {when}print('held')\n"
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
             const odd = {{...headers, '{header}': ('{prefix}' + mac).slice(0, -1) + 'é'}};\n\
             const refused = [[headers, changed], [{{}}, body], [odd, body]].every(([headers, body]) => !verify(SECRET, headers, body));\n\
             console.log(verify(SECRET, headers, body) && refused ? 'held' : 'broken');\n"
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
