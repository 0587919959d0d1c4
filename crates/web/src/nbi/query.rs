//! The query language of a GenieACS client: the part of MongoDB's that its documentation and its users use, read once and
//! then matched against devices and faults.
//!
//! **Invariant: bounded.** Whatever JSON comes in is read or refused with a sentence; a query has a limit on its depth, on
//! its conditions and on its patterns, and a pattern costs linear time (`regex`), whatever it says.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

/// Longest query, bytes.
pub(super) const MAX_QUERY: usize = 16 << 10;
const MAX_DEPTH: usize = 16;
const MAX_ALTERNATIVES: usize = 1000;
const MAX_PATTERNS: usize = 20;
const MAX_PATTERN: usize = 512;

/// Which part of a parameter is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Value,
    Kind,
    Writable,
    Timestamp,
}

/// What a condition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// A field of the collection itself, as its list of fields names it.
    Own(&'static str),
    /// A parameter of a device.
    Parameter { path: String, part: Part },
}

/// What stands in a field of one device or fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    Nothing,
    Text(&'a str),
    Texts(&'a [String]),
    Number(i64),
    Flag(bool),
    /// Milliseconds UTC.
    Time(i64),
    /// A parameter's value as the device sent it, with its type after `xsd:`.
    Parameter {
        text: &'a str,
        kind: &'a str,
    },
}

/// Something that a query can be matched against.
pub(super) trait Subject {
    fn found(&self, field: &Field) -> Found<'_>;
}

/// The fields that a collection has beside parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) own: &'static [&'static str],
    /// Whatever else does not begin with an underscore is a path of the data model.
    pub(super) parameters: bool,
}

#[derive(Debug, Clone)]
enum Alternative {
    Text(String),
    Number(Number),
    Flag(bool),
    Time(i64),
    Pattern(Regex),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone)]
enum Test {
    /// One of these.
    Is(Vec<Alternative>),
    /// So compared with one of these.
    Compares(Order, Vec<Alternative>),
    Exists(bool),
}

#[derive(Debug, Clone)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Test(Field, Test),
}

/// A query that was understood.
#[derive(Debug, Clone)]
pub(super) struct Matcher(Condition);

impl Matcher {
    /// Everything.
    pub(super) fn all() -> Self {
        Matcher(Condition::All(Vec::new()))
    }

    /// Reads a query.
    ///
    /// # Errors
    /// A sentence that names what is not understood.
    pub(super) fn parse(text: &str, fields: Fields) -> Result<Self, String> {
        if text.len() > MAX_QUERY {
            return Err(format!(
                "The query is longer than {MAX_QUERY} bytes. Ask for less at a time, e.g. for 500 ids."
            ));
        }
        let json: Json = serde_json::from_str(text)
            .map_err(|error| format!("SyntaxError: the query is no JSON: {error}."))?;
        let mut reader = Reader { fields, alternatives: 0, patterns: 0 };
        Ok(Matcher(reader.query(&json, 0)?))
    }

    /// True if it holds nothing back.
    pub(super) fn is_all(&self) -> bool {
        matches!(&self.0, Condition::All(all) if all.is_empty())
    }

    pub(super) fn matches(&self, subject: &impl Subject) -> bool {
        holds(&self.0, subject)
    }

    /// Every field that it looks at.
    pub(super) fn fields(&self) -> Vec<&Field> {
        let mut fields = Vec::new();
        collect(&self.0, &mut fields);
        fields
    }

    /// The texts of which one must stand in this field, where the query as a whole says so: what an index can find.
    pub(super) fn one_of(&self, field: &'static str) -> Option<Vec<&str>> {
        self.required().find_map(|condition| match condition {
            Condition::Test(Field::Own(own), Test::Is(alternatives)) if *own == field => alternatives
                .iter()
                .map(as_exact)
                .collect::<Option<Vec<_>>>()
                .map(|all| all.into_iter().flatten().collect()),
            _ => None,
        })
    }

