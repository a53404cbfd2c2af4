//! The orders in which appliances are listed, and where a page of such a list begins.
//!
//! A page begins after the last row of the one before, by what the list is sorted by and the row's number, not by a count of rows: what is
//! added or goes meanwhile moves nothing that is still to come.

use crate::api::{ApiError, Page};
use data_encoding::BASE64URL_NOPAD;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SortKey {
    Name,
    Address,
    Mac,
    Model,
    Serial,
    Health,
    Provisioning,
}

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sort {
    pub(crate) key: SortKey,
    pub(crate) descending: bool,
}

/// `name`, or `-name` for the other way around.
impl FromStr for Sort {
    type Err = ApiError;
    fn from_str(text: &str) -> Result<Self, ApiError> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let key = serde_json::from_value(name.into()).map_err(|_| {
            let names = SortKey::ALL.map(|key| super::word(&key)).join(", ");
            ApiError::Malformed {
                why: format!("`sort` is none of {names}, with `-` before it for the other way around"),
            }
        })?;
        Ok(Sort { key, descending })
    }
}

impl SortKey {
    pub(crate) const ALL: [SortKey; 7] = [
        SortKey::Name,
        SortKey::Address,
        SortKey::Mac,
        SortKey::Model,
        SortKey::Serial,
        SortKey::Health,
        SortKey::Provisioning,
    ];

    /// The value, letter by letter as its index has it (V18).
    fn expression(self) -> &'static str {
        match self {
            SortKey::Name => "lower(coalesce(nullif(json_extract(settings, '$.host_name'), ''), serial))",
            SortKey::Address => {
                "CASE WHEN json_valid('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']')
     THEN json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[0]') * 16777216
        + json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[1]') * 65536
        + json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[2]') * 256
        + json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[3]')
     ELSE -1 END"
            }
            SortKey::Mac => "mac",
            SortKey::Model => "lower(model)",
            SortKey::Serial => "lower(serial)",
            SortKey::Health => {
                "CASE health WHEN 'silent' THEN 0 WHEN 'unreachable' THEN 1 WHEN 'failing' THEN 2 WHEN 'never_reported' THEN 3 \
                 WHEN 'late' THEN 4 WHEN 'recovering' THEN 5 WHEN 'maintenance' THEN 6 WHEN 'well' THEN 7 ELSE 8 END"
            }
            SortKey::Provisioning => {
                "CASE provisioning WHEN 'failed' THEN 0 WHEN 'granted' THEN 1 WHEN 'known' THEN 2 WHEN 'configured' THEN 3 \
                 WHEN 'decommissioned' THEN 4 ELSE 5 END"
            }
        }
    }
}

/// A value that a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SortValue {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl FromSql for SortValue {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => Ok(SortValue::Number(number)),
            ValueRef::Blob(bytes) => Ok(SortValue::Bytes(bytes.to_vec())),
            other => other.as_str().map(|text| SortValue::Text(text.to_owned())),
        }
    }
}

impl ToSql for SortValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            SortValue::Number(number) => number.to_sql(),
            SortValue::Text(text) => text.to_sql(),
            SortValue::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

/// The last row of the page before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct After {
    sort: Sort,
    value: SortValue,
    row: i64,
}

/// A part of a sorted list.
#[derive(Clone, Debug)]
pub(crate) struct SortedWindow {
    limit: usize,
    sort: Sort,
    after: Option<After>,
}

