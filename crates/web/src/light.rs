//! The light of an ONU as its OLT read it, with its own time.

use crate::view;

/// What was read of an ONU's light besides the level at the ONU.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Light {
    /// When.
    pub read_at: Option<i64>,
    /// Level at the OLT, hundredths of dBm; only with a time.
    pub rx_olt_cdbm: Option<i64>,
    /// Level that the ONU sends, in words.
    pub sends: Option<String>,
    /// Of the ONU's laser.
    pub temperature_c: Option<i64>,
    /// Why it is not younger.
    pub unread: Option<String>,
    /// Between the two newest readings, in seconds.
    pub every_s: Option<i64>,
}

impl Light {
    /// From what was observed of an ONU (JSON).
    pub(crate) fn of(observed: &str) -> Light {
        let observed: serde_json::Value = serde_json::from_str(observed).unwrap_or_default();
        let light = &observed["light"];
        let Some(read_at) = light["read_at"].as_i64() else {
            return Light { unread: light["unread"].as_str().map(str::to_owned), ..Light::default() };
        };
        Light {
            read_at: Some(read_at),
            rx_olt_cdbm: light["rx_olt_cdbm"].as_i64(),
            sends: light["tx_onu_cdbm"].as_i64().map(view::decibel),
            temperature_c: light["temperature_c"].as_i64(),
            unread: light["unread"].as_str().map(str::to_owned),
            every_s: light["before_at"].as_i64().map(|before| (read_at - before) / 1000).filter(|s| *s > 0),
        }
    }

    /// How often it is read, as far as anybody can say: what is promised at most, and what it came to lately.
    pub(crate) fn how_often(&self) -> String {
        let at_most = format!(
            "The light of an online ONU is read once in {} at most, and less often while its OLT has much else to do",
            view::span(app::LIGHT_AGAIN_S.cast_signed())
        );
        match self.every_s {
            Some(every) => {
                format!("{at_most}; here {} lay between the last two readings.", view::span(every))
            }
            None => format!("{at_most}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_without_a_time_is_no_light() {
        let light =
            Light::of(r#"{"light":{"read_at":5,"rx_olt_cdbm":-2268,"tx_onu_cdbm":231,"temperature_c":41}}"#);
        assert_eq!((light.read_at, light.rx_olt_cdbm, light.temperature_c), (Some(5), Some(-2268), Some(41)));
        assert_eq!(light.sends.as_deref(), Some(view::decibel(231).as_str()));
        let light = Light::of(r#"{"light":{"rx_olt_cdbm":-2268,"unread":"the OLT refused"}}"#);
        assert_eq!((light.rx_olt_cdbm, light.unread.as_deref()), (None, Some("the OLT refused")));
        let often =
            |before: &str| Light::of(&format!(r#"{{"light":{{"read_at":2000000{before}}}}}"#)).every_s;
        assert_eq!(often(r#","before_at":380000"#), Some(1620));
        assert_eq!(
            (often(""), often(r#","before_at":null"#), often(r#","before_at":3000000"#)),
            (None, None, None)
        );
        for odd in ["", "null", "{", r#"{"light":7}"#] {
            assert_eq!(Light::of(odd), Light::default(), "{odd}");
        }
    }
}