    /// From when and until when a time must be, where the query as a whole says so; both may be a moment too wide.
    pub(super) fn within(&self, field: &'static str) -> (Option<i64>, Option<i64>) {
        let (mut from, mut until) = (None::<i64>, None::<i64>);
        for condition in self.required() {
            let Condition::Test(Field::Own(own), Test::Compares(order, alternatives)) = condition else {
                continue;
            };
            let mut times = alternatives.iter().filter_map(as_time);
            let (Some(time), None) = (times.next(), times.next()) else { continue };
            if *own != field {
                continue;
            }
            match order {
                Order::Less | Order::LessOrEqual => until = Some(until.map_or(time, |other| other.min(time))),
                Order::Greater | Order::GreaterOrEqual => {
                    from = Some(from.map_or(time, |other| other.max(time)))
                }
            }
        }
        (from, until)
    }

    /// Conditions that must hold whatever the others say.
    fn required(&self) -> impl Iterator<Item = &Condition> {
        let mut waiting = vec![&self.0];
        std::iter::from_fn(move || {
            loop {
                match waiting.pop()? {
                    Condition::All(all) => waiting.extend(all),
                    other => return Some(other),
                }
            }
        })
    }
}

/// A text that an index can look for; other forms of the same text (a number, a time) never stand in a text field.
fn as_exact(alternative: &Alternative) -> Option<Option<&str>> {
    match alternative {
        Alternative::Text(text) => Some(Some(text)),
        Alternative::Number(_) | Alternative::Time(_) => Some(None),
        Alternative::Flag(_) | Alternative::Pattern(_) | Alternative::Nothing => None,
    }
}

fn as_time(alternative: &Alternative) -> Option<i64> {
    match alternative {
        Alternative::Time(at) => Some(*at),
        _ => None,
    }
}

fn collect<'c>(condition: &'c Condition, fields: &mut Vec<&'c Field>) {
    match condition {
        Condition::All(each) | Condition::Any(each) => each.iter().for_each(|one| collect(one, fields)),
        Condition::Not(one) => collect(one, fields),
        Condition::Test(field, _) => fields.push(field),
    }
}

struct Reader {
    fields: Fields,
    alternatives: usize,
    patterns: usize,
}