impl SortedWindow {
    /// `after`: the `next` of a page of the same order.
    pub(crate) fn of(limit: usize, sort: Sort, after: Option<&str>) -> Result<SortedWindow, ApiError> {
        let read = |text: &str| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
            serde_json::from_slice::<After>(&bytes).ok().filter(|after| after.sort == sort)
        };
        let foreign = || ApiError::Malformed { why: "`after` is not the `next` of a page in this order".to_owned() };
        let after = after.map(|text| read(text).ok_or_else(foreign)).transpose()?;
        Ok(SortedWindow { limit, sort, after })
    }

    /// What is sorted by; after which of it, and after which row of those alike; in which order. Parameters: the value, the row.
    pub(super) fn sql(&self, value: &str, row: &str) -> (&'static str, String, String) {
        let expression = self.sort.key.expression();
        let (beyond, way) = if self.sort.descending { ("<", "DESC") } else { (">", "ASC") };
        // The first part is what the index is entered by.
        let after = match self.after {
            None => format!("{value} IS NULL AND {row} IS NULL"),
            Some(_) => {
                format!("{expression} {beyond}= {value} AND ({expression} {beyond} {value} OR id {beyond} {row})")
            }
        };
        (expression, after, format!("{expression} {way}, id {way}"))
    }

    pub(super) fn value(&self) -> Option<&SortValue> {
        self.after.as_ref().map(|after| &after.value)
    }

    pub(super) fn row(&self) -> Option<i64> {
        self.after.as_ref().map(|after| after.row)
    }

    /// For `LIMIT`: one more row tells whether there is a next page.
    pub(super) fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// From up to one row more than asked for.
    pub(super) fn page<T>(&self, mut rows: Vec<(T, SortValue, i64)>) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(|(_, value, row)| {
            let after = After { sort: self.sort, value: value.clone(), row: *row };
            BASE64URL_NOPAD.encode(&serde_json::to_vec(&after).unwrap_or_default())
        });
        Page { items: rows.into_iter().map(|(item, _, _)| item).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fleet, schema, sqlite, word};
    use super::*;

    #[test]
    fn every_page_of_every_order_comes_from_an_index_and_is_sorted_by_nothing_else() {
        let dir = tempfile::TempDir::new().expect("folder");
        let version = i32::try_from(schema()).expect("small");
        let db = sqlite::connect_at(&dir.path().join("noc.sqlite"), version);
        for (key, descending, begins) in SortKey::ALL
            .into_iter()
            .flat_map(|key| [(key, false, true), (key, false, false), (key, true, true), (key, true, false)])
        {
            let sort = Sort { key, descending };
            let after = After { sort, value: SortValue::Text(String::new()), row: 7 };
            let window = SortedWindow { limit: 10, sort, after: (!begins).then_some(after) };
            let sql = fleet::sorted_sql(&fleet::ApplianceFilter::default(), &window);
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("reads");
            let steps = plan.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>();
            let steps = steps.expect("a plan").join("; ");
            let index = if key == SortKey::Mac { "appliances_by_mac" } else { "appliances_sorted_by_" };
            assert!(steps.contains(index) && !steps.contains("TEMP B-TREE"), "{} {begins}: {steps}", word(&key));
            let how = if begins { "SCAN appliances" } else { "SEARCH appliances" };
            assert!(steps.contains(how), "{} {begins}: {steps}", word(&key));
        }
    }

    #[test]
    fn a_page_begins_where_one_of_the_same_order_ended() {
        let sort: Sort = "-name".parse().expect("an order");
        let window = SortedWindow::of(1, sort, None).expect("good");
        let row = |text: &str, row| (text.to_owned(), SortValue::Text(text.to_owned()), row);
        let page = window.page(vec![row("b", 2), row("a", 1)]);
        assert_eq!(page.items, ["b"]);
        let next = page.next.as_deref();
        let second = SortedWindow::of(1, sort, next).expect("good");
        assert_eq!((second.value(), second.row()), (Some(&SortValue::Text("b".to_owned())), Some(2)));
        assert_eq!(second.page(vec![row("a", 1)]).next, None);
        let other: Sort = "name".parse().expect("an order");
        for (sort, after) in [(other, next), (sort, Some("AAAA")), (sort, Some("x"))] {
            assert!(SortedWindow::of(1, sort, after).is_err(), "{sort:?} {after:?}");
        }
        for bad in ["", "-", "colour", "--name", "Name"] {
            assert!(bad.parse::<Sort>().is_err(), "{bad}");
        }
    }
}
