//! A statement that is put together from pieces. Values are always bound, never spliced; both engines read `$1`.

use super::{Listed, Page, Read, Sort, search::serial_like};
use crate::StoreError;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

/// SQL text with its bound values.
#[derive(Debug, Clone, Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
    conditions: usize,
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Sql { text: text.to_owned(), values: Vec::new(), conditions: 0 }
    }

    /// Appends text that comes from this crate, never from a caller.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push(' ');
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for `value`.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push_str(&format!(" ${}", self.values.len()));
        self
    }

    /// Starts the next condition: `WHERE` for the first one, `AND` for all others.
    pub(super) fn and(&mut self, text: &str) -> &mut Self {
        let word = if self.conditions == 0 { "WHERE" } else { "AND" };
        self.conditions += 1;
        self.push(word).push(text)
    }

    /// `AND column = value` if there is a value.
    pub(super) fn and_is(&mut self, column: &str, value: Option<impl Into<Value>>) -> &mut Self {
        if let Some(value) = value {
            self.and(&format!("{column} =")).bind(value);
        }
        self
    }

    /// `AND column IN (…)`; none of no values.
    pub(super) fn and_in<V: Into<Value>>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return self.and("1 = 0") };
        self.and(&format!("{column} IN (")).bind(first);
        for value in values {
            self.push(",").bind(value);
        }
        self.push(")")
    }

    /// `AND (a LIKE … OR b LIKE …)`, both sides in lower case, the needle taken literally.
    pub(super) fn and_contains(&mut self, columns: &[&str], needle: &str) -> &mut Self {
        if needle.is_empty() {
            return self;
        }
        self.and("(").contains(columns, needle).push(")")
    }

    /// The same, and what can be a serial number in any notation, a part of one or its vendor is looked for in the columns
    /// with serials besides.
    pub(super) fn and_matches(&mut self, serials: &[&str], columns: &[&str], needle: &str) -> &mut Self {
        if needle.is_empty() {
            return self;
        }
        self.and("(");
        if let Some(pattern) = serial_like(needle) {
            for serial in serials {
                self.push(&format!("{serial} LIKE")).bind(pattern.clone()).push("OR");
            }
        }
        self.contains(columns, needle).push(")")
    }

    fn contains(&mut self, columns: &[&str], needle: &str) -> &mut Self {
        let pattern = like_pattern(&needle.to_lowercase());
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                self.push("OR");
            }
            self.push(&format!("LOWER({column}) LIKE")).bind(pattern.clone()).push("ESCAPE '!'");
            for spelling in spellings(needle) {
                self.push(&format!("OR {column} LIKE")).bind(like_pattern(&spelling)).push("ESCAPE '!'");
            }
        }
        self
    }

    /// `ORDER BY` with the first entry of `columns` that the caller named, else `otherwise`; `id` breaks ties so that
    /// pages never overlap.
    pub(super) fn order(
        &mut self,
        sort: &Sort,
        columns: &[(&str, &str)],
        otherwise: &str,
        id: &str,
    ) -> &mut Self {
        let found = columns.iter().find(|(name, _)| *name == sort.column);
        match found {
            Some((_, expressions)) => {
                let direction = if sort.descending { "DESC" } else { "ASC" };
                let each: Vec<String> =
                    parts(expressions).map(|part| format!("{} {direction}", part.trim())).collect();
                self.push(&format!("ORDER BY {}, {id}", each.join(", ")))
            }
            None => self.push(&format!("ORDER BY {otherwise}, {id}")),
        }
    }

    pub(super) fn page(&mut self, page: Page) -> &mut Self {
        let offset = i64::try_from(page.offset()).unwrap_or(i64::MAX);
        self.push("LIMIT").bind(i64::from(page.size)).push("OFFSET").bind(offset)
    }

    /// For tests that look at how a statement is carried out.
    #[cfg(test)]
    pub(super) fn into_parts(self) -> (String, Vec<Value>) {
        (self.text, self.values)
    }

    /// The same for a statement within brackets: its conditions are its own.
    pub(super) fn append_nested(&mut self, other: &Sql) -> &mut Self {
        let own = self.conditions;
        self.append(other);
        self.conditions = own;
        self
    }

    /// Joins the text and values of another piece; its placeholders are renumbered.
    pub(super) fn append(&mut self, other: &Sql) -> &mut Self {
        let base = self.values.len();
        self.text.push(' ');
        let mut rest = other.text.as_str();
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at + 1);
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: usize = after[..digits].parse().unwrap_or(0);
            self.text.push_str(before);
            self.text.push_str(&(number + base).to_string());
            rest = &after[digits..];
        }
        self.text.push_str(rest);
        self.values.extend(other.values.iter().cloned());
        self.conditions += other.conditions;
        self
    }
}