impl Reader {
    fn query(&mut self, json: &Json, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err(format!("The query is nested more than {MAX_DEPTH} deep."));
        }
        let Json::Object(object) = json else {
            return Err("A query is a JSON object, e.g. {\"_tags\": \"fibre\"}.".to_owned());
        };
        let mut all = Vec::new();
        for (key, value) in object {
            all.push(match key.as_str() {
                "$and" => Condition::All(self.each(key, value, depth)?),
                "$or" => Condition::Any(self.each(key, value, depth)?),
                "$nor" => Condition::Not(Box::new(Condition::Any(self.each(key, value, depth)?))),
                operator if operator.starts_with('$') => return Err(unknown(operator)),
                name => {
                    let field = field(name, self.fields)?;
                    self.tests(&field, value, depth + 1)?
                }
            });
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn each(&mut self, key: &str, value: &Json, depth: usize) -> Result<Vec<Condition>, String> {
        match value {
            Json::Array(list) if !list.is_empty() => {
                list.iter().map(|one| self.query(one, depth + 1)).collect()
            }
            _ => Err(format!("{key} takes a list of queries that is not empty.")),
        }
    }

    /// What is wanted of one field: a value, or an object of operators.
    fn tests(&mut self, field: &Field, value: &Json, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err(format!("The query is nested more than {MAX_DEPTH} deep."));
        }
        let operators = match value {
            Json::Object(object) if !object.contains_key("$date") => object,
            value => return Ok(Condition::Test(field.clone(), Test::Is(self.value(value)?))),
        };
        if operators.is_empty() {
            return Err(
                "A field is compared with a value or with operators such as $lt, not with {}.".to_owned()
            );
        }
        let mut all = Vec::new();
        for (operator, value) in operators {
            let test = |test| Condition::Test(field.clone(), test);
            let not = |condition| Condition::Not(Box::new(condition));
            all.push(match operator.as_str() {
                "$eq" => test(Test::Is(self.value(value)?)),
                "$ne" => not(test(Test::Is(self.value(value)?))),
                "$in" => test(Test::Is(self.values(operator, value)?)),
                "$nin" => not(test(Test::Is(self.values(operator, value)?))),
                "$lt" => test(Test::Compares(Order::Less, self.value(value)?)),
                "$lte" => test(Test::Compares(Order::LessOrEqual, self.value(value)?)),
                "$gt" => test(Test::Compares(Order::Greater, self.value(value)?)),
                "$gte" => test(Test::Compares(Order::GreaterOrEqual, self.value(value)?)),
                "$exists" => match value {
                    Json::Bool(wanted) => test(Test::Exists(*wanted)),
                    Json::Number(number) => test(Test::Exists(number.as_f64() != Some(0.0))),
                    _ => return Err("$exists takes true or false.".to_owned()),
                },
                "$regex" => {
                    let Json::String(pattern) = value else { return Err("$regex takes a text.".to_owned()) };
                    let options = operators.get("$options").and_then(Json::as_str).unwrap_or_default();
                    test(Test::Is(vec![Alternative::Pattern(self.pattern(pattern, options)?)]))
                }
                "$options" if operators.contains_key("$regex") => continue,
                "$not" => not(self.tests(field, value, depth + 1)?),
                operator => return Err(unknown(operator)),
            });
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn values(&mut self, operator: &str, value: &Json) -> Result<Vec<Alternative>, String> {
        let Json::Array(list) = value else { return Err(format!("{operator} takes a list of values.")) };
        let mut all = Vec::new();
        for one in list {
            all.extend(self.value(one)?);
        }
        Ok(all)
    }

    /// A value with everything that it may mean: GenieACS takes a text also for a pattern, a number and a time.
    fn value(&mut self, value: &Json) -> Result<Vec<Alternative>, String> {
        let mut all = Vec::new();
        match value {
            Json::Null => all.push(Alternative::Nothing),
            Json::Bool(flag) => all.push(Alternative::Flag(*flag)),
            Json::Number(number) => {
                all.push(Alternative::Number(Number::of(number)));
            }
            Json::String(text) => {
                all.push(Alternative::Text(text.clone()));
                if let Some((pattern, options)) = as_pattern(text) {
                    all.push(Alternative::Pattern(self.pattern(pattern, options)?));
                }
                if let Some(number) = number(text) {
                    all.push(Alternative::Number(number));
                }
                if let Some(at) = time(text) {
                    all.push(Alternative::Time(at));
                }
                if text.contains('*') {
                    let parts: Vec<String> = text.split('*').map(regex::escape).collect();
                    all.push(Alternative::Pattern(self.pattern(&format!("^{}$", parts.join(".*")), "s")?));
                }
            }
            Json::Object(object) if object.len() == 1 => {
                let at = match object.get("$date") {
                    Some(Json::String(text)) => time(text),
                    Some(Json::Number(number)) => number.as_i64(),
                    Some(Json::Object(long)) => {
                        long.get("$numberLong").and_then(Json::as_str).and_then(|text| text.parse().ok())
                    }
                    _ => None,
                };
                let Some(at) = at else {
                    return Err("A value is a text, a number, true, false or null.".to_owned());
                };
                all.push(Alternative::Time(at));
            }
            Json::Array(_) | Json::Object(_) => {
                return Err("A value is a text, a number, true, false or null; for one of several use $in."
                    .to_owned());
            }
        }
        self.alternatives += all.len();
        if self.alternatives > MAX_ALTERNATIVES {
            return Err(format!(
                "The query has more than {MAX_ALTERNATIVES} values. Ask for fewer at a time."
            ));
        }
        Ok(all)
    }

    fn pattern(&mut self, pattern: &str, options: &str) -> Result<Regex, String> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS || pattern.len() > MAX_PATTERN {
            return Err(format!(
                "A query has at most {MAX_PATTERNS} patterns of {MAX_PATTERN} bytes each; this one has more."
            ));
        }
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(1 << 16).nest_limit(50);
        for option in options.chars() {
            match option {
                'i' => drop(builder.case_insensitive(true)),
                'm' => drop(builder.multi_line(true)),
                's' => drop(builder.dot_matches_new_line(true)),
                'x' => drop(builder.ignore_whitespace(true)),
                // Of JavaScript; they change nothing here.
                'g' | 'u' | 'y' => {}
                other => return Err(format!("{other:?} is no option of a pattern; i, m, s and x are.")),
            }
        }
        builder.build().map_err(|error| {
            let error: String = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            format!(
                "The pattern cannot be used: {}. Look-around and back-references are not possible.",
                error.trim_end_matches('.')
            )
        })
    }
}

fn unknown(operator: &str) -> String {
    let operator: String = operator.chars().take(40).collect();
    format!(
        "{operator:?} is not understood. $and, $or, $nor, $not, $eq, $ne, $in, $nin, $lt, $lte, $gt, $gte, $exists and \
         $regex are."
    )
}

/// The field of a name.
pub(super) fn field(name: &str, fields: Fields) -> Result<Field, String> {
    if let Some(own) = fields.own.iter().find(|own| **own == name) {
        return Ok(Field::Own(own));
    }
    let shown: String = name.chars().take(80).collect();
    let known = || format!("Known are {}", fields.own.join(", "));
    if !fields.parameters {
        return Err(format!("{shown:?} is no field of this collection. {}.", known()));
    }
    if name.contains('*') {
        return Err(format!("{shown:?} holds a *, which is possible in values and not in names."));
    }
    let (path, part) = match name.rsplit_once('.') {
        Some((path, "_value")) => (path, Part::Value),
        Some((path, "_type")) => (path, Part::Kind),
        Some((path, "_writable")) => (path, Part::Writable),
        Some((path, "_timestamp")) => (path, Part::Timestamp),
        _ => (name, Part::Value),
    };
    if path.is_empty() || path.split('.').any(|segment| segment.starts_with('_')) {
        return Err(format!("{shown:?} is no field of a device. {}, and the paths of parameters.", known()));
    }
    Ok(Field::Parameter { path: path.to_owned(), part })
}

/// `/pattern/flags`
fn as_pattern(text: &str) -> Option<(&str, &str)> {
    let (pattern, flags) = text.strip_prefix('/')?.rsplit_once('/')?;
    (!pattern.is_empty() && flags.len() <= 6 && flags.bytes().all(|b| b.is_ascii_lowercase()))
        .then_some((pattern, flags))
}

/// A number: a whole one to the last digit, any other as near as JSON has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Other(f64),
}

