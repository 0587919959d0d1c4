//! Money is a whole number of minor units and a currency; never a float, never mixed.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// ISO 4217 alphabetic code, e.g. `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code, three capital letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the decimal point (ISO 4217 minor unit); 2 for all but the listed exceptions.
    pub fn minor_digits(&self) -> u32 {
        match self.code() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|x| x.is_ascii_uppercase()) => Ok(Currency([*a, *b, *c])),
            _ => Err(MoneyError::Currency(text.chars().take(10).collect())),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(value: Currency) -> Self {
        value.code().to_owned()
    }
}

/// What can be wrong with an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code.
    #[error("not a currency code: {0:?} (three capital letters wanted, e.g. EUR)")]
    Currency(String),
    /// Two currencies in one sum.
    #[error("{0} and {1} cannot be added: different currencies")]
    Mixed(String, String),
    /// The sum leaves the range of a 64-bit number.
    #[error("amount out of range")]
    Overflow,
}

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units, e.g. cents.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// An amount of `amount_minor` minor units.
    pub fn new(amount_minor: i64, currency: Currency) -> Self {
        Money { amount_minor, currency }
    }

    /// The sum, or why there is none.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed(self.currency.into(), other.currency.into()));
        }
        let amount_minor = self.amount_minor.checked_add(other.amount_minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { amount_minor, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10u64.pow(digits);
        let sign = if self.amount_minor < 0 { "\u{2212}" } else { "" };
        let absolute = self.amount_minor.unsigned_abs();
        if digits == 0 {
            return write!(f, "{sign}{absolute} {}", self.currency.code());
        }
        let width = digits as usize;
        write!(f, "{sign}{}.{:0width$} {}", absolute / unit, absolute % unit, self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().expect("a currency")
    }

    #[test]
    fn prints_by_the_minor_unit_of_its_currency() {
        assert_eq!(Money::new(3200, currency("EUR")).to_string(), "32.00 EUR");
        assert_eq!(Money::new(-5, currency("EUR")).to_string(), "\u{2212}0.05 EUR");
        assert_eq!(Money::new(500, currency("JPY")).to_string(), "500 JPY");
        assert_eq!(Money::new(1234, currency("KWD")).to_string(), "1.234 KWD");
    }

    #[test]
    fn currencies_never_mix() {
        let sum = Money::new(1, currency("EUR")).checked_add(Money::new(1, currency("USD")));
        assert!(matches!(sum, Err(MoneyError::Mixed(..))));
    }

    proptest! {
        #[test]
        fn adding_is_exact_or_refused(a in any::<i64>(), b in any::<i64>()) {
            let eur = currency("EUR");
            match Money::new(a, eur).checked_add(Money::new(b, eur)) {
                Ok(sum) => prop_assert_eq!(i128::from(sum.amount_minor), i128::from(a) + i128::from(b)),
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::Overflow);
                    prop_assert!(a.checked_add(b).is_none());
                }
            }
        }
    }
}
