//! Names and texts in SQL: how they are written so that nothing in them is read as SQL, and how a person writes them.

/// A name as an identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text as a literal. With a backslash it means the same whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match quoted.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

/// What stands around a function's body: a dollar quote that does not occur in it.
pub(crate) fn dollar_quote(body: &str) -> String {
    let mut quote = "$postrider$".to_owned();
    let mut number = 0;
    while body.contains(&quote) {
        number += 1;
        quote = format!("$postrider{number}$");
    }
    quote
}

/// Names that a person wrote with `separator` between them. Each is taken as it is written, case included; one that has a
/// separator, a quote or space at its ends is written in double quotes, with `""` for each quote in it.
pub(crate) fn split(written: &str, separator: char) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = written;
    loop {
        let (name, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(|| format!("a quote in {written} is not closed"))?,
            None => {
                let end = rest.find(separator).unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        if name.is_empty() || name.contains(['\0', '"']) && !rest.trim_start().starts_with('"') {
            return Err(format!("{written} has a name that is empty, or a quote that is not at its ends"));
        }
        names.push(name);
        let after = after.trim_start();
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(names),
            None => return Err(format!("after a name in quotes, {written} goes on with {after}")),
        }
    }
}

/// A name up to the quote that closes it, and what follows.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_name_stays_a_name() {
        assert_eq!(identifier("a\"; DROP TABLE b --"), "\"a\"\"; DROP TABLE b --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'; --"), "E'\\\\''; --'");
        assert_eq!(dollar_quote("SELECT 1"), "$postrider$");
        assert_eq!(dollar_quote("$postrider$ $postrider1$"), "$postrider2$");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let check = |written: &str, expected: Option<&[&str]>| {
            let names = split(written, '.');
            let names = names.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(names.as_deref().ok(), expected, "{written}");
        };
        check("parts", Some(&["parts"]));
        check("Shop.Parts", Some(&["Shop", "Parts"]));
        check("shop.\"a.b \"\"c\"\"\"", Some(&["shop", "a.b \"c\""]));
        check(" a . \" b\" ", Some(&["a", " b"]));
        for wrong in ["", ".", "a.", ".a", "\"a", "\"a\"b", "a\"b", "\"\""] {
            check(wrong, None);
        }
    }
}