impl Number {
    fn of(number: &serde_json::Number) -> Self {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        whole.map_or_else(|| Number::near(number.as_f64().unwrap_or(f64::NAN)), Number::Whole)
    }

    /// `4.0` is 4.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "what has no fraction and lies inside the range is the same as a whole number"
    )]
    fn near(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() < 1e38 {
            Number::Whole(number as i128)
        } else {
            Number::Other(number)
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "compared with what is no whole number anyway")]
    fn float(self) -> f64 {
        match self {
            Number::Whole(number) => number as f64,
            Number::Other(number) => number,
        }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number::Whole(i128::from(number))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Number::Whole(left), Number::Whole(right)) => left.partial_cmp(right),
            (left, right) => left.float().partial_cmp(&right.float()),
        }
    }
}

fn number(text: &str) -> Option<Number> {
    let looks = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !looks {
        return None;
    }
    if let Ok(whole) = text.parse::<i128>() {
        return Some(Number::Whole(whole));
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Number::near)
}

/// A moment as people and programs write it: RFC 3339, `2017-12-11 13:16:23 +0000`, or as JavaScript shows a date.
/// Anything before 1984 is no moment but a text that looks like one, as in GenieACS.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() < 8 || text.len() > 100 {
        return None;
    }
    // `Mon Dec 11 2017 13:16:23 GMT+0200 (Eastern European Standard Time)`
    let script = text.split_once(" (").map_or(text, |(before, _)| before).replace("GMT", "");
    let zoned = |format: &str, text: &str| jiff::Timestamp::strptime(format, text).ok();
    let found = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| zoned("%Y-%m-%d %H:%M:%S %z", text))
        .or_else(|| zoned("%Y-%m-%dT%H:%M:%S%z", text))
        .or_else(|| zoned("%a %b %d %Y %H:%M:%S %z", &script))
        .or_else(|| {
            let date: jiff::civil::DateTime = text.parse().ok()?;
            Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        })?;
    let at = found.as_millisecond();
    // 1984-01-01T00:00:00Z
    (at >= 441_763_200_000).then_some(at)
}

