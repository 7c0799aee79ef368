//! `/register-event-type`: register a type in an open catalogue, or change one. A page beside the types: below them every
//! word may be a type.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_engine::control::EventTypePut;

use super::{Origin, find};
use crate::fault::Fault;
use crate::form::{Form, escaped};
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::typed;
use crate::parts::{self, fields};
use crate::visit::Visit;

pub(crate) static EDIT: Page = Page {
    method: Method::GET,
    path: "/register-event-type",
    who: Who::Admin,
    handle: |visit| Box::pin(edit(visit)),
};

pub(crate) static SAVE: Page = Page {
    method: Method::POST,
    path: "/register-event-type",
    who: Who::Admin,
    handle: |visit| Box::pin(save(visit)),
};

async fn edit(visit: Visit) -> Answer {
    let values = match visit.query.text("type") {
        None => Form::default(),
        Some(name) => {
            let known = find(visit.tenant(), name).filter(|known| known.origin == Origin::Registered);
            let known = known.ok_or_else(|| Problem::not_found("registered event type"))?.event_type;
            let schema = known.schema.as_ref().map_or("", |schema| schema.text.as_str());
            let mut pairs = form_urlencoded::Serializer::new(String::new());
            pairs.append_pair("type", &known.name).append_pair("description", &known.description);
            pairs.append_pair("schema", schema);
            pairs.append_pair("example", &serde_json::to_string_pretty(&known.example).unwrap_or_default());
            Form::parse(pairs.finish().as_bytes())
        }
    };
    Ok(visit.page(visit.t("Register a type"), form(&visit, &values, None)))
}

async fn save(visit: Visit) -> Answer {
    let name = visit.form.text("type").unwrap_or_default().to_owned();
    match put(&visit, name.clone()).await {
        Ok(()) => Ok(see_other(&visit.link(&format!("/event-types/{}?done=saved", escaped(&name))))),
        Err(fault) => {
            let problem = fault.problem()?;
            let body = form(&visit, &visit.form, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Register a type"), body))
        }
    }
}

async fn put(visit: &Visit, name: String) -> Result<(), Fault> {
    let put = EventTypePut {
        name,
        description: visit.form.text("description").map(str::to_owned),
        schema: typed::json(&visit.form, "schema")?,
        example: typed::json(&visit.form, "example")?,
    };
    visit.engine().control().event_type_put(&visit.actor(), visit.tenant(), put).await?;
    Ok(())
}

fn form(visit: &Visit, values: &Form, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let field = |name, label, hint| fields::Field {
        name,
        label,
        value: values.raw(name).unwrap_or_default(),
        hint,
        problem,
        ..fields::Field::default()
    };
    html! {
        (parts::heading(t("Register a type"), html! {}))
        p .lead { (t("The same name again replaces its description, schema and example.")) }
        (parts::refusal(problem))
        (parts::form(visit, &visit.link("/register-event-type"), html! {
            (fields::text(fields::Field {
                required: true,
                ..field("type", t("Type"), t("Dotted segments of A-Z a-z 0-9 _ and -, such as order.created."))
            }, "text"))
            (fields::text(field("description", t("Description"), t("When it happens, for those who subscribe.")), "text"))
            (fields::area(field("schema", t("Schema"), t("JSON Schema of the data. Leave it empty to take any.")), 12))
            (fields::area(field("example", t("Example"), t("The data of an example event, as JSON. Test events send it.")), 8))
            div .actions {
                button type="submit" { (t("Save")) }
                a .button .ghost href=(visit.link("/event-types")) { (t("Cancel")) }
            }
        }))
    }
}
