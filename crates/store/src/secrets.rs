//! Secrets in and out of their columns. The only place where sealed columns are read or written one by one.

use crate::{
    db::{Db, Tx},
    entities::{cpes, device_orders, olt_tasks, olts, schema_state, service_intents},
    error::StoreError,
    record::Change,
    sealing::{Sealed, Slot, text_of},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use types::Secret;

impl Db {
    /// Opens what a row holds. `None` stays `None`.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when the key is another, or the column was changed or came from another row.
    pub fn open_secret(&self, slot: Slot, sealed: Option<&Sealed>) -> Result<Option<Secret>, StoreError> {
        sealed.map(|sealed| text_of(slot, &self.shared.key.open(slot, sealed)?)).transpose()
    }

    /// Reads and opens the secret in its slot; `None` if there is none, or no such row.
    ///
    /// # Errors
    /// As [`Db::open_secret`].
    pub async fn secret(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        macro_rules! read {
            ($table:ident, $column:ident, $filter:expr) => {
                $table::Entity::find()
                    .select_only()
                    .column($table::Column::$column)
                    .filter($filter)
                    .into_tuple::<Option<Vec<u8>>>()
                    .one(self)
                    .await?
                    .flatten()
            };
        }
        let bytes = match slot {
            Slot::OltPassword(id) => read!(olts, PasswordSealed, olts::Column::Id.eq(id.0)),
            Slot::OltSnmpCommunity(id) => read!(olts, SnmpCommunitySealed, olts::Column::Id.eq(id.0)),
            Slot::TaskJournal(id) => read!(olt_tasks, JournalSealed, olt_tasks::Column::Id.eq(id.0)),
            Slot::DeviceOrder(id) => {
                read!(device_orders, BodySealed, device_orders::Column::Id.eq(id.0))
            }
            Slot::CpeCredentials(id) => read!(cpes, CredentialsSealed, cpes::Column::Id.eq(id.0)),
            Slot::Setting(name) => return self.setting_secret(slot, name).await,
            Slot::Canary => read!(schema_state, CanarySealed, schema_state::Column::Id.eq(1)),
            Slot::IntentBody(id, layer) => read!(
                service_intents,
                BodySealed,
                Condition::all()
                    .add(service_intents::Column::ServiceId.eq(id.0))
                    .add(service_intents::Column::Layer.eq(layer.as_str()))
            ),
        };
        self.open_secret(slot, bytes.map(Sealed::from_bytes).as_ref())
    }
}

impl Db {
    /// A secret that follows from the sealing key and a purpose, the same for ever.
    pub fn derived_secret(&self, purpose: &str) -> Secret {
        self.shared.key.derive(purpose)
    }

    async fn setting_secret(&self, slot: Slot, name: &str) -> Result<Option<Secret>, StoreError> {
        let Some(setting) = crate::settings::get(self, name).await? else { return Ok(None) };
        let sealed = setting.value.get("sealed").and_then(serde_json::Value::as_str);
        let bytes = sealed.and_then(|text| hex::decode(text).ok()).map(Sealed::from_bytes);
        self.open_secret(slot, bytes.as_ref())
    }
}

impl Tx {
    /// Seals a secret that is a setting; `None` empties it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_setting_secret(
        &self,
        name: &'static str,
        secret: Option<&Secret>,
        actor: &str,
    ) -> Result<(), StoreError> {
        let sealed = match secret {
            Some(secret) => {
                Some(hex::encode(self.seal(Slot::Setting(name), secret.expose().as_bytes())?.into_bytes()))
            }
            None => None,
        };
        let seen = crate::settings::get(self, name).await?.map_or(0, |setting| setting.version);
        let value = serde_json::json!({ "sealed": sealed });
        crate::settings::put(self, name, value, seen, actor).await?.or_overtaken("the setting")
    }

    /// Seals a secret into its slot; `None` empties it. The row must be there. Its version does not change: a secret
    /// is nothing that two people edit together.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such row.
    pub async fn put_secret(&self, slot: Slot, secret: Option<&Secret>) -> Result<(), StoreError> {
        let sealed = match secret {
            Some(secret) => Some(self.seal(slot, secret.expose().as_bytes())?.into_bytes()),
            None => None,
        };
        macro_rules! write {
            ($table:ident, $column:ident, $id:expr) => {
                $table::Entity::update_many()
                    .col_expr($table::Column::$column, Expr::value(sealed))
                    .filter($table::Column::Id.eq($id))
                    .run(self)
                    .await?
            };
        }
        let written = match slot {
            Slot::OltPassword(id) => write!(olts, PasswordSealed, id.0),
            Slot::OltSnmpCommunity(id) => write!(olts, SnmpCommunitySealed, id.0),
            Slot::TaskJournal(id) => write!(olt_tasks, JournalSealed, id.0),
            Slot::DeviceOrder(id) => write!(device_orders, BodySealed, id.0),
            Slot::CpeCredentials(id) => write!(cpes, CredentialsSealed, id.0),
            Slot::Canary | Slot::IntentBody(..) | Slot::Setting(_) => {
                return Err(StoreError::Sealed { place: slot.to_string(), why: "it is written another way" });
            }
        };
        if written == 0 {
            return Err(StoreError::Missing { table: "the sealed column", key: slot.to_string() });
        }
        Ok(())
    }
}