fn holds(condition: &Condition, subject: &impl Subject) -> bool {
    match condition {
        Condition::All(each) => each.iter().all(|one| holds(one, subject)),
        Condition::Any(each) => each.iter().any(|one| holds(one, subject)),
        Condition::Not(one) => !holds(one, subject),
        Condition::Test(field, test) => {
            let found = subject.found(field);
            match test {
                Test::Is(alternatives) => alternatives.iter().any(|wanted| is(found, wanted)),
                Test::Compares(order, alternatives) => {
                    alternatives.iter().any(|wanted| compares(found, *order, wanted))
                }
                Test::Exists(wanted) => *wanted != matches!(found, Found::Nothing),
            }
        }
    }
}

fn is_numeric(kind: &str) -> bool {
    matches!(kind, "int" | "unsignedInt" | "long" | "unsignedLong")
}

/// CWMP says `1`, `0`, `true` or `false`.
pub(super) fn flag(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("true")
}

fn is(found: Found<'_>, wanted: &Alternative) -> bool {
    match (found, wanted) {
        (Found::Nothing, wanted) => matches!(wanted, Alternative::Nothing),
        (Found::Text(text), Alternative::Text(wanted)) => text == wanted,
        (Found::Text(text), Alternative::Pattern(pattern)) => pattern.is_match(text),
        (Found::Texts(texts), Alternative::Text(wanted)) => texts.contains(wanted),
        (Found::Texts(texts), Alternative::Pattern(pattern)) => {
            texts.iter().any(|text| pattern.is_match(text))
        }
        (Found::Number(number), Alternative::Number(wanted)) => Number::from(number) == *wanted,
        (Found::Flag(flag), Alternative::Flag(wanted)) => flag == *wanted,
        (Found::Time(at), Alternative::Time(wanted)) => at == *wanted,
        (Found::Time(at), Alternative::Number(wanted)) => Number::from(at) == *wanted,
        (Found::Parameter { text, .. }, Alternative::Text(wanted)) => text == wanted,
        (Found::Parameter { text, .. }, Alternative::Pattern(pattern)) => pattern.is_match(text),
        (Found::Parameter { text, kind }, Alternative::Flag(wanted)) => {
            kind == "boolean" && flag(text) == *wanted
        }
        (Found::Parameter { text, kind }, Alternative::Number(wanted)) => {
            // A text of digits is a text: a name of 0123456 is not one of 123456, and not one of 1.23456e5.
            is_numeric(kind) && number(text) == Some(*wanted)
        }
        (Found::Parameter { text, kind: "dateTime" }, Alternative::Time(wanted)) => {
            time(text) == Some(*wanted)
        }
        _ => false,
    }
}

