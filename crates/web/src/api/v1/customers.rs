//! Customers.

use app::NewCustomer;
use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use store::read::{CustomerFilter, CustomerRow};
use types::CustomerId;
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Asked, Body, Filter, Id, list_query},
    output::{Answer, List, Reply, Time, found},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

list_query! {
    /// Which customers.
    CustomerQuery {
        /// Name, code, phone, e-mail or address.
        q: String,
    } /// One of name, code, created, phone.
    sort ["name", "code", "created", "phone"]
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Customer {
    id: i64,
    /// Given by us, never reused.
    code: String,
    name: String,
    phone: String,
    email: String,
    address: String,
    note: String,
    created_at: Time,
    /// Services that are not terminated.
    services: i64,
}

/// A customer to create, or everything about one to replace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerInput {
    /// Person or company, in their own script.
    #[schema(max_length = 300)]
    name: String,
    /// As they say it; searched by its digits.
    #[serde(default)]
    phone: String,
    #[serde(default)]
    email: String,
    /// Where they live.
    #[serde(default)]
    address: String,
    /// For colleagues.
    #[serde(default)]
    note: String,
}

impl From<CustomerInput> for NewCustomer {
    fn from(input: CustomerInput) -> Self {
        let CustomerInput { name, phone, email, address, note } = input;
        NewCustomer { name, phone, email, address, note }
    }
}

fn customer(row: CustomerRow) -> Customer {
    Customer {
        id: row.id,
        code: row.code,
        name: row.name,
        phone: row.phone,
        email: row.email,
        address: row.address,
        note: row.note,
        created_at: row.created_at.into(),
        services: row.services,
    }
}

async fn one(ctx: &Ctx, id: i64) -> Result<Customer, Fail> {
    found(ctx.read().customer(id).await?, "customer", id).map(customer)
}

/// Customers by name.
#[utoipa::path(get, path = "/api/v1/customers", tag = "customers", params(CustomerQuery),
    responses((status = 200, description = "A page of customers.", body = List<Customer>)))]
pub(super) async fn list_customers(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<CustomerQuery>,
) -> Answer<List<Customer>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = CustomerFilter { q: asked.q.unwrap_or_default() };
    Ok(List::of(ctx.read().customers(&filter, &sort, page).await?, page, customer))
}

/// Creates a customer.
#[utoipa::path(post, path = "/api/v1/customers", tag = "customers", request_body = CustomerInput,
    responses((status = 201, description = "Created.", body = Customer,
        headers(("Location" = String, description = "Where it is.")))))]
pub(super) async fn create_customer(order: Order<CustomerInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            let id = ctx.app().create_customer(&actor, input.into()).await?.0;
            Reply::created(format!("/api/v1/customers/{id}"), &one(&ctx, id).await?)
        })
        .await
}

/// One customer.
#[utoipa::path(get, path = "/api/v1/customers/{id}", tag = "customers",
    params(("id" = i64, Path, description = "The customer.")),
    responses((status = 200, description = "The customer.", body = Customer)))]
pub(super) async fn get_customer(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Customer> {
    Ok(Json(one(&ctx, id).await?))
}

/// Replaces what is known of a customer; what is not given becomes empty.
#[utoipa::path(put, path = "/api/v1/customers/{id}", tag = "customers",
    params(("id" = i64, Path, description = "The customer.")), request_body = CustomerInput,
    responses((status = 200, description = "Changed.", body = Customer)))]
pub(super) async fn update_customer(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<CustomerInput>,
) -> Answer<Customer> {
    ctx.app().update_customer(&actor, CustomerId(id), input.into()).await?;
    Ok(Json(one(&ctx, id).await?))
}
