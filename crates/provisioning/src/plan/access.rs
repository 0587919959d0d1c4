//! The Access layer: which slot belongs to which band, and the LAN.

use super::{Blocked, LayerPlan, Planner, Source, fixed_slots};
use crate::{
    Layer,
    intent::{AccessIntent, WifiIntent},
};
use profiles::cpe::Slot;
use std::collections::BTreeMap;

impl Planner<'_> {
    pub(crate) fn access(&self, intent: &AccessIntent) -> Result<LayerPlan, Blocked> {
        let mut plan = LayerPlan::default();
        for wifi in &intent.wifi {
            self.wifi(&mut plan, wifi)?;
        }
        if let Some(lan) = &intent.lan {
            match &self.profile.lan {
                None => plan.left_out.push("LAN settings".into()),
                Some(group) => {
                    let slots = fixed_slots(&group.slots);
                    let source = Source::Lan { intent: lan };
                    let part =
                        self.layer(&group.phases, &slots, &group.slots, &source, &|_, _| true, true, None)?;
                    plan.absorb(part);
                }
            }
        }
        Ok(plan)
    }

    pub(super) fn wifi(&self, plan: &mut LayerPlan, intent: &WifiIntent) -> Result<(), Blocked> {
        let band = intent.band.as_str();
        let Some(wifi) = &self.profile.wifi else {
            plan.left_out.push(format!("Wi-Fi {band}"));
            return Ok(());
        };
        let anchors = wifi.slots.get(&wifi.anchor).and_then(|slot| slot.table.as_deref()).unwrap_or_default();
        let words = wifi.bands.get(band);
        let band_of = |path: &str| {
            let mut values =
                wifi.band.iter().filter_map(|leaf| self.tree.value(&format!("{path}{}", leaf.leaf)));
            values.find(|value| !value.is_empty())
        };
        let by_leaf = self.tree.instances(anchors).into_iter().find(|(_, path)| {
            band_of(path).is_some_and(|value| {
                words.is_some_and(|words| words.iter().any(|word| value.starts_with(word.as_str())))
            })
        });
        let told = self.tree.instances(anchors).iter().any(|(_, path)| band_of(path).is_some());
        // Fixed numbers only where no instance tells its band.
        let by_number = wifi.fallback.get(band).filter(|_| !told).and_then(|number| {
            self.tree.instances(anchors).into_iter().find(|(instance, _)| instance == number)
        });
        let Some((_, anchor)) = by_leaf.or(by_number) else {
            plan.left_out.push(format!("Wi-Fi {band}"));
            return Ok(());
        };
        let mut slots = BTreeMap::from([(wifi.anchor.clone(), anchor)]);
        // SSIDs name their radio, access points their SSID: as many rounds as slots.
        for _ in 0..wifi.slots.len() {
            for (name, slot) in &wifi.slots {
                if let Some(of) = &slot.of
                    && !slots.contains_key(name)
                    && let Some(path) = self.belonging(slot, &of.leaf, &of.slots, &slots)
                {
                    slots.insert(name.clone(), path);
                }
            }
        }
        let Some(security) = wifi.security.get(intent.security.as_str()) else {
            plan.left_out.push(format!("Wi-Fi {band} security {}", intent.security.as_str()));
            return Ok(());
        };
        let source = Source::Wifi { intent, security: security.clone() };
        let record = self.device.layers.get(&Layer::Access);
        let accepted = |name: &str, wanted: &str| {
            record.and_then(|record| record.secrets.get(name)).is_some_and(|known| known == wanted)
        };
        let part = self.layer(&wifi.phases, &slots, &wifi.slots, &source, &accepted, true, None)?;
        plan.absorb(part);
        Ok(())
    }

    pub(super) fn belonging(
        &self,
        slot: &Slot,
        leaf: &str,
        owners: &[String],
        slots: &BTreeMap<String, String>,
    ) -> Option<String> {
        let owners: Vec<&str> =
            owners.iter().filter_map(|name| slots.get(name)).map(|path| path.trim_end_matches('.')).collect();
        let found = self.tree.instances(slot.table.as_deref()?);
        found.into_iter().map(|(_, path)| path).find(|path| {
            let value = self.tree.value(&format!("{path}{leaf}")).unwrap_or_default();
            owners.contains(&value.trim_end_matches('.'))
        })
    }
}