fn compares(found: Found<'_>, order: Order, wanted: &Alternative) -> bool {
    fn so<T: PartialOrd>(order: Order, left: T, right: T) -> bool {
        match order {
            Order::Less => left < right,
            Order::LessOrEqual => left <= right,
            Order::Greater => left > right,
            Order::GreaterOrEqual => left >= right,
        }
    }
    match (found, wanted) {
        (Found::Text(text), Alternative::Text(wanted)) => so(order, text, wanted.as_str()),
        (Found::Texts(texts), Alternative::Text(wanted)) => {
            texts.iter().any(|text| so(order, text.as_str(), wanted.as_str()))
        }
        (Found::Number(number), Alternative::Number(wanted)) => so(order, Number::from(number), *wanted),
        (Found::Time(at), Alternative::Time(wanted)) => so(order, at, *wanted),
        (Found::Time(at), Alternative::Number(wanted)) => so(order, Number::from(at), *wanted),
        (Found::Parameter { text, kind: "dateTime" }, Alternative::Time(wanted)) => {
            time(text).is_some_and(|at| so(order, at, *wanted))
        }
        (Found::Parameter { text, kind }, Alternative::Number(wanted)) => {
            is_numeric(kind) && number(text).is_some_and(|number| so(order, number, *wanted))
        }
        // A number is not compared as a text: "9" is more than "10" there.
        (Found::Parameter { text, kind }, Alternative::Text(wanted)) => {
            !is_numeric(kind) && so(order, text, wanted.as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELDS: Fields = Fields { own: &["_id", "_tags", "_lastInform"], parameters: true };

    /// A device with four parameters.
    struct Device(Vec<String>);

    impl Subject for Device {
        fn found(&self, field: &Field) -> Found<'_> {
            match field {
                Field::Own("_id") => Found::Text("00259E-HG8546M-4857544312345678"),
                Field::Own("_tags") => Found::Texts(&self.0),
                // 2026-11-21T14:30:00Z
                Field::Own("_lastInform") => Found::Time(1_795_271_400_000),
                Field::Parameter { path, part: Part::Value } => match path.as_str() {
                    "D.SoftwareVersion" => Found::Parameter { text: "V5R019C10S125", kind: "string" },
                    "D.UpTime" => Found::Parameter { text: "86400", kind: "unsignedInt" },
                    "D.Username" => Found::Parameter { text: "123456", kind: "string" },
                    "D.Bytes" => Found::Parameter { text: "9007199254740993", kind: "unsignedLong" },
                    "D.Enable" => Found::Parameter { text: "1", kind: "boolean" },
                    "D.Now" => Found::Parameter { text: "2026-11-21T14:29:58Z", kind: "dateTime" },
                    _ => Found::Nothing,
                },
                _ => Found::Nothing,
            }
        }
    }

    fn matched(query: &str) -> bool {
        let device = Device(vec!["fibre".into(), "north".into()]);
        Matcher::parse(query, FIELDS).unwrap_or_else(|error| panic!("{query}: {error}")).matches(&device)
    }

    #[test]
    fn a_text_of_digits_is_no_number_and_a_number_is_one_to_its_last_digit() {
        for query in [
            r#"{"D.Username": "123456"}"#,
            r#"{"D.Username": {"$gt": "1", "$lt": "2"}}"#,
            r#"{"D.Bytes": 9007199254740993}"#,
            r#"{"D.Bytes": "9007199254740993"}"#,
            r#"{"D.Bytes": {"$gt": 9007199254740992}}"#,
            r#"{"D.UpTime": 86400.0}"#,
            r#"{"D.UpTime": "8.64e4"}"#,
            r#"{"D.UpTime": {"$gt": 86399.5}}"#,
        ] {
            assert!(matched(query), "{query}");
        }
        for query in [
            r#"{"D.Username": "0123456"}"#,
            r#"{"D.Username": "1.23456e5"}"#,
            r#"{"D.Username": 123456}"#,
            r#"{"D.Username": {"$in": ["+123456", "123456.0"]}}"#,
            r#"{"D.Username": {"$gte": 123456}}"#,
            r#"{"D.Bytes": 9007199254740992}"#,
            r#"{"D.Bytes": "9007199254740994"}"#,
        ] {
            assert!(!matched(query), "{query}");
        }
    }

    #[test]
    fn what_the_documentation_of_genieacs_shows_is_understood() {
        for query in [
            r#"{}"#,
            r#"{"_id": "00259E-HG8546M-4857544312345678"}"#,
            r#"{"_id": {"$in": ["x", "00259E-HG8546M-4857544312345678"]}}"#,
            r#"{"_id": "00259E-*"}"#,
            r#"{"_id": "/^00259e/i"}"#,
            r#"{"_tags": "fibre"}"#,
            r#"{"_tags": {"$ne": "south"}}"#,
            r#"{"_lastInform": {"$gt": "2026-11-21 14:29:59 +0000"}}"#,
            r#"{"_lastInform": {"$lt": "2026-11-21T14:30:01.000Z"}}"#,
            r#"{"_lastInform": {"$gte": "2026-11-21"}}"#,
            r#"{"_lastInform": {"$lte": {"$date": "2026-11-21T14:30:00Z"}}}"#,
            r#"{"_lastInform": {"$gt": "Sat Nov 21 2026 16:29:00 GMT+0200 (Eastern European Standard Time)"}}"#,
            r#"{"D.SoftwareVersion": "V5R019*"}"#,
            r#"{"D.SoftwareVersion._value": "V5R019C10S125"}"#,
            r#"{"D.SoftwareVersion": {"$regex": "s125$", "$options": "i"}}"#,
            r#"{"D.UpTime": {"$gt": 3600, "$lt": "100000"}}"#,
            r#"{"D.UpTime": "86400"}"#,
            r#"{"D.Enable": true}"#,
            r#"{"D.Now": {"$lt": "2026-11-21T14:30:00Z"}}"#,
            r#"{"D.Gone": {"$exists": false}, "D.UpTime": {"$exists": true}}"#,
            r#"{"$or": [{"_tags": "south"}, {"$and": [{"D.UpTime": 86400}, {"_tags": "north"}]}]}"#,
            r#"{"$nor": [{"_tags": "south"}]}"#,
            r#"{"D.UpTime": {"$not": {"$lt": 5}}}"#,
            r#"{"D.Gone": {"$ne": "x"}}"#,
            r#"{"D.Gone": null}"#,
        ] {
            assert!(matched(query), "{query}");
        }
        for query in [
            r#"{"_id": "00259E"}"#,
            r#"{"_tags": "fib"}"#,
            r#"{"_tags": {"$nin": ["fibre"]}}"#,
            r#"{"_lastInform": {"$lt": "2026-11-21 14:29:59 +0000"}}"#,
            r#"{"D.SoftwareVersion": "v5r019*"}"#,
            r#"{"D.UpTime": {"$lt": 9}}"#,
            r#"{"D.UpTime": {"$lt": "9"}}"#,
            r#"{"D.Enable": false}"#,
            r#"{"D.Gone": {"$lt": 9}}"#,
            r#"{"D.Gone": "x"}"#,
            r#"{"$or": [{"_tags": "south"}, {"_tags": "west"}]}"#,
        ] {
            assert!(!matched(query), "{query}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (query, named) in [
            ("{", "SyntaxError"),
            ("[]", "JSON object"),
            (r#"{"$where": "sleep(1e9)"}"#, "$where"),
            (r#"{"_id": {"$mod": [4, 0]}}"#, "$mod"),
            (r#"{"_password": "x"}"#, "_password"),
            (r#"{"D.*.Enable": true}"#, "*"),
            (r#"{"_id": {"$regex": "(a"}}"#, "pattern"),
            (r#"{"_id": "/(?=a)a/"}"#, "Look-around"),
            (r#"{"_id": {"$regex": "(a{1000}){1000}"}}"#, "pattern"),
            (r#"{"$or": []}"#, "$or"),
            (r#"{"_id": {}}"#, "{}"),
            (r#"{"_id": ["a"]}"#, "$in"),
        ] {
            let error = Matcher::parse(query, FIELDS).expect_err(query);
            assert!(error.contains(named) && error.ends_with('.'), "{query}: {error}");
        }
        let deep = format!("{}{{}}{}", r#"{"$and":["#.repeat(40), "]}".repeat(40));
        assert!(Matcher::parse(&deep, FIELDS).expect_err("too deep").contains("nested"));
        let many = serde_json::json!({ "_id": { "$in": vec!["x"; 2000] } }).to_string();
        assert!(Matcher::parse(&many, FIELDS).expect_err("too many").contains("values"));
    }

    #[test]
    fn what_an_index_can_find_is_known() {
        let parse = |query: &str| Matcher::parse(query, FIELDS).expect("understood");
        let both = parse(r#"{"_id": {"$in": ["a", "123"]}, "_lastInform": {"$gt": "2026-11-21T14:30:00Z"}}"#);
        assert_eq!(both.one_of("_id"), Some(vec!["a", "123"]));
        assert_eq!(both.within("_lastInform"), (Some(1_795_271_400_000), None));
        // A pattern, a way out, a negation: no index says enough.
        for query in [
            r#"{"_id": "a*"}"#,
            r#"{"$or": [{"_id": "a"}, {"_tags": "b"}]}"#,
            r#"{"_id": {"$ne": "a"}}"#,
            r#"{"_id": null}"#,
        ] {
            assert_eq!(parse(query).one_of("_id"), None, "{query}");
        }
        assert!(parse("{}").is_all() && !both.is_all());
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let names = prop::sample::select(vec![
            "$and",
            "$or",
            "$nor",
            "$not",
            "$eq",
            "$ne",
            "$in",
            "$nin",
            "$lt",
            "$gte",
            "$exists",
            "$regex",
            "$options",
            "$date",
            "$numberLong",
            "_id",
            "_tags",
            "_lastInform",
            "D.UpTime",
            "D.Now",
            "",
        ]);
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<f64>().prop_map(|n| serde_json::Number::from_f64(n).map_or(Json::Null, Json::Number)),
            any::<i64>().prop_map(|n| Json::Number(n.into())),
            ".{0,20}".prop_map(Json::String),
            "/.{0,12}/[gimsx]{0,2}".prop_map(Json::String),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9:]{8} [+-][0-9]{4})?".prop_map(Json::String),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::vec(
                    (prop_oneof![names.clone().prop_map(str::to_owned), ".{0,8}"], inner),
                    0..6
                )
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_understood_or_refused_with_a_sentence(json in any_json()) {
            match Matcher::parse(&json.to_string(), FIELDS) {
                Ok(matcher) => {
                    let device = Device(vec!["fibre".into()]);
                    let found = matcher.matches(&device);
                    // What an index may look for never leaves out what matches.
                    if let (true, Some(ids)) = (found, matcher.one_of("_id")) {
                        prop_assert!(ids.contains(&"00259E-HG8546M-4857544312345678"));
                    }
                    if found {
                        let (from, until) = matcher.within("_lastInform");
                        prop_assert!(from.is_none_or(|from| from <= 1_795_271_400_000));
                        prop_assert!(until.is_none_or(|until| until >= 1_795_271_400_000));
                    }
                }
                Err(sentence) => prop_assert!(sentence.ends_with('.'), "{}", sentence),
            }
        }

        #[test]
        fn any_text_is_understood_or_refused(text in ".{0,200}") {
            drop(Matcher::parse(&text, FIELDS));
            let _ = time(&text);
        }
    }
}
