//! Makes free text (customer names, addresses) fit for an ONU description.

/// Letters that people's names are made of, in plain ASCII. What is not listed and not ASCII is dropped.
fn transliterate(character: char) -> Option<&'static str> {
    Some(match character {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'ä' | 'æ' => "ae",
        'Ä' | 'Æ' => "Ae",
        'ç' | 'ć' | 'č' => "c",
        'Ç' | 'Ć' | 'Č' => "C",
        'ď' | 'đ' | 'ð' => "d",
        'Ď' | 'Đ' | 'Ð' => "D",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ē' | 'Ė' | 'Ę' | 'Ě' => "E",
        'ğ' | 'ģ' => "g",
        'Ğ' | 'Ģ' => "G",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'Ī' | 'Į' | 'İ' => "I",
        'ł' | 'ľ' | 'ļ' => "l",
        'Ł' | 'Ľ' | 'Ļ' => "L",
        'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'Ñ' | 'Ń' | 'Ň' | 'Ņ' => "N",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' | 'Ō' | 'Ő' => "O",
        'ö' | 'œ' => "oe",
        'Ö' | 'Œ' => "Oe",
        'ř' => "r",
        'Ř' => "R",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'Ś' | 'Š' | 'Ş' | 'Ș' => "S",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'Ť' | 'Ţ' | 'Ț' => "T",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'Ù' | 'Ú' | 'Û' | 'Ū' | 'Ů' | 'Ű' | 'Ų' => "U",
        'ü' => "ue",
        'Ü' => "Ue",
        'ý' | 'ÿ' => "y",
        'Ý' => "Y",
        'ź' | 'ż' | 'ž' => "z",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'þ' => "th",
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ґ' => "g",
        'д' => "d",
        'е' | 'э' | 'є' => "e",
        'ё' => "yo",
        'ж' => "zh",
        'з' => "z",
        'и' | 'і' => "i",
        'й' | 'ы' => "y",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'о' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'у' => "u",
        'ф' => "f",
        'х' => "kh",
        'ц' => "ts",
        'ч' => "ch",
        'ш' => "sh",
        'щ' => "shch",
        'ъ' | 'ь' => "",
        'ю' => "yu",
        'я' => "ya",
        'ї' => "yi",
        '–' | '—' | '‐' | '−' => "-",
        '…' => "...",
        'º' | '°' => "o",
        'ª' => "a",
        _ => return None,
    })
}

/// Arabic and Persian letters, roughly as they sound. Short vowels are not written in them.
fn arabic(character: char) -> Option<&'static str> {
    Some(match character {
        'ا' | 'آ' | 'أ' | 'إ' | 'ى' | 'ة' => "a",
        'ب' => "b",
        'پ' => "p",
        'ت' | 'ط' => "t",
        'ث' => "th",
        'ج' => "j",
        'چ' => "ch",
        'ح' | 'ه' => "h",
        'خ' => "kh",
        'د' | 'ض' => "d",
        'ذ' => "dh",
        'ر' => "r",
        'ز' | 'ظ' => "z",
        'ژ' => "zh",
        'س' | 'ص' => "s",
        'ش' => "sh",
        'غ' => "gh",
        'ف' => "f",
        'ق' => "q",
        'ك' | 'ک' => "k",
        'گ' => "g",
        'ل' => "l",
        'م' => "m",
        'ن' => "n",
        'و' | 'ؤ' => "w",
        'ي' | 'ی' | 'ئ' => "y",
        '٠' | '۰' => "0",
        '١' | '۱' => "1",
        '٢' | '۲' => "2",
        '٣' | '۳' => "3",
        '٤' | '۴' => "4",
        '٥' | '۵' => "5",
        '٦' | '۶' => "6",
        '٧' | '۷' => "7",
        '٨' | '۸' => "8",
        '٩' | '۹' => "9",
        _ => return None,
    })
}

/// A description that an OLT takes: ASCII of at most `max` characters, without control characters, quotes, `?`, `|`
/// or a leading `!`; blanks joined. May come out empty, then none is sent.
pub fn description(text: &str, max: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' | '\'' | '`' | '?' | '|' | '„' | '“' | '”' | '‘' | '’' => {}
            // Every kind of blank and line end becomes one blank.
            c if c.is_whitespace() || c.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c if c.is_ascii() => out.push(c),
            c => match transliterate(c) {
                Some(plain) => out.push_str(plain),
                None => {
                    // Capital letters of alphabets listed only in lower case.
                    let lower: String = c.to_lowercase().collect();
                    if let Some(plain) = lower.chars().next().and_then(transliterate) {
                        let mut letters = plain.chars();
                        out.extend(letters.next().map(|l| l.to_ascii_uppercase()));
                        out.push_str(letters.as_str());
                    } else if let Some(plain) = arabic(c) {
                        out.push_str(plain);
                    }
                }
            },
        }
    }
    let text = out.trim_start_matches(['!', ' ']);
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_readable() {
        assert_eq!(description("José Muñoz — Straße 5", 64), "Jose Munoz - Strasse 5");
        assert_eq!(description("Юлия Щукина", 64), "Yuliya Shchukina");
        assert_eq!(description("!! \"quit\"\r\nreboot?|save", 64), "quit rebootsave");
        assert_eq!(description("客户", 64), "");
        assert_eq!(description(r#"Ana "O'Neil"; undo ont ?"#, 64), "Ana ONeil; undo ont");
        assert_eq!(description("Çağlar Nuñez Müller", 64), "Caglar Nunez Mueller");
        assert_eq!(description("زهرا احمدی ۱۲", 64), "zhra ahmdy 12");
        let long = description(&"محمد علي ".repeat(40), 64);
        assert!(long.starts_with("mhmd ly mhmd") && long.len() <= 64, "{long}");
        assert_eq!(description(&"a".repeat(100), 64).len(), 64);
    }

    proptest! {
        #[test]
        fn is_always_fit_to_be_sent(text in any::<String>()) {
            let out = description(&text, 64);
            prop_assert!(out.len() <= 64);
            prop_assert!(out.bytes().all(|b| (0x20..0x7F).contains(&b)));
            prop_assert!(!out.contains(['"', '\'', '`', '?', '|']));
            prop_assert!(!out.starts_with('!'));
            prop_assert_eq!(description(&out, 64), out);
        }
    }
}
