//! The OpenAPI 3.1 document: what all operations have in common is added here, once.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
        ResponseBuilder,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Schema, SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{Row, http_method, openapi};
use crate::{auth::Need, error::Problem};

const TEXT: &str = "Everything the pages of Lightkeeper can do, for programs.\n\n\
Send an API key as a Bearer token (Settings, API keys). A key may do what its scopes say; each operation names the one \
it needs.\n\n\
Lists answer `items`, `total`, `page` and `size`; `sort=name` sorts, `sort=-name` the other way round. A query \
parameter or body field that is not known is an error and never ignored.\n\n\
Errors are `application/problem+json` (RFC 9457) with a sentence in `detail` and, where a body was not acceptable, what \
is wrong field by field in `errors`.\n\n\
Times are RFC 3339 in UTC and their names end in `_at`. Units are the last part of a name: `rx_onu_cdbm` is in \
hundredths of dBm. Secrets can be written and are never read back: an answer says at most that there is one.\n\n\
An order that changes a device or an OLT is accepted, not done: read the task, the state or the evidence to see what \
came of it.";

/// The document before any route is in it.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Lightkeeper")
        .version("1")
        .description(Some(TEXT))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    OpenApiBuilder::new().info(info).build()
}

/// Adds to every operation its permission, its errors and, where it has one, the idempotency key.
pub(super) fn finish(mut document: OpenApi, rows: &[Row]) -> OpenApi {
    for row in rows {
        let Some(item) = document.paths.paths.get_mut(&row.path) else { continue };
        let operation = match http_method(&row.method) {
            utoipa::openapi::HttpMethod::Post => &mut item.post,
            utoipa::openapi::HttpMethod::Put => &mut item.put,
            utoipa::openapi::HttpMethod::Delete => &mut item.delete,
            _ => &mut item.get,
        };
        if let Some(operation) = operation {
            common(operation, row);
        }
    }
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    let components = document.components.get_or_insert_default();
    components.schemas.extend(schemas);
    components.responses.extend(responses());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, `lk_…`. Shown once when it is made."));
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer.build()));
    document
}

fn common(operation: &mut Operation, row: &Row) {
    let needs = match row.need {
        Need::Public => None,
        Need::SignedIn => Some("Needs any valid key.".to_owned()),
        Need::May(permission) => Some(format!("Needs the permission `{}`.", permission.as_str())),
    };
    let Some(needs) = needs else {
        operation.security = Some(vec![SecurityRequirement::default()]);
        return;
    };
    operation.description = Some(match operation.description.take() {
        Some(text) if !text.is_empty() => format!("{text}\n\n{needs}"),
        _ => needs,
    });
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("api_key", [])]);
    for problem in &PROBLEMS {
        let applies = match problem.status {
            "403" => matches!(row.need, Need::May(_)),
            "404" => row.path.contains("{id}"),
            "409" | "422" => row.method != "GET",
            _ => true,
        };
        if applies {
            let known = RefOr::Ref(Ref::from_response_name(problem.name));
            operation.responses.responses.entry(problem.status.to_owned()).or_insert(known);
        }
    }
    if row.orders {
        let text: RefOr<Schema> =
            ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).max_length(Some(200)).into();
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "The same request with the same key is carried out once and answered the same, with the header \
                 `Idempotency-Replayed: true`; kept for two days per key and operation.",
            ))
            .schema(Some(text));
        operation.parameters.get_or_insert_default().push(key.build());
    }
}

/// An error that operations have in common.
struct Common {
    status: &'static str,
    name: &'static str,
    text: &'static str,
}

const PROBLEMS: [Common; 7] = [
    Common { status: "400", name: "NotUnderstood", text: "The address or the body is not understood." },
    Common {
        status: "401",
        name: "NotSignedIn",
        text: "No key, or one that is not known, has expired or was revoked.",
    },
    Common { status: "403", name: "NotAllowed", text: "The key may not do this." },
    Common { status: "404", name: "NotFound", text: "It does not exist." },
    Common {
        status: "409",
        name: "NotPossibleNow",
        text: "Not possible in the present state; the sentence says why.",
    },
    Common {
        status: "422",
        name: "NotAcceptable",
        text: "The input is not acceptable; `errors` says what, field by field.",
    },
    Common {
        status: "503",
        name: "DoesNotAnswer",
        text: "The database or the OLT is busy or does not answer now; `Retry-After` says when to ask again.",
    },
];

fn responses() -> impl Iterator<Item = (String, RefOr<utoipa::openapi::Response>)> {
    PROBLEMS.iter().map(|problem| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response =
            ResponseBuilder::new().description(problem.text).content("application/problem+json", content);
        (problem.name.to_owned(), RefOr::T(response.build()))
    })
}

static TEXT_SERVED: LazyLock<String> = LazyLock::new(|| {
    // A document made of maps and texts always serialises.
    openapi().to_json().unwrap_or_default()
});

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1")))]
pub(super) async fn get_openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], TEXT_SERVED.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::{DOCUMENT_PATH, idempotency};

    #[test]
    fn openapi_is_served_where_it_says_and_marks_orders() {
        let document = openapi();
        assert!(document.paths.paths.contains_key(DOCUMENT_PATH));
        let order = document.paths.paths["/api/v1/authorisations"].post.as_ref().expect("an order");
        let headers: Vec<&str> = order.parameters.iter().flatten().map(|p| p.name.as_str()).collect();
        assert_eq!(headers, ["Idempotency-Key"]);
        assert!(order.responses.responses.contains_key("403"));
        assert_eq!(idempotency::KEY.as_str(), "idempotency-key");
    }
}