/// The parts of a list of expressions; a comma inside of brackets separates nothing.
fn parts(expressions: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    expressions.split(move |c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    })
}

/// `%needle%` with `%`, `_` and the escape character itself taken literally.
pub(super) fn like_pattern(needle: &str) -> String {
    let mut pattern = String::with_capacity(needle.len() + 2);
    pattern.push('%');
    for c in needle.chars().take(200) {
        match c {
            '%' | '_' | '!' => pattern.extend(['!', c]),
            // PostgreSQL has no such character; nothing contains it.
            '\0' => pattern.push('\u{FFFD}'),
            c => pattern.push(c),
        }
    }
    pattern.push('%');
    pattern
}

/// SQLite folds the case of ASCII only; in other scripts the usual spellings are tried as well.
fn spellings(needle: &str) -> Vec<String> {
    if needle.is_ascii() {
        return Vec::new();
    }
    let capitalised = needle
        .split(' ')
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map_or_else(String::new, |first| {
                first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
            })
        })
        .collect::<Vec<_>>()
        .join(" ");
    let mut spellings = vec![needle.to_owned(), capitalised, needle.to_uppercase()];
    spellings.dedup();
    spellings
}

#[derive(FromQueryResult)]
struct Count {
    n: i64,
}

impl Read<'_> {
    fn statement(&self, sql: Sql) -> Statement {
        Statement::from_sql_and_values(self.db.get_database_backend(), sql.text, sql.values)
    }

    pub(super) async fn all<T: FromQueryResult>(&self, sql: Sql) -> Result<Vec<T>, StoreError> {
        let rows = self.db.query_all_raw(self.statement(sql)).await?;
        Ok(rows.iter().map(|row| T::from_query_result(row, "")).collect::<Result<Vec<T>, _>>()?)
    }

    pub(super) async fn one<T: FromQueryResult>(&self, sql: Sql) -> Result<Option<T>, StoreError> {
        let row = self.db.query_one_raw(self.statement(sql)).await?;
        Ok(row.map(|row| T::from_query_result(&row, "")).transpose()?)
    }

    /// The one number of a statement that names it `n`.
    pub(super) async fn number(&self, sql: Sql) -> Result<u64, StoreError> {
        let count: Option<Count> = self.one(sql).await?;
        Ok(count.map_or(0, |count| u64::try_from(count.n).unwrap_or(0)))
    }

    /// `select`, `from` with its conditions, the order and the page: rows and total.
    pub(super) async fn listed<T: FromQueryResult>(
        &self,
        select: &str,
        from: Sql,
        order: impl FnOnce(&mut Sql),
        page: Page,
    ) -> Result<Listed<T>, StoreError> {
        let mut count = Sql::new("SELECT COUNT(*) AS n");
        count.append(&from);
        let total = self.number(count).await?;
        if page.offset() >= total {
            return Ok(Listed { rows: Vec::new(), total });
        }
        let mut rows = Sql::new(select);
        rows.append(&from);
        order(&mut rows);
        rows.page(page);
        Ok(Listed { rows: self.all(rows).await?, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_taken_literally() {
        assert_eq!(like_pattern("50%_a!"), "%50!%!_a!!%");
        assert_eq!(spellings("amina"), Vec::<String>::new());
        assert_eq!(spellings("оксана х"), ["оксана х", "Оксана Х", "ОКСАНА Х"]);
    }

    #[test]
    fn pieces_are_renumbered() {
        let mut tail = Sql::new("FROM x");
        tail.and_is("a", Some(1_i64)).and_contains(&["b", "c"], "z");
        let mut all = Sql::new("SELECT");
        all.bind(7_i64).append(&tail);
        assert_eq!(
            all.text,
            "SELECT $1 FROM x WHERE a = $2 AND ( LOWER(b) LIKE $3 ESCAPE '!' OR LOWER(c) LIKE $4 ESCAPE '!' )"
        );
        assert_eq!(all.values.len(), 4);
    }

    #[test]
    fn an_unknown_column_never_reaches_the_statement() {
        let mut sql = Sql::new("SELECT 1");
        sql.order(&Sort::parse("-id; DROP TABLE x"), &[("name", "t.name")], "t.at DESC", "t.id");
        assert_eq!(sql.text, "SELECT 1 ORDER BY t.at DESC, t.id");
    }

    #[test]
    fn the_other_way_round_holds_for_every_part() {
        let mut sql = Sql::new("SELECT 1");
        let columns = [("position", "t.name, COALESCE(o.pon, ''), o.id")];
        sql.order(&Sort::parse("-position"), &columns, "t.at", "o.id");
        assert_eq!(sql.text, "SELECT 1 ORDER BY t.name DESC, COALESCE(o.pon, '') DESC, o.id DESC, o.id");
    }
}
