//! Data models by name: the ones that are built in, or a CSV file.

use super::tree::{Model, ModelError};
use profiles::fixtures;
use std::{path::Path, sync::Arc};

/// A kind of device that can be simulated.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// Manufacturer, as the Inform says it.
    pub manufacturer: String,
    /// Six hex digits.
    pub oui: String,
    /// Product class.
    pub product_class: String,
    /// Model name; also the OMCI equipment id.
    pub model_name: String,
    /// Firmware.
    pub software_version: String,
    /// The data model.
    pub model: Arc<Model>,
}

/// The models that need no file, beside one per CPE family (`zte_x_zte_com` …, see [`fixtures::families`]).
pub const BUILT_IN: [&str; 4] = ["hg8546m", "eg8145v5", "generic_tr098", "generic_tr181"];

/// A built-in model by name, or a file with the columns `path,writable,type,value` (a dump of a real device).
///
/// # Errors
/// When there is no such model or the file is not readable as one.
pub fn load(name: &str) -> Result<ModelInfo, ModelError> {
    let built_in = match name {
        "hg8546m" => Some(fixtures::hg8546m()),
        "eg8145v5" => Some(fixtures::eg8145v5()),
        "generic_tr098" => Some(fixtures::generic_tr098()),
        "generic_tr181" => Some(fixtures::generic_tr181()),
        _ => None,
    };
    let model = match (built_in, fixtures::family(name)) {
        (Some(text), _) => Model::from_csv(text, name)?,
        (None, Some(text)) => Model::from_csv(&text, name)?,
        (None, None) => Model::load(Path::new(name))?,
    };
    Ok(describe(model))
}

/// What the model says about itself.
fn describe(model: Model) -> ModelInfo {
    let model = Arc::new(model);
    let tree = super::tree::Tree::new(model.clone());
    let text = |id: &str, leaf: &str| {
        let own = tree.at_root(&format!("DeviceInfo.{leaf}")).filter(|value| !value.is_empty());
        own.or_else(|| model.identity.get(id).map(String::as_str)).unwrap_or_default().to_owned()
    };
    let oui = Some(text("OUI", "ManufacturerOUI"))
        .filter(|oui| oui.len() == 6)
        .unwrap_or_else(|| "000000".to_owned());
    let model_name = text("ProductClass", "ModelName");
    let product_class = Some(text("ProductClass", "ProductClass")).filter(|class| !class.is_empty());
    ModelInfo {
        manufacturer: text("Manufacturer", "Manufacturer"),
        oui,
        product_class: product_class.unwrap_or_else(|| model_name.clone()),
        software_version: text("SoftwareVersion", "SoftwareVersion"),
        model_name,
        model,
    }
}
