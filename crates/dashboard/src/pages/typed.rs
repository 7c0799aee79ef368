//! JSON and YAML that a person typed into a form, with where reading stopped when it is neither.

use postrider_domain::problem::{Code, Problem};
use postrider_domain::workflow;
use serde_json::Value;

use crate::form::Form;

/// The JSON in a field; none where it is empty.
pub(crate) fn json(form: &Form, field: &str) -> Result<Option<Value>, Problem> {
    let Some(text) = form.text(field) else { return Ok(None) };
    read_json(field, text).map(Some)
}

/// A workflow's definition: JSON where it begins as an object does, otherwise YAML.
pub(crate) fn definition(form: &Form, field: &str) -> Result<Value, Problem> {
    let Some(text) = form.text(field) else {
        return Err(Problem::at(Code::MissingField, field, "Write the definition, as JSON or YAML."));
    };
    if text.starts_with('{') {
        return read_json(field, text);
    }
    workflow::from_yaml(text).map_err(|detail| Problem::at(Code::MalformedJson, field, detail))
}

/// Several values in one field: on lines of their own, or with commas or spaces between them.
pub(crate) fn words(form: &Form, field: &str) -> Vec<String> {
    let text = form.text(field).unwrap_or_default();
    text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn read_json(field: &str, text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let what = said.split(" at line ").next().unwrap_or(&said).to_owned();
        let detail =
            format!("This is not valid JSON: {what}, at line {}, column {}.", error.line(), error.column());
        Problem::at(Code::MalformedJson, field, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let form = |text: &str| {
            let mut pairs = form_urlencoded::Serializer::new(String::new());
            Form::parse(pairs.append_pair("definition", text).finish().as_bytes())
        };
        let refused = definition(&form("{\"steps\":\n  [}"), "definition").expect_err("this is no JSON");
        assert!(refused.detail.contains("line 2, column 4"), "{}", refused.detail);
        assert_eq!(refused.field.as_deref(), Some("definition"));
        let yaml = definition(&form("description: Leads\nsteps: []\n"), "definition").expect("this is YAML");
        assert_eq!(yaml["description"], "Leads");
        assert!(definition(&form("a: &x 1\nb: *x"), "definition").is_err(), "aliases have no bound");
        assert_eq!(json(&form(" "), "definition"), Ok(None));
        assert_eq!(words(&form("a, b\r\nc"), "definition"), ["a", "b", "c"]);
    }
}
